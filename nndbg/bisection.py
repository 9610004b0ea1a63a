"""Finds the first wrong step of a long run without checking them all: the program seeks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from nndbg.hunt import check_steps
from nndbg.report import Report, Verdicts
from nndbg.session import Session

# Where both ends of the range are right, so many steps between them are looked at.
_LOOKS = 16


def bisect_steps(
    session: Session, steps: range, progress: Callable[[int], None] = lambda done: None
) -> Report:
    """Find a wrong step of `steps` (ascending, not empty) with a right one before it.

    Wrong is a step in which the program fails, or a verdict or an audit finds it at fault. Where a
    mistake that is there stays - as a branch taken from some step on, or a NaN in the weights - the
    step is the first wrong one. Where it comes and goes, an earlier one may be wrong too; the
    report says which steps were looked at. It is that of the step found, or of all that were
    checked where none is wrong.

    Calls `progress` with the number of steps checked so far. A program that cannot seek is swept
    instead, up to the first divergence.
    """
    if session.layer_map.phase.seek is None:
        swept = check_steps(session, steps, progress, until_first=True)
        return replace(swept, says=" ".join(filter(None, (_NO_SEEK, swept.says))))
    looked: dict[int, Report] = {}

    def is_wrong(index: int) -> bool:
        step = steps[index]
        if step not in looked:
            looked[step] = check_steps(session, range(step, step + 1))
            progress(len(looked))
        return _is_wrong(looked[step])

    last = len(steps) - 1
    if is_wrong(0):
        wrong = 0
    else:
        spread = (index for index in (last, *_spread(last)) if is_wrong(index))
        wrong = next(spread, -1)
    if wrong < 0:
        return _nothing(session, steps, looked)
    # Never checked again: the step on the one side was right, the one on the other was wrong.
    right = max((i for i in range(wrong) if steps[i] in looked), default=-1)
    while wrong - right > 1:
        middle = (right + wrong) // 2
        if is_wrong(middle):
            wrong = middle
        else:
            right = middle
    return replace(looked[steps[wrong]], says=_found(steps, wrong, looked))


_NO_SEEK = "The layer map has no `seek`: no step before this was left out."


def _is_wrong(report: Report) -> bool:
    return report.first is not None or bool(report.objections) or report.error is not None


def _spread(last: int) -> list[int]:
    """Return numbers between 0 and `last`, evenly far apart, ascending: to seek forward."""
    return sorted({last * part // (_LOOKS + 1) for part in range(1, _LOOKS + 1)} - {0, last})


def _found(steps: range, wrong: int, looked: Mapping[int, Report]) -> str:
    step = steps[wrong]
    says = [f"Found by bisection: {len(looked)} of {len(steps)} steps were checked."]
    if not wrong:
        return f"{says[0]} It is the first of them."
    before = steps[wrong - 1]
    says.append(f"Step {before}, the one before, is right.")
    if right_again := [s for s in looked if s > step and not _is_wrong(looked[s])]:
        says.append(
            f"The mistake comes and goes: step {min(right_again)} is right again, and steps before "
            f"{before} that were not checked may be wrong."
        )
    else:
        says.append(
            f"Of the steps before {before} that were not checked, one may be wrong if the mistake "
            "comes and goes."
        )
    if _sizes(looked[step]) != _sizes(looked[before]):
        says.append(
            f"Step {step} has arrays of another size than step {before}, as a short batch has: "
            "look at earlier steps of its size too."
        )
    return " ".join(says)


def _sizes(report: Report) -> Mapping[tuple[str, str], int]:
    return {(v.subject.op, v.subject.buffer): v.checked for v in report.verdicts}


def _nothing(session: Session, steps: range, looked: Mapping[int, Report]) -> Report:
    checked = sorted(looked)
    says = f"{len(checked)} of {len(steps)} steps were checked, and none of them is wrong."
    if len(checked) < len(steps):
        says += " A mistake that comes and goes can be in the others: `nndbg check` checks all."
    return Report(
        program=session.program,
        steps=tuple(checked),
        verdicts=Verdicts(verdict for step in checked for verdict in looked[step].verdicts),
        findings=tuple(found for step in checked for found in looked[step].findings),
        says=says,
    )
