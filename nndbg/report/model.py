"""What a check found, as data; knows nothing of how it is shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from operator import attrgetter

from nndbg.compare import Mode, Status, Verdict
from nndbg.crash import Agreed, Crash, CrashError
from nndbg.diagnose import Diagnosis
from nndbg.drift import Trajectory
from nndbg.finding import Finding
from nndbg.report.healed import Healed
from nndbg.report.verdicts import Verdicts


@dataclass(frozen=True)
class CodePlace:
    """A place in the program's code: its address as linked, the rest where the program knows it."""

    address: int
    function: str | None = None
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class Suspect:
    """An instruction that may have made a wrong number; `says` tells why in a sentence.

    `amended` is what was tried in its place or before it, "" that it was left out, None that
    nothing was tried.
    The address is as linked; `file` and `line` are None where the program has no line information.
    """

    address: int
    function: str
    file: str | None
    line: int | None
    instruction: str
    says: str
    amended: str | None = None

    @property
    def place(self) -> str:
        """File and line, or the address where the program has no line information."""
        return f"{self.file}:{self.line}" if self.file is not None else f"{self.address:#x}"


@dataclass(frozen=True)
class Turn:
    """One addition to a sum: what the lane `took`, what it held then, and what it should have held.

    `label` names the term (`k = 512`); `took` are its elements, empty where there were many.
    `bound` is how far a right program's value may lie from `expected`.
    """

    label: str
    took: str
    value: float
    expected: float
    bound: float

    @property
    def is_right(self) -> bool:
        """Whether the lane held what it should have."""
        return abs(self.value - self.expected) <= self.bound


@dataclass(frozen=True)
class Computed:
    """How a wrong element was computed, in a sentence, and the last additions up to where it went
    wrong.

    `lane` says where the running value was: lane, register, line, instruction.
    """

    element: str
    says: str
    turns: tuple[Turn, ...]
    lane: str


@dataclass(frozen=True)
class Culprit:
    """Who made the first wrong number: `candidates`, at most five, the likeliest first.

    `element` is the one that was followed back, `notes` what has to be known of the search,
    `computed` how the element came to its value, where that could be followed.
    """

    element: str
    candidates: tuple[Suspect, ...]
    notes: tuple[str, ...] = ()
    computed: Computed | None = None

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
    did; `crash` tells more where that was a crash. `diagnosis` and `culprit` are of the first wrong
    output. `findings` are what the audits have to say. `boundaries` says where the ops are
    complete, at least those of which something did not agree.
    `trajectory` is how far program and reference drifted apart, where they ran side by side.
    `says` is what else is to be known of the run: how a step was found, what was left out.
    `healed` tells what came of repairs, where ops were to be repaired.
    """

    program: str
    steps: tuple[int, ...]
    verdicts: Collection[Verdict]
    error: str | None = None
    diagnosis: tuple[Diagnosis, ...] = ()
    culprit: Culprit | None = None
    findings: tuple[Finding, ...] = ()
    boundaries: Mapping[str, CodePlace] = field(default_factory=dict)
    trajectory: Trajectory | None = None
    says: str = ""
    crash: Crash | None = None
    healed: Healed | None = None

    def __bool__(self) -> bool:
        return self.agrees

    @property
    def agrees(self) -> bool:
        """Whether every output of every step was checked and agrees, and no audit objects.

        A trajectory agrees while noise explains its drift.
        """
        counted = self._counted
        return (
            self.error is None
            and len(counted) > 0
            and not counted.wrong + counted.unproved
            and not self.objections
            and self.departed is None
        )

    @property
    def objections(self) -> tuple[Finding, ...]:
        """The findings that are no mere notes."""
        return tuple(finding for finding in self.findings if finding.is_error)

    @property
    def unproved(self) -> tuple[Verdict, ...]:
        """The verdicts that leave open whether their output is right."""
        return unproved(self.verdicts, self.departed)

    @property
    def departed(self) -> int | None:
        """The step in which a trajectory left the noise; None where none did."""
        departure = self.trajectory.departure if self.trajectory is not None else None
        return None if departure is None else departure.step

    @property
    def wrong(self) -> tuple[Verdict, ...]:
        """The verdicts that find the program at fault."""
        if not self._counted.wrong:
            return ()
        return tuple(v for v in self.verdicts if v.status.is_wrong)

    @property
    def first(self) -> First | None:
        """The first wrong output, None where there is none."""
        verdict = self._counted.first_wrong
        return First(verdict, self.diagnosis, self.culprit) if verdict is not None else None

    @cached_property
    def _counted(self) -> Verdicts:
        return self.verdicts if isinstance(self.verdicts, Verdicts) else Verdicts(self.verdicts)


def crash_after(verdicts: Iterable[Verdict], problem: Exception) -> Crash | None:
    """Return the crash that ended a run with these verdicts, None where the problem is another."""
    if not isinstance(problem, CrashError):
        return None
    last: Agreed | None = None
    for (step, op), same in groupby(verdicts, key=attrgetter("subject.step", "subject.op")):
        statuses = {verdict.status for verdict in same}
        if Status.AGREE in statuses and not any(status.is_wrong for status in statuses):
            last = Agreed(step, op)
    return replace(problem.crash, last_agreed=last)


def unproved(verdicts: Iterable[Verdict], departed: int | None = None) -> tuple[Verdict, ...]:
    """Return those of `verdicts`, on whole steps, that leave open whether their output is right.

    A chain bound that has grown too loose to say anything takes nothing away from the local one of
    the same output, and one of a trajectory nothing before the step in which it `departed` from
    what noise explains.
    """
    unchecked: list[Verdict] = []
    proved: set[tuple[int, str, str]] = set()
    for verdict in verdicts:
        if verdict.status is Status.UNCHECKED:
            if verdict.subject.mode is not Mode.TRAJECTORY or (
                departed is not None and verdict.subject.step >= departed
            ):
                unchecked.append(verdict)
        elif verdict.status is Status.AGREE and verdict.subject.mode is Mode.LOCAL:
            proved.add(_output(verdict))
    return tuple(verdict for verdict in unchecked if _output(verdict) not in proved)


def _output(verdict: Verdict) -> tuple[int, str, str]:
    return verdict.subject.step, verdict.subject.op, verdict.subject.buffer
