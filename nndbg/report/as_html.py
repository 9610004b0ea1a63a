"""Renders a report as one HTML page that needs nothing else: no script, no network."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import count, groupby

from nndbg.compare import Distance, Status, Verdict
from nndbg.report import drift_html
from nndbg.report.model import Report
from nndbg.report.outputs import (
    MEANINGS,
    SYMBOLS,
    Output,
    compared,
    found,
    headline,
    line,
    outputs,
    place,
    ranges,
    share_in_words,
    steps_in_words,
    unchecked,
)
from nndbg.text import printable

TEMPLATE = "report.html.jinja"

# More columns than this are wider than a window; steps then share one.
MOST_COLUMNS = 40
# So few columns leave room for every label, and for more beside them.
_SHORT = 12


@dataclass(frozen=True)
class Column:
    """The steps `first` to `last` of the grid; `label` is empty where it would meet another."""

    first: int
    last: int
    label: str

    @property
    def name(self) -> str:
        """The steps in words."""
        if self.first == self.last:
            return f"step {self.first}"
        return f"steps {self.first}-{self.last}"


@dataclass(frozen=True)
class Cell:
    """One output in the steps of one column; None as status where it was never judged."""

    status: Status | None
    says: str
    is_first: bool = False


@dataclass(frozen=True)
class Row:
    """One output over all columns."""

    output: Output
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """All outputs of one op; `says` is what its worst one says."""

    op: str
    kind: str
    status: Status
    says: str
    rows: tuple[Row, ...]


def render(report: Report) -> str:
    """Return the page."""
    # Nobody but this page needs templates, and they take as long to import as a report to write.
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "compared": compared,
        "distance": _distance,
        "line": line,
        "filled": _filled,
        "place": place,
        "share": share_in_words,
    }
    source = (files("nndbg.report") / TEMPLATE).read_text(encoding="utf-8")
    told = headline(report)
    columns = _columns(report)
    page = environment.from_string(source).render(
        program=line(report.program),
        steps=steps_in_words(report),
        headline=f"{told[0].upper()}{told[1:]}",
        state=_state(report),
        unchecked=unchecked(report) if report.agrees or report.wrong else 0,
        error=None if report.error is None else printable(report.error),
        first=report.first,
        trajectory=drift_html.section(report, environment),
        columns=columns,
        is_short=len(columns) <= _SHORT,
        is_grouped=any(column.first != column.last for column in columns),
        digits=max((len(str(column.last)) for column in columns), default=1),
        groups=_groups(report, columns),
        has_modes=len({v.subject.mode for v in report.verdicts}) > 1,
        symbols=SYMBOLS,
        meanings=MEANINGS,
    )
    return page if page.endswith("\n") else f"{page}\n"


def _state(report: Report) -> Status:
    """Return the status whose sign and colour the whole report has."""
    if report.first is not None:
        return report.first.verdict.status
    if report.error is not None:
        return Status.DIVERGED
    return Status.AGREE if report.agrees else Status.UNCHECKED


def _columns(report: Report) -> tuple[Column, ...]:
    """Return the columns of the grid: the steps, or round numbers of them where they are many."""
    steps = sorted({*report.steps, *(v.subject.step for v in report.verdicts)})
    bins = [[step] for step in steps]
    sizes = (digit * 10**power for power in count() for digit in (1, 2, 5))
    while len(bins) > MOST_COLUMNS:
        size = next(sizes)
        bins = [list(same) for _, same in groupby(steps, key=lambda step: step // size)]
    every = 1 if len(bins) <= _SHORT else 5
    return tuple(
        Column(same[0], same[-1], str(same[0]) if number % every == 0 else "")
        for number, same in enumerate(bins)
    )


def _groups(report: Report, columns: Sequence[Column]) -> list[Group]:
    unproved = {(v.subject.op, v.subject.buffer, v.subject.mode) for v in report.unproved}
    first = report.first.verdict if report.first is not None else None
    groups = []
    for _, same in groupby(outputs(report), key=lambda output: output.verdicts[0].subject.op):
        members = list(same)
        wrong = [output for output in members if output.wrong]
        if wrong:
            steps = (v.subject.step for output in wrong for v in output.wrong)
            status, says = wrong[0].status, f"wrong in {ranges(steps)}"
        else:
            subjects = [output.verdicts[0].subject for output in members]
            is_open = any((s.op, s.buffer, s.mode) in unproved for s in subjects)
            status = Status.UNCHECKED if is_open else Status.AGREE
            says = str(status)
        rows = tuple(Row(output, _cells(output, columns, first)) for output in members)
        groups.append(Group(members[0].op, members[0].kind, status, says, rows))
    return groups


def _cells(output: Output, columns: Sequence[Column], first: Verdict | None) -> tuple[Cell, ...]:
    starts = [column.first for column in columns]
    held: list[list[Verdict]] = [[] for _ in columns]
    for verdict in output.verdicts:
        held[bisect_right(starts, verdict.subject.step) - 1].append(verdict)
    return tuple(
        _cell(output, column, same, first) for column, same in zip(columns, held, strict=True)
    )


def _cell(output: Output, column: Column, verdicts: list[Verdict], first: Verdict | None) -> Cell:
    name = f"{output.op} {output.buffer} ({output.mode}), {column.name}"
    if not verdicts:
        return Cell(None, f"{name}: not judged")
    part = Output(tuple(verdicts))
    if not part.wrong:
        return Cell(part.status, f"{name}: {part.status}")
    wrong = part.wrong[0]
    where = f", {part.says}" if column.first != column.last else ""
    says = f"{name}: {part.status}{where}; {found(wrong)}"
    return Cell(part.status, says, is_first=wrong is first)


def _filled(share: float | None) -> float:
    """Return how much of a meter a share of the bound fills, in per cent."""
    return 100 * min(share, 1.0) if share is not None else 0.0


def _distance(distance: Distance) -> str:
    return (
        f"largest difference {distance.largest:.3g}, mean {distance.mean:.3g}, "
        f"cosine {distance.cosine:.6g}"
    )
