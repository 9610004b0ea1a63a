"""Counts the verdicts of a report by output, in one pass that keeps no more than it tells."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from nndbg.compare import Mode, Status, Subject, Verdict
from nndbg.report.model import Report, unproved


class Steps:
    """Steps in ascending order, held as runs: a long agreement takes no more than a short one."""

    def __init__(self, steps: Iterable[int] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for step in steps:
            self.add(step)

    def add(self, step: int) -> None:
        """Take a step that is not before the last one taken."""
        if self._lasts and step - self._lasts[-1] <= 1:
            self._lasts[-1] = step
        else:
            self._firsts.append(step)
            self._lasts.append(step)

    def __iter__(self) -> Iterator[int]:
        for first, last in self.runs:
            yield from range(first, last + 1)

    @property
    def runs(self) -> Iterable[tuple[int, int]]:
        """First and last of each run of consecutive steps."""
        return zip(self._firsts, self._lasts, strict=True)

    def first_in(self, first: int, last: int) -> int | None:
        """Return the earliest of the steps `first` to `last`, None where none is held."""
        at = bisect_left(self._lasts, first)
        if at == len(self._lasts) or self._firsts[at] > last:
            return None
        return max(self._firsts[at], first)


@dataclass
class Part:
    """The verdicts of one status on one output; `first` is the earliest."""

    first: Verdict
    steps: Steps = field(default_factory=Steps)
    verdicts: int = 0
    checked: int = 0
    bad: int = 0

    def take(self, verdict: Verdict) -> None:
        """Count a verdict, which is no earlier than those before."""
        self.steps.add(verdict.subject.step)
        self.verdicts += 1
        self.checked += verdict.checked
        self.bad += verdict.bad


@dataclass
class Output:
    """All verdicts on one buffer after one op in one mode; `parts` in the order they occurred.

    `unproved` are those of the unchecked ones that leave open whether the output is right; `share`
    is the largest share of its bound that an element uses, None where there is none.
    """

    subject: Subject
    parts: dict[Status, Part] = field(default_factory=dict)
    unproved: Part | None = None
    wrong_steps: Steps = field(default_factory=Steps)
    share: float | None = None

    @property
    def mode(self) -> Mode:
        """What the reference was fed with."""
        return self.subject.mode

    @property
    def status(self) -> Status:
        """What was wrong first; where nothing was, whether all could be checked."""
        return _worst(self.parts)

    @property
    def wrong(self) -> list[Part]:
        """The parts that find the program at fault, the one that began first in front."""
        return [part for status, part in self.parts.items() if status.is_wrong]

    @property
    def unchecked(self) -> Part | None:
        """The part of which nothing can be proved."""
        return self.parts.get(Status.UNCHECKED)

    @property
    def checked(self) -> int:
        """How many elements were compared."""
        return sum(part.checked for part in self.parts.values())

    @property
    def bad(self) -> int:
        """How many of them are wrong."""
        return sum(part.bad for part in self.parts.values())

    def status_in(self, first: int, last: int) -> Status | None:
        """Return the status in the steps `first` to `last`, None where it was not judged."""
        began = {
            status: step
            for status, part in self.parts.items()
            if (step := part.steps.first_in(first, last)) is not None
        }
        return _worst(sorted(began, key=began.__getitem__)) if began else None

    def take(self, verdict: Verdict, is_unproved: bool) -> None:
        """Count a verdict, which is no earlier than those before."""
        self.parts.setdefault(verdict.status, Part(verdict)).take(verdict)
        if is_unproved:
            self.unproved = self.unproved or Part(verdict)
            self.unproved.take(verdict)
        if verdict.status.is_wrong:
            self.wrong_steps.add(verdict.subject.step)
        if verdict.worst is not None:
            self.share = max(verdict.worst.share, self.share or 0.0)


@dataclass(frozen=True)
class Tally:
    """What a report holds: its outputs by op, in the order in which they were first judged."""

    ops: tuple[tuple[Output, ...], ...]

    @property
    def outputs(self) -> Iterator[Output]:
        """The outputs of all ops."""
        return (output for outputs in self.ops for output in outputs)

    @property
    def wrong(self) -> int:
        """How many verdicts find the program at fault."""
        return sum(part.verdicts for output in self.outputs for part in output.wrong)

    @property
    def unchecked(self) -> int:
        """How many verdicts prove nothing."""
        return sum(o.unchecked.verdicts for o in self.outputs if o.unchecked is not None)

    @property
    def unproved(self) -> int:
        """How many of them leave open whether their output is right."""
        return sum(o.unproved.verdicts for o in self.outputs if o.unproved is not None)


def tally(report: Report) -> Tally:
    """Count the verdicts of `report`, which come in the order of steps."""
    ops: dict[str, dict[tuple[str, Mode], Output]] = {}
    for _, same in groupby(report.verdicts, key=attrgetter("subject.step")):
        verdicts = list(same)
        loose = {id(verdict) for verdict in unproved(verdicts, report.departed)}
        for verdict in verdicts:
            subject = verdict.subject
            outputs = ops.setdefault(subject.op, {})
            output = outputs.setdefault((subject.buffer, subject.mode), Output(subject))
            output.take(verdict, id(verdict) in loose)
    return Tally(tuple(tuple(outputs.values()) for outputs in ops.values()))


def _worst(statuses: Iterable[Status]) -> Status:
    """Return the first that is wrong; else unchecked, where there is one; else agreement."""
    found = list(statuses)
    wrong = next((status for status in found if status.is_wrong), None)
    return wrong or (Status.UNCHECKED if Status.UNCHECKED in found else Status.AGREE)
