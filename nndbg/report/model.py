"""What a check found, as data; knows nothing of how it is shown."""

from __future__ import annotations

from dataclasses import dataclass

from nndbg.compare import Mode, Status, Verdict
from nndbg.diagnose import Diagnosis


@dataclass(frozen=True)
class Suspect:
    """An instruction that may have made a wrong number; `says` tells why in a sentence.

    The address is as linked; `file` and `line` are None where the program has no line information.
    """

    address: int
    function: str
    file: str | None
    line: int | None
    instruction: str
    says: str

    @property
    def place(self) -> str:
        """File and line, or the address where the program has no line information."""
        return f"{self.file}:{self.line}" if self.file is not None else f"{self.address:#x}"


@dataclass(frozen=True)
class Culprit:
    """Who made the first wrong number: `candidates`, at most five, the likeliest first.

    `element` is the one that was followed back, `notes` what has to be known of the search.
    """

    element: str
    candidates: tuple[Suspect, ...]
    notes: tuple[str, ...] = ()

    @property
    def likeliest(self) -> Suspect:
        """The first of the candidates; there always is one."""
        return self.candidates[0]


@dataclass(frozen=True)
class First:
    """The first wrong output of a run: earliest step, earliest op of the map."""

    verdict: Verdict
    diagnosis: tuple[Diagnosis, ...] = ()
    culprit: Culprit | None = None


@dataclass(frozen=True)
class Report:
    """The verdicts of a run, in the order of steps and ops.

    `error` says in words what ended the run before all `steps` were checked, None where nothing
    did. `diagnosis` and `culprit` are of the first wrong output.
    """

    program: str
    steps: tuple[int, ...]
    verdicts: tuple[Verdict, ...]
    error: str | None = None
    diagnosis: tuple[Diagnosis, ...] = ()
    culprit: Culprit | None = None

    def __bool__(self) -> bool:
        return self.agrees

    @property
    def agrees(self) -> bool:
        """Whether every output of every step was checked and agrees."""
        return (
            self.error is None
            and bool(self.verdicts)
            and not any(v.status.is_wrong for v in self.verdicts)
            and not self.unproved
        )

    @property
    def unproved(self) -> tuple[Verdict, ...]:
        """The verdicts that leave open whether their output is right.

        A chain bound that has grown too loose to say anything takes nothing away from the local
        one of the same output.
        """
        proved = {
            _output(v)
            for v in self.verdicts
            if v.status is Status.AGREE and v.subject.mode is Mode.LOCAL
        }
        return tuple(
            v for v in self.verdicts if v.status is Status.UNCHECKED and _output(v) not in proved
        )

    @property
    def wrong(self) -> tuple[Verdict, ...]:
        """The verdicts that find the program at fault."""
        return tuple(v for v in self.verdicts if v.status.is_wrong)

    @property
    def first(self) -> First | None:
        """The first wrong output, None where there is none."""
        return First(self.wrong[0], self.diagnosis, self.culprit) if self.wrong else None


def _output(verdict: Verdict) -> tuple[int, str, str]:
    return verdict.subject.step, verdict.subject.op, verdict.subject.buffer
