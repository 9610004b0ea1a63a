"""From a program to its first divergence: checks a range of steps, op by op."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing

from nndbg.ahead import in_order, one_thread_each
from nndbg.compare import Verdict
from nndbg.crash import Crash
from nndbg.diagnose import Diagnosis
from nndbg.elf import Executable
from nndbg.errors import GdbError, ProgramError, RunOnceError
from nndbg.finding import Audit, Finding
from nndbg.layermap import LayerMap, place_map
from nndbg.ledger import Observation, StepRecord
from nndbg.poisoned import Outputs, outputs, run_poisoned
from nndbg.report import CodePlace, Culprit, Report, Verdicts, crash_after
from nndbg.session import Session

Accuse = Callable[[Verdict, Observation], Culprit | None]

# Fewer steps than this are checked at every op at once: a sweep would save nothing.
_WORTH_A_SWEEP = 8


def check_steps(
    session: Session,
    steps: Sequence[int],
    progress: Callable[[int], None] = lambda done: None,
    until_first: bool = False,
    accuse: Accuse | None = None,
    sweep: bool = True,
) -> Report:
    """Judge every op of `steps` (ascending, not empty); calls `progress` with how many are done.

    Many steps are swept after the first, unless `sweep` is false: the program stops once or twice a
    step, and runs on while what was captured is judged. Where a sweep finds something wrong, or the
    program fails, that step is run again and judged at every op, and so are all after it. With
    `until_first` the run ends at the op where something is wrong: what comes after it in the step
    is not judged.

    What is judged at every op is audited. One step is run once more with poison: the first that is
    wrong; where none is, the first of a few, and none of many.

    `accuse` is asked who made the first wrong output, once the run is over.

    A program that fails on the way, or GDB that dies, ends the run: the report holds what was
    judged before, and the error in words.

    Where the session heals, every op is stopped at, and nothing is poisoned.
    """
    run = _Run(session, steps, progress)
    error: str | None = None
    crash: Crash | None = None
    try:
        with one_thread_each():
            if sweep and len(steps) >= _WORTH_A_SWEEP and not session.heals:
                run.walk(1, until_first)
                run.sweep()
            run.walk(len(steps), until_first)
    except (ProgramError, GdbError) as problem:
        error = str(problem)
        crash = run.crash(problem)
    if Audit.POISON in session.audits and not session.heals:
        try:
            run.poison(error)
        except RunOnceError as problem:
            run.leave_out(f"No step was run again with poison: {problem}.")
        except GdbError as problem:
            error = error or str(problem)
    return run.report(error, crash, run.culprit(accuse) if accuse is not None else None)


class _Run:
    """What a check has seen so far, and the evidence of the first wrong op for its diagnosis."""

    def __init__(
        self, session: Session, steps: Sequence[int], progress: Callable[[int], None]
    ) -> None:
        self._session = session
        self._steps = steps
        self._done = 0
        self._progress = progress
        self._order = {op.name: index for index, op in enumerate(session.layer_map.ops)}
        self._verdicts = Verdicts()
        self._findings: list[Finding] = []
        # What the ops of the first step made.
        self._made: Outputs = {}
        self._first: Observation | None = None
        self._first_wrong: Verdict | None = None
        self._failure: ProgramError | GdbError | None = None
        self._says = ""

    def sweep(self) -> None:
        """Judge steps from one or two stops each, up to the first that is not plainly right.

        The session is then at the beginning of that step, to be judged at every op.
        """
        if self._first_wrong is not None:
            return
        session, suspect = self._session, False
        session.sweep(True)
        try:
            with closing(in_order(self._judge, self._records())) as judged:
                for record, verdicts in judged:
                    suspect = not record.is_whole(session.layer_map) or any(
                        verdict.status.is_wrong for verdict in verdicts
                    )
                    if suspect:
                        break
                    self._verdicts.extend(verdicts)
                    self._count()
        finally:
            session.sweep(False)
        if isinstance(self._failure, GdbError) and not suspect:
            raise self._failure
        if suspect or self._failure is not None:
            session.start(self._steps[self._done])

    def walk(self, count: int, until_first: bool) -> None:
        """Judge what is left of the first `count` steps, each at every op."""
        session = self._session
        while self._done < count and not (until_first and self._first_wrong):
            step = self._steps[self._done]
            if self._done and session.has_ended:
                raise ProgramError(
                    f"the program ended after step {self._steps[self._done - 1]}: "
                    f"there is no step {step} to check."
                )
            session.go_to(step)
            is_whole = self._finish(until_first)
            if session.ended_after is not None:
                raise ProgramError(
                    f"the program ended in the middle of step {step}, after {session.ended_after}."
                )
            if is_whole:
                self._count()
            else:
                self._says = f"The rest of step {step} was not checked."

    def poison(self, error: str | None) -> None:
        """Run the first wrong step again with poison; where none is, the first of a few."""
        if self._first_wrong is not None:
            step = self._first_wrong.subject.step
        elif error is None and len(self._steps) < _WORTH_A_SWEEP:
            step = self._steps[0]
        else:
            return
        made = self._made if step == self._steps[0] else {}
        self._findings += run_poisoned(self._session, step, self._verdicts, made, error)

    def leave_out(self, says: str) -> None:
        """Take note of what could not be looked into."""
        self._says = f"{self._says} {says}".strip()

    def culprit(self, accuse: Accuse) -> Culprit | None:
        """Return who made the first wrong output; the session is over."""
        if self._first_wrong is None or self._first is None:
            return None
        self._session.close()
        return accuse(self._first_wrong, self._first)

    def crash(self, problem: ProgramError | GdbError) -> Crash | None:
        """Return the crash, with the last op that agreed before it, if that is what happened."""
        return crash_after(self._verdicts, problem)

    def report(self, error: str | None, crash: Crash | None, culprit: Culprit | None) -> Report:
        """Return what came of it."""
        return Report(
            program=self._session.program,
            steps=tuple(self._steps[: self._done]),
            verdicts=self._verdicts,
            error=error,
            crash=crash,
            diagnosis=self._diagnosis(),
            culprit=culprit,
            findings=tuple(self._findings),
            boundaries=boundaries(
                self._session.layer_map, self._session.executable, self._verdicts.unsettled
            ),
            says=self._says,
        )

    def _records(self) -> Iterator[StepRecord]:
        """Yield the steps as they are captured, until the program ends or fails."""
        for step in self._steps[self._done :]:
            try:
                self._session.go_to(step)
                record = self._session.record_step()
            except (ProgramError, GdbError) as problem:
                self._failure = problem
                return
            if record.failure is not None:
                self._failure = record.failure
                return
            yield record
            if self._session.has_ended:
                return

    def _judge(self, record: StepRecord) -> list[Verdict]:
        return self._in_order(
            verdict
            for observation in self._session.judge(record)
            for verdict in observation.verdicts
        )

    def _finish(self, until_first: bool) -> bool:
        """Judge the rest of the step; returns whether it was whole.

        Where the program fails in it, what it completed before is judged.
        """
        found: list[Observation] = []
        try:
            for observations in self._session.stops_of_step():
                found += observations
                if until_first and any(_is_wrong(observation) for observation in observations):
                    return self._session.capture is None or self._session.capture.op is None
        except (ProgramError, GdbError):
            found += self._session.abandon_step()
            raise
        finally:
            self._take(found)
        return True

    def _take(self, observations: Sequence[Observation]) -> None:
        if not len(self._verdicts) and Audit.POISON in self._session.audits:
            self._made = outputs(self._session.layer_map, observations)
        for observation in sorted(observations, key=lambda o: self._order[o.op.name]):
            self._verdicts.extend(observation.verdicts)
            self._findings += observation.findings
            wrong = (v for v in observation.verdicts if v.status.is_wrong)
            if self._first_wrong is None and (first := next(wrong, None)) is not None:
                self._first_wrong = first
                self._first = observation

    def _in_order(self, verdicts: Iterable[Verdict]) -> list[Verdict]:
        return sorted(verdicts, key=lambda verdict: self._order[verdict.subject.op])

    def _count(self) -> None:
        self._done += 1
        self._progress(self._done)

    def _diagnosis(self) -> tuple[Diagnosis, ...]:
        """Return what explains the first wrong output."""
        if self._first_wrong is None or self._first is None:
            return ()
        return self._first.explain(self._first_wrong)


def _is_wrong(observation: Observation) -> bool:
    return any(verdict.status.is_wrong for verdict in observation.verdicts)


def boundaries(
    layer_map: LayerMap, executable: Executable | None, ops: Collection[str]
) -> Mapping[str, CodePlace]:
    """Return where the code of `ops` is complete; nothing where there is no executable."""
    if executable is None or not ops:
        return {}
    done = place_map(layer_map, executable).done
    places: dict[str, CodePlace] = {}
    for op in done.keys() & ops:
        address = done[op][0]
        function, source = executable.function_at(address), executable.line_at(address)
        places[op] = CodePlace(
            address,
            function=function.name if function else None,
            file=source.file if source else None,
            line=source.line if source else None,
        )
    return places
