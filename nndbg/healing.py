"""Repairs ops while the program runs, and finds the fewest whose repair makes the rest agree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from nndbg.compare import Mode, Status, Verdict
from nndbg.errors import UsageError
from nndbg.hunt import Accuse, check_steps
from nndbg.report import Healed, Report
from nndbg.session import Session

# Instead of the names of ops: those are to be found.
AUTO = "auto"


def heal_steps(
    session: Session,
    steps: range,
    ops: Sequence[str],
    progress: Callable[[int], None] = lambda done: None,
    accuse: Accuse | None = None,
) -> Report:
    """Check `steps` and repair what `ops` leave wrong, each where it is complete; see check_steps.

    The verdicts are of what the program made, before it was repaired. With AUTO instead of names
    the steps are run again and again to find the ops. Raises UsageError for an op that the map does
    not have.
    """
    known = [op.name for op in session.layer_map.ops]
    is_found = list(ops) == [AUTO]
    if not is_found and (unknown := [op for op in ops if op not in known]):
        raise UsageError(
            f"the layer map has no op {unknown[0]} to heal. It has: {', '.join(known)}; or {AUTO}."
        )
    chosen = _fewest(session, steps) if is_found else tuple(op for op in known if op in ops)
    session.heal(chosen)
    report = check_steps(session, steps, progress, accuse=accuse)
    return replace(
        report,
        healed=Healed(
            ops=chosen,
            steps={op: _steps(session, op) for op in chosen},
            is_found=is_found,
            agrees=_is_sound(session, report),
            says=_says(session, report, chosen, is_found),
        ),
    )


def _fewest(session: Session, steps: range) -> tuple[str, ...]:
    """Return ops whose repair makes all others agree, none of which can be left out.

    Where no repair makes them agree, the ones that were tried: what is wrong first is repaired
    first, for what comes after may be wrong because of it.
    """
    chosen: list[str] = []
    while True:
        report = _run(session, steps, chosen)
        wrong = _others(report, chosen)
        if not wrong or any(not _steps(session, op) for op in chosen):
            break
        chosen.append(wrong[0].subject.op)
    if _is_sound(session, report):
        for op in tuple(chosen):
            fewer = [other for other in chosen if other != op]
            if fewer and _is_sound(session, _run(session, steps, fewer)):
                chosen = fewer
    order = [op.name for op in session.layer_map.ops]
    return tuple(sorted(chosen, key=order.index))


def _run(session: Session, steps: range, ops: Collection[str]) -> Report:
    session.heal(ops)
    return check_steps(session, steps)


def _others(report: Report, ops: Collection[str]) -> list[Verdict]:
    """Return what is wrong of other ops than these."""
    return [verdict for verdict in report.wrong if verdict.subject.op not in ops]


def _left(session: Session, report: Report) -> list[Verdict]:
    """Return what is wrong of the ops that were to be repaired, and was not."""
    done = {(r.step, r.op, buffer) for r in session.repairs for buffer in r.buffers}
    return [
        verdict
        for verdict in report.wrong
        if (subject := verdict.subject).op in session.heals
        and subject.mode is Mode.LOCAL
        and (subject.step, subject.op, subject.buffer) not in done
    ]


def _is_sound(session: Session, report: Report) -> bool:
    """Whether the run got through, and what is wrong in it was repaired."""
    wrong = [*_others(report, session.heals), *_left(session, report)]
    return not wrong and report.error is None and len(report.verdicts) > 0


def _steps(session: Session, op: str) -> tuple[int, ...]:
    """Return the steps in which something was repaired."""
    return tuple(sorted({r.step for r in session.repairs if r.op == op and r.buffers}))


def _says(session: Session, report: Report, ops: Sequence[str], is_found: bool) -> str:
    """Return what came of it, in sentences."""
    if not ops:
        agrees = report.error is None and not report.wrong
        until = "" if agrees else " before the run ended"
        return f"No output is wrong{until}: there is nothing to repair."
    told = [why for op in ops if (why := _why_not(session, report, op))]
    wrong = [op for op in ops if _steps(session, op)]
    others = _others(report, ops)
    if wrong and _is_sound(session, report):
        alone = " alone" if len(wrong) == 1 else ""
        told.append(f"Repairing {_listed(wrong)}{alone} makes every other output agree.")
        if is_found and len(wrong) > 1:
            told.append("None of them can be left out.")
    elif wrong and others:
        first = others[0].subject
        more = len({v.subject.op for v in others} - {first.op})
        told.append(
            f"With {_listed(wrong)} repaired, {first.op} is still wrong, first in step "
            f"{first.step} ({first.buffer}){f', and so are {more} other ops' if more else ''}."
        )
    elif wrong and report.error is not None:
        told.append(f"With {_listed(wrong)} repaired, the program still does not get through.")
    if report.unproved and not others:
        told.append(f"Of {len(report.unproved)} outputs nothing can be proved.")
    return " ".join(told)


def _why_not(session: Session, report: Report, op: str) -> str:
    """Return why nothing of `op` was repaired, or not everything; empty where there is no more."""
    own = [repair for repair in session.repairs if repair.op == op]
    left = [verdict for verdict in _left(session, report) if verdict.subject.op == op]
    if not left:
        if own and not _steps(session, op):
            return f"{op} is right in every step, and nothing was written."
        return "" if own else f"{op} was never complete, and cannot be repaired."
    first = left[0].subject
    if left[0].status is Status.NONFINITE:
        return (
            f"{op} cannot be repaired: in step {first.step} it is given NaNs, or what makes them, "
            f"so that {first.buffer} should hold some too."
        )
    here = [repair for repair in own if repair.step == first.step]
    if not here:
        return f"{op} cannot be repaired: it never came to its boundary in step {first.step}."
    if here[0].is_late:
        return (
            f"{op} cannot be repaired: in step {first.step} it was complete before an op that the "
            "map has before it, so what it should have made was not known yet."
        )
    return (
        f"What {op} did to {first.buffer} in step {first.step} cannot be repaired: it was not "
        "known when the op was complete, or lies outside of all buffers."
    )


def _listed(ops: Sequence[str]) -> str:
    *most, last = ops
    return f"{', '.join(most)} and {last}" if most else last
