"""Gathers the verdicts of a report by output, and says them in the words that all formats share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from nndbg.compare import Element, Mode, Status, Verdict
from nndbg.report.model import Report
from nndbg.text import printable

SYMBOLS: Mapping[Status, str] = {
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

_MOST_RUNS = 12


@dataclass(frozen=True)
class Output:
    """All verdicts on one buffer after one op in one mode, in the order of steps; never none."""

    verdicts: tuple[Verdict, ...]

    @property
    def op(self) -> str:
        """The op, as text that can be shown."""
        return line(self.verdicts[0].subject.op)

    @property
    def kind(self) -> str:
        """The kind of the op."""
        return line(self.verdicts[0].subject.kind)

    @property
    def buffer(self) -> str:
        """The buffer, as text that can be shown."""
        return line(self.verdicts[0].subject.buffer)

    @property
    def mode(self) -> Mode:
        """What the reference was fed with."""
        return self.verdicts[0].subject.mode

    @cached_property
    def wrong(self) -> tuple[Verdict, ...]:
        """The verdicts that find the program at fault."""
        return tuple(v for v in self.verdicts if v.status.is_wrong)

    @property
    def status(self) -> Status:
        """What was wrong first; where nothing was, whether all could be checked."""
        if self.wrong:
            return self.wrong[0].status
        unchecked = any(v.status is Status.UNCHECKED for v in self.verdicts)
        return Status.UNCHECKED if unchecked else Status.AGREE

    @property
    def checked(self) -> int:
        """How many elements were compared."""
        return sum(v.checked for v in self.verdicts)

    @property
    def bad(self) -> int:
        """How many of them are wrong."""
        return sum(v.bad for v in self.verdicts)

    @property
    def share(self) -> float | None:
        """The largest share of its bound that an element uses, None where there is none."""
        return max((v.worst.share for v in self.verdicts if v.worst is not None), default=None)

    @property
    def says(self) -> str:
        """Its steps in words: `wrong in 0-2`, or that all agree."""
        if self.wrong:
            return f"wrong in {ranges(v.subject.step for v in self.wrong)}"
        return str(self.status)


def outputs(report: Report) -> list[Output]:
    """Return the outputs in the order in which their ops, then they, are first judged."""
    ops: dict[str, dict[tuple[str, str], list[Verdict]]] = {}
    for verdict in report.verdicts:
        subject = verdict.subject
        found = ops.setdefault(subject.op, {})
        found.setdefault((subject.buffer, subject.mode), []).append(verdict)
    return [Output(tuple(verdicts)) for found in ops.values() for verdicts in found.values()]


def unchecked(report: Report) -> int:
    """Return of how many verdicts nothing could be proved."""
    return sum(v.status is Status.UNCHECKED for v in report.verdicts)


def headline(report: Report) -> str:
    """Return what came of the check, as a sentence without its end."""
    count = len(report.verdicts)
    if report.agrees:
        return f"all {count - unchecked(report)} outputs agree"
    if report.wrong:
        return f"{len(report.wrong)} of {count} outputs are wrong"
    if report.error is not None:
        return "the run ended early"
    if report.objections:
        mistakes = len(report.objections)
        return f"no output is wrong, but audits found {mistakes} mistake{'s' * (mistakes > 1)}"
    if report.unproved:
        return f"{len(report.unproved)} of {count} outputs could not be checked"
    return "nothing was checked"


def steps_in_words(report: Report) -> str:
    """Return which steps were checked whole: `steps 0-2`."""
    return f"step{'s' if len(report.steps) != 1 else ''} {ranges(report.steps) or 'none'}"


def found(verdict: Verdict) -> str:
    """Return where an output is wrong, and in how many elements."""
    count = f"{verdict.bad} of {verdict.checked} elements are wrong"
    return f"{line(verdict.where)}: {count}" if verdict.where else count


def place(verdict: Verdict) -> str:
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


def in_words(verdict: Verdict) -> str:
    """Return all that is known of a verdict, a sentence a line."""
    lines = [found(verdict)] if verdict.status.is_wrong else []
    if verdict.says:
        lines.append(line(verdict.says))
    if verdict.worst is not None and verdict.status.is_wrong:
        sides = ", ".join(
            " ".join(f"{name} {value}".split()) for name, value in compared(verdict.worst)
        )
        lines.append(f"worst: {place(verdict)}: {sides}")
    return "\n".join(lines)


def share_in_words(share: float | None) -> str:
    """Return a share of a bound as a reader takes it in at a glance; `-` for none."""
    if share is None:
        return "-"
    if math.isinf(share):
        return "∞"
    return f"{share:.0%}" if share < 10 else f"{share:.0e} x"


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as `0-2, 7`, each once; of many runs only the first."""
    ordered = sorted(set(numbers))
    runs: list[str] = []
    told = 0
    for _, group in groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in group]
        if len(runs) == _MOST_RUNS:
            return f"{', '.join(runs)} and {len(ordered) - told} more"
        runs.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
        told += len(members)
    return ", ".join(runs)


def line(text: str) -> str:
    """Return `text` as one line that steers nothing, with its line feeds written as `\\n`."""
    return printable(text).replace("\n", "\\n")
