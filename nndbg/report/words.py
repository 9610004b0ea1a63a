"""Says what a report holds, in the signs and words that all formats share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice

from nndbg.compare import Element, Status, Verdict
from nndbg.crash import Crash
from nndbg.diagnose import Diagnosis
from nndbg.report.model import CodePlace, Computed, Culprit, Report, Turn
from nndbg.report.tally import Output, Steps, Tally
from nndbg.text import printable

SIGNS: Mapping[Status, str] = {
    Status.AGREE: "✓",
    Status.DIVERGED: "✗",
    Status.NONFINITE: "∞",
    Status.UNWRITTEN: "○",
    Status.UNCHECKED: "?",
}
MEANINGS: Mapping[Status, str] = {
    Status.AGREE: "Every element is within its bound of the reference.",
    Status.DIVERGED: "An element is beyond its bound, or a buffer changed that no op owns.",
    Status.NONFINITE: "An element is NaN or infinite where the reference is not.",
    Status.UNWRITTEN: "The output is wrong and as it was before the op, or its op never ended.",
    Status.UNCHECKED: "Nothing can be proved of the output: its bound is too loose.",
}
ENDED_EARLY = "the run ended early"
NOTHING = "nothing was checked"

_MOST_RUNS = 12


def headline(report: Report, counts: Tally) -> str:
    """Return what came of the check, as a sentence without its end."""
    number = len(report.verdicts)
    if not number:
        return NOTHING
    loose = f", {counts.unchecked} unchecked" if counts.unchecked else ""
    if counts.wrong:
        return f"{counts.wrong} of {number} outputs are wrong{loose}"
    if report.error is not None:
        return f"{ENDED_EARLY}; nothing was wrong in {_outputs(number)} before{loose}"
    if report.objections:
        mistakes = len(report.objections)
        found = f"{mistakes} mistake{'s' * (mistakes > 1)}"
        return f"no output is wrong, but audits found {found}{loose}"
    if report.agrees:
        checked = number - counts.unchecked
        return f"{'all ' * (checked > 1)}{_outputs(checked)} agree{'s' * (checked == 1)}{loose}"
    return f"{counts.unproved} of {number} outputs could not be checked"


def _outputs(number: int) -> str:
    return f"{number} output{'s' * (number != 1)}"


def steps_in_words(report: Report) -> str:
    """Return which steps were checked whole: `steps 0-2`."""
    return numbered(Steps(report.steps)) if report.steps else "no whole step"


def in_one_word(output: Output) -> str:
    """Return what came of an output: `wrong in 0-2`, or its status."""
    return f"wrong in {ranges(output.wrong_steps)}" if output.wrong else str(output.status)


def found(verdict: Verdict) -> str:
    """Return where an output is wrong, and in how many elements."""
    count = f"{verdict.bad} of {verdict.checked} elements are wrong"
    return f"{line(verdict.where)}: {count}" if verdict.where else count


def unproved(output: Output) -> str:
    """Return why it is not known whether an output is right; empty where it is."""
    if output.unproved is None:
        return ""
    subject, why = output.subject, line(output.unproved.first.says)
    return (
        f"{line(subject.buffer)} after {line(subject.op)} could not be checked in "
        f"{numbered(output.unproved.steps)}{': ' if why else ''}{why}"
    )


def worst_place(verdict: Verdict) -> str:
    """Return the worst element as one would write it: `z1[3, 63]`."""
    buffer = line(verdict.subject.buffer)
    return f"{buffer}{list(verdict.worst.index)}" if verdict.worst else buffer


def compared(element: Element) -> list[tuple[str, str]]:
    """Return both sides of an element and their distance, each with its name."""
    sides = [
        ("program", f"{element.actual:.9g}"),
        ("reference", f"{element.expected:.9g}  ±{element.bound:.2g}"),
    ]
    return sides if element.ulps is None else [*sides, ("apart", f"{element.ulps} ulps")]


def explained(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as a sentence, with how much of the divergence it explains."""
    return f"{line(diagnosis.says)} (explains {diagnosis.explains} of {diagnosis.of})"


