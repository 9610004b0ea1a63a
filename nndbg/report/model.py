"""What a check found, as data; knows nothing of how it is shown."""

from __future__ import annotations

from dataclasses import dataclass

from nndbg.compare import Mode, Status, Verdict
from nndbg.diagnose import Diagnosis
from nndbg.drift import Trajectory


@dataclass(frozen=True)
class First:
    """The first wrong output of a run: earliest step, earliest op of the map."""

    verdict: Verdict
    diagnosis: tuple[Diagnosis, ...] = ()


@dataclass(frozen=True)
class Report:
    """The verdicts of a run, in the order of steps and ops.

    `error` says in words what ended the run before all `steps` were checked, None where nothing
    did. `diagnosis` is of the first wrong output. `trajectory` is how far program and reference
    drifted apart, where they ran side by side.
    """

    program: str
    steps: tuple[int, ...]
    verdicts: tuple[Verdict, ...]
    error: str | None = None
    diagnosis: tuple[Diagnosis, ...] = ()
    trajectory: Trajectory | None = None

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
        one of the same output, and one of a trajectory nothing while noise explains the drift.
        """
        proved = {
            _output(v)
            for v in self.verdicts
            if v.status is Status.AGREE and v.subject.mode is Mode.LOCAL
        }
        return tuple(
            v
            for v in self.verdicts
            if v.status is Status.UNCHECKED and _output(v) not in proved and not self._is_noise(v)
        )

    def _is_noise(self, verdict: Verdict) -> bool:
        """Whether the verdict is of a trajectory that has not left the noise by then."""
        if verdict.subject.mode is not Mode.TRAJECTORY or self.trajectory is None:
            return False
        departure = self.trajectory.departure
        return departure is None or verdict.subject.step < departure.step

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
