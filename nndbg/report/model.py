"""What a check found, as data; knows nothing of how it is shown."""

from __future__ import annotations

from dataclasses import dataclass

from nndbg.compare import Mode, Status, Verdict
from nndbg.diagnose import Diagnosis
from nndbg.finding import Finding


@dataclass(frozen=True)
class First:
    """The first wrong output of a run: earliest step, earliest op of the map."""

    verdict: Verdict
    diagnosis: tuple[Diagnosis, ...] = ()


@dataclass(frozen=True)
class Report:
    """The verdicts of a run, in the order of steps and ops.

    `error` says in words what ended the run before all `steps` were checked, None where nothing
    did. `diagnosis` is of the first wrong output. `findings` are what the audits have to say.
    """

    program: str
    steps: tuple[int, ...]
    verdicts: tuple[Verdict, ...]
    error: str | None = None
    diagnosis: tuple[Diagnosis, ...] = ()
    findings: tuple[Finding, ...] = ()

    def __bool__(self) -> bool:
        return self.agrees

    @property
    def agrees(self) -> bool:
        """Whether every output of every step was checked and agrees, and no audit objects."""
        return (
            self.error is None
            and bool(self.verdicts)
            and not any(v.status.is_wrong for v in self.verdicts)
            and not self.unproved
            and not self.objections
        )

    @property
    def objections(self) -> tuple[Finding, ...]:
        """The findings that are no mere notes."""
        return tuple(finding for finding in self.findings if finding.is_error)

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
        return First(self.wrong[0], self.diagnosis) if self.wrong else None


def _output(verdict: Verdict) -> tuple[int, str, str]:
    return verdict.subject.step, verdict.subject.op, verdict.subject.buffer
