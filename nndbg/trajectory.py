"""Follows a program over many steps, side by side with its reference, from the same start."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nndbg.ahead import one_thread_each
from nndbg.compare import Verdict
from nndbg.crash import Crash
from nndbg.diagnose import Diagnosis
from nndbg.drift import BEYOND, Companion, Departure, Drifted, Point, Series, Trajectory
from nndbg.drift.companion import MEMBERS
from nndbg.errors import GdbError, ProgramError
from nndbg.ledger import Observation
from nndbg.report import Report, Verdicts, crash_after
from nndbg.session import Session


def follow_steps(
    session: Session, steps: range, progress: Callable[[int], None] = lambda done: None
) -> Report:
    """Train beside the program from `steps.start` on; calls `progress` with how many are done.

    The session judges in local mode: what that proves wrong on the way is in the report too, and
    its diagnosis. The program stops once or twice a step until something is wrong, then at every
    op. A program that fails, or GDB that dies, ends the run: the report holds what came before.
    """
    run = _Run(session)
    done: list[int] = []
    error: str | None = None
    crash: Crash | None = None
    try:
        with one_thread_each():
            session.sweep(True)
            session.start(steps.start)
            for step in steps:
                run.follow(step)
                done.append(step)
                progress(len(done))
    except (ProgramError, GdbError) as problem:
        error = str(problem)
        crash = crash_after(run.verdicts, problem)
    return Report(
        program=session.program,
        steps=tuple(done),
        verdicts=run.verdicts,
        error=error,
        crash=crash,
        diagnosis=run.diagnosis(),
        trajectory=run.trajectory(),
    )


class _Run:
    """What is known of the run so far."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._companion = Companion(session.layer_map)
        self._order = {op.name: index for index, op in enumerate(session.layer_map.ops)}
        self._carried = session.layer_map.carried(session.layer_map.ops)
        self._points: dict[str, list[Point]] = {}
        self._most = 0.0
        self._departure: Departure | None = None
        self._first_wrong: Verdict | None = None
        self._first: Observation | None = None
        self.verdicts = Verdicts()

    def follow(self, step: int) -> None:
        """Follow one step, which the session is at the beginning of."""
        session = self._session
        if session.has_ended or session.capture is None or session.capture.step != step:
            raise ProgramError(
                f"the program ended after step {step - 1}: there is no step {step} to follow."
            )
        observations: list[Observation] = []
        try:
            observations.extend(session.finish_step())
        except (ProgramError, GdbError):
            self._take(step, [*observations, *session.abandon_step()])
            raise
        if session.sweeps and any(v.status.is_wrong for o in observations for v in o.verdicts):
            # A sweep may take one order of ops for another: what it finds wrong is seen again.
            session.sweep(False)
            session.start(step)
            observations = list(session.finish_step())
        self._take(step, observations)
        if session.ended_after is not None:
            raise ProgramError(
                f"the program ended in the middle of step {step}, after {session.ended_after}."
            )

    def _take(self, step: int, observations: Iterable[Observation]) -> None:
        """Do what the program did in this step, op by op in the order of the map."""
        ordered = sorted(observations, key=lambda o: self._order[o.op.name])
        # An op that ran twice is followed once, as the last time left it.
        last = {o.op.name: o for o in ordered if o.inputs}
        reached: dict[str, Point] = {}
        for observation in ordered:
            for verdict in observation.verdicts:
                if verdict.status.is_wrong:
                    self._judge(verdict, observation)
            if last.get(observation.op.name) is observation:
                for drifted in self._follow(step, observation):
                    self._judge(drifted.verdict, observation)
                    self._measure(drifted)
                    buffer = drifted.verdict.subject.buffer
                    if drifted.point is not None and self._is_followed(buffer):
                        reached[buffer] = drifted.point
        for buffer, point in reached.items():
            self._points.setdefault(buffer, []).append(point)

    def _follow(self, step: int, observation: Observation) -> list[Drifted]:
        op, buffers = observation.op, self._session.layer_map.buffers
        actual = {name: observation.capture.shaped(buffers[name]) for name in op.outputs.values()}
        return self._companion.follow(step, op, observation.inputs, observation.before, actual)

    def _is_followed(self, buffer: str) -> bool:
        """Whether a buffer is a loss, or goes on into the next step."""
        return buffer in self._carried or self._is_scalar(buffer)

    def _is_scalar(self, buffer: str) -> bool:
        return not self._session.layer_map.buffers[buffer].shape

    def _judge(self, verdict: Verdict, observation: Observation) -> None:
        self.verdicts.extend((verdict,))
        if self._first_wrong is None and verdict.status.is_wrong:
            self._first_wrong, self._first = verdict, observation

    def _measure(self, drifted: Drifted) -> None:
        if drifted.point is None:
            return
        ratio, subject = drifted.point.ratio, drifted.verdict.subject
        self._most = max(self._most, ratio)
        if self._departure is None and drifted.departs:
            self._departure = Departure(subject.step, subject.op, subject.buffer, ratio)

    def diagnosis(self) -> tuple[Diagnosis, ...]:
        """Return what explains the first wrong output."""
        if self._first_wrong is None or self._first is None:
            return ()
        return self._first.explain(self._first_wrong)

    def trajectory(self) -> Trajectory:
        """Return how far everything drifted."""
        return Trajectory(
            series=tuple(
                Series(buffer, self._is_scalar(buffer), tuple(points))
                for buffer, points in self._points.items()
            ),
            most=self._most,
            departure=self._departure,
            turns=self._companion.turns,
            members=MEMBERS,
            beyond=BEYOND,
        )
