"""From a program to its first divergence: checks a range of steps, op by op."""

from __future__ import annotations

from collections.abc import Callable

from nndbg.compare import Verdict
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
            done.append(step)
            progress(step)
    except (ProgramError, GdbError) as problem:
        error = str(problem)
    return Report(
        program=session.program,
        steps=tuple(done),
        verdicts=in_order(verdicts, (op.name for op in session.layer_map.ops)),
        error=error,
    )