def accused(culprit: Culprit) -> list[str]:
    """Return who made the first wrong number, a sentence for each that may have."""
    told = [
        f"{line(suspect.place)} in {line(suspect.function)}: {line(suspect.instruction)} "
        f"({line(suspect.says)})"
        for suspect in culprit.candidates
    ]
    how = computed(culprit.computed) if culprit.computed is not None else []
    notes = [line(note) for note in culprit.notes]
    return [f"culprit: {told[0]}", *(f"or else: {other}" for other in told[1:]), *how, *notes]


def computed(how: Computed) -> list[str]:
    """Return how a wrong element was computed: a sentence, where, and a line for each addition."""
    return [
        f"how {line(how.element)} was computed: {line(how.says)}",
        f"in {line(how.lane)}",
        *(in_a_turn(turn) for turn in how.turns),
    ]


def in_a_turn(turn: Turn) -> str:
    """Return what one addition did, in a line."""
    sign = SIGNS[Status.AGREE if turn.is_right else Status.DIVERGED]
    took = f" ({line(turn.took)})" if turn.took else ""
    what = f"behind {line(turn.label)}{took}" if turn.label else "then"
    return (
        f"{sign} {what}: the lane held {turn.value:.9g}, "
        f"expected {turn.expected:.9g} ±{turn.bound:.2g}"
    )


def in_words(verdict: Verdict) -> str:
    """Return all that is known of a verdict, a sentence a line."""
    lines = [found(verdict)] if verdict.status.is_wrong else []
    if verdict.says:
        lines.append(line(verdict.says))
    if verdict.worst is not None and verdict.status.is_wrong:
        sides = ", ".join(
            " ".join(f"{name} {value}".split()) for name, value in compared(verdict.worst)
        )
        lines.append(f"worst: {worst_place(verdict)}: {sides}")
    return "\n".join(lines)


def crashed(crash: Crash) -> list[str]:
    """Return where and why the program crashed, a sentence each."""
    place = CodePlace(crash.address, crash.function, crash.file, crash.line)
    what = f": {line(crash.instruction)}" if crash.instruction else ""
    last = crash.last_agreed
    return [
        f"{crash.signal} at {boundary(place)}{what}",
        line(crash.says),
        f"the last op that agreed: {line(last.op)} in step {last.step}"
        if last is not None
        else "no op agreed before",
    ]


def boundary(place: CodePlace) -> str:
    """Return a place in the code as far as it is known: `asm/loss.asm:60 in forward (0x43fb)`."""
    source = f"{line(place.file)}:{place.line}" if place.file else ""
    known = " in ".join(filter(None, [source, line(place.function or "")]))
    return f"{known} ({place.address:#x})" if known else f"{place.address:#x}"


def share_in_words(share: float | None) -> str:
    """Return a share of a bound as a reader takes it in at a glance; `-` for none."""
    if share is None:
        return "-"
    if math.isinf(share):
        return "∞"
    return f"{share:.0%}" if share < 10 else f"{share:.0e} x"


def numbered(steps: Steps) -> str:
    """Return steps with the word before them: `step 3`, `steps 0-2, 7`."""
    shown = ranges(steps)
    return f"step{'' if shown.isdecimal() else 's'} {shown}"


def ranges(steps: Steps) -> str:
    """Return steps as `0-2, 7`; of many runs only the first."""
    runs = list(steps.runs)
    shown = [f"{first}-{last}" if last > first else f"{first}" for first, last in runs[:_MOST_RUNS]]
    left = sum(last + 1 - first for first, last in islice(runs, _MOST_RUNS, None))
    return f"{', '.join(shown)}{f' and {left} more' if left else ''}"


def line(text: str) -> str:
    """Return `text` as one line that steers nothing, with its line feeds written as `\\n`."""
    return printable(text).replace("\n", "\\n")
