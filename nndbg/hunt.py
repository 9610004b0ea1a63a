"""From a program to its first divergence: checks a range of steps, op by op."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from nndbg.compare import Verdict
from nndbg.diagnose import Diagnosis, Evidence, diagnose
from nndbg.errors import GdbError, ProgramError
from nndbg.ledger import Observation
from nndbg.report import Report
from nndbg.report.model import Culprit
from nndbg.session import Session

Accuse = Callable[[Verdict, Evidence | None], Culprit | None]

# Fewer steps than this are checked at every op at once: a sweep would save nothing.
_WORTH_A_SWEEP = 8


def check_steps(
    session: Session,
    steps: range,
    progress: Callable[[int], None] = lambda step: None,
    until_first: bool = False,
    accuse: Accuse | None = None,
) -> Report:
    """Judge every op of `steps` (consecutive, not empty); calls `progress` after each step.

    Many steps are swept: the program stops once or twice a step. Where a sweep finds something
    wrong, that step is run again and judged at every op, and so are all after it. With
    `until_first` the run ends with the first step that is wrong.

    `accuse` is asked who made the first wrong output, once the run is over.

    A program that fails on the way, or GDB that dies, ends the run: the report holds what was
    judged before, and the error in words.
    """
    run = _Run(session)
    done: list[int] = []
    error: str | None = None
    try:
        session.sweep(len(steps) >= _WORTH_A_SWEEP)
        session.start(steps.start)
        for step in steps:
            run.judge(step)
            done.append(step)
            progress(step)
            if until_first and run.first_wrong is not None:
                break
    except (ProgramError, GdbError) as problem:
        error = str(problem)
    culprit = None
    if accuse is not None and run.first_wrong is not None:
        session.close()
        culprit = accuse(run.first_wrong, run.evidence)
    return Report(
        program=session.program,
        steps=tuple(done),
        verdicts=tuple(run.verdicts),
        error=error,
        diagnosis=run.diagnosis(),
        culprit=culprit,
    )


class _Run:
    """What a check has seen so far, and the evidence of the first wrong op for its diagnosis."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._evidence: Mapping[str, Evidence] = {}
        self._ops = tuple(op.name for op in session.layer_map.ops)
        self.verdicts: list[Verdict] = []
        self.first_wrong: Verdict | None = None

    def judge(self, step: int) -> None:
        """Judge one step, which the session is at the beginning of."""
        session = self._session
        if session.has_ended or session.capture is None or session.capture.step != step:
            raise ProgramError(
                f"the program ended after step {step - 1}: there is no step {step} to check."
            )
        observations = self._finish()
        if session.sweeps and any(v.status.is_wrong for o in observations for v in o.verdicts):
            session.sweep(False)
            session.start(step)
            observations = self._finish()
        self._take(observations)
        if session.ended_after is not None:
            raise ProgramError(
                f"the program ended in the middle of step {step}, after {session.ended_after}."
            )

    def _finish(self) -> list[Observation]:
        """Return the ops of the step; where it is cut short, keep what was judged of it."""
        found: list[Observation] = []
        try:
            found.extend(self._session.finish_step())
        except (ProgramError, GdbError):
            self._take([*found, *self._session.abandon_step()])
            raise
        return found

    def _take(self, observations: Iterable[Observation]) -> None:
        found = [(o, v) for o in observations for v in o.verdicts]
        found.sort(key=lambda pair: self._ops.index(pair[0].op.name))
        self.verdicts += [verdict for _, verdict in found]
        for observation, verdict in found:
            if self.first_wrong is None and verdict.status.is_wrong:
                self.first_wrong = verdict
                self._evidence = observation.evidence

    @property
    def evidence(self) -> Evidence | None:
        """What is known of the first wrong output beyond its verdict."""
        if self.first_wrong is None:
            return None
        return self._evidence.get(self.first_wrong.subject.buffer)

    def diagnosis(self) -> tuple[Diagnosis, ...]:
        """Return what explains the first wrong output."""
        return diagnose(self.evidence) if self.evidence is not None else ()
