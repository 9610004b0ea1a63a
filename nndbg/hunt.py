"""From a program to its first divergence: checks a range of steps, op by op."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nndbg.compare import Verdict
from nndbg.diagnose import Evidence, diagnose
from nndbg.errors import GdbError, ProgramError
from nndbg.report import Report
from nndbg.report.model import in_order
from nndbg.session import Session


def check_steps(
    session: Session,
    steps: range,
    progress: Callable[[int], None] = lambda step: None,
) -> Report:
    """Judge every op of `steps` (consecutive, not empty); calls `progress` after each step.

    A program that fails on the way, or GDB that dies, ends the run: the report holds what was
    judged before, and the error in words.
    """
    verdicts: list[Verdict] = []
    evidence: Mapping[str, Evidence] = {}
    done: list[int] = []
    error: str | None = None
    try:
        session.start(steps.start)
        for step in steps:
            if session.has_ended or session.capture is None or session.capture.step != step:
                raise ProgramError(
                    f"the program ended after step {step - 1}: there is no step {step} to check."
                )
            for observation in session.finish_step():
                verdicts.extend(observation.verdicts)
                evidence = evidence or observation.evidence
            if session.ended_after is not None:
                raise ProgramError(
                    f"the program ended in the middle of step {step}, after {session.ended_after}."
                )
            done.append(step)
            progress(step)
    except (ProgramError, GdbError) as problem:
        error = str(problem)
        for observation in session.abandon_step():
            verdicts.extend(observation.verdicts)
            evidence = evidence or observation.evidence
    ordered = in_order(verdicts, (op.name for op in session.layer_map.ops))
    first = next((v for v in ordered if v.status.is_wrong), None)
    known = evidence.get(first.subject.buffer) if first is not None else None
    return Report(
        program=session.program,
        steps=tuple(done),
        verdicts=ordered,
        error=error,
        diagnosis=diagnose(known) if known is not None else (),
    )
