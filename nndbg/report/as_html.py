"""Renders a report as one HTML page that needs nothing else: no script, no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import count, groupby

from nndbg.compare import Distance, Status, Subject
from nndbg.report import drift_html
from nndbg.report.audits import gathered
from nndbg.report.model import CodePlace, First, Report
from nndbg.report.tally import Output, Steps, Tally, tally
from nndbg.report.words import (
    ENDED_EARLY,
    MEANINGS,
    SIGNS,
    accused,
    boundary,
    compared,
    crashed,
    headline,
    in_one_word,
    line,
    numbered,
    share_in_words,
    steps_in_words,
    unproved,
    worst_place,
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
    is_first: bool


@dataclass(frozen=True)
class Row:
    """One output over all columns."""

    output: Output
    says: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """All outputs of one op; `says` is what its worst one says."""

    subject: Subject
    status: Status
    says: str
    place: CodePlace | None
    rows: tuple[Row, ...]


def render(report: Report) -> str:
    """Return the page."""
    # Nobody but this page needs templates, and they take as long to import as a report to write.
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "boundary": boundary,
        "compared": compared,
        "distance": _distance,
        "filled": _filled,
        "line": line,
        "share": share_in_words,
        "unproved": unproved,
        "worst_place": worst_place,
    }
    source = (files("nndbg.report") / TEMPLATE).read_text(encoding="utf-8")
    counts = tally(report)
    told = headline(report, counts)
    first = report.first
    columns = _columns(report, counts)
    groups = [_group(report, first, outputs, columns) for outputs in counts.ops]
    page = environment.from_string(source).render(
        program=line(report.program),
        steps=steps_in_words(report),
        headline=f"{told[0].upper()}{told[1:]}",
        state=_state(report, first),
        ended_early=ENDED_EARLY.capitalize(),
        crash=crashed(report.crash) if report.crash is not None else [],
        error=None if report.error is None else printable(report.error),
        says=report.says,
        first=first,
        first_place=report.boundaries.get(first.verdict.subject.op) if first else None,
        accused=accused(first.culprit) if first is not None and first.culprit else [],
        findings=gathered(report),
        healed=report.healed,
        trajectory=drift_html.section(report, environment),
        loose=[output for output in counts.outputs if output.unproved is not None],
        columns=columns,
        is_short=len(columns) <= _SHORT,
        is_grouped=any(column.first != column.last for column in columns),
        digits=max((len(str(column.last)) for column in columns), default=1),
        groups=groups,
        has_modes=len({output.mode for output in counts.outputs}) > 1,
        signs=SIGNS,
        meanings=MEANINGS,
    )
    return page if page.endswith("\n") else f"{page}\n"


def _state(report: Report, first: First | None) -> Status:
    """Return the status whose sign and colour the whole report has."""
    if first is not None:
        return first.verdict.status
    if report.error is not None or report.objections:
        return Status.DIVERGED
    return Status.AGREE if report.agrees else Status.UNCHECKED


def _columns(report: Report, counts: Tally) -> tuple[Column, ...]:
    """Return the columns of the grid: the steps, or round numbers of them where they are many."""
    judged = (part.steps for output in counts.outputs for part in output.parts.values())
    steps = sorted(set(report.steps).union(*judged))
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


def _group(
    report: Report, first: First | None, outputs: Sequence[Output], columns: Sequence[Column]
) -> Group:
    subject = outputs[0].subject
    wrong = [output for output in outputs if output.wrong]
    if wrong:
        steps = Steps(sorted(set().union(*(output.wrong_steps for output in wrong))))
        status, says = wrong[0].status, f"wrong in {numbered(steps)}"
    else:
        is_open = any(output.unproved for output in outputs)
        status = Status.UNCHECKED if is_open else Status.AGREE
        says = str(status)
    return Group(
        subject=subject,
        status=status,
        says=says,
        place=report.boundaries.get(subject.op),
        rows=tuple(_row(first, output, columns) for output in outputs),
    )


def _row(first: First | None, output: Output, columns: Sequence[Column]) -> Row:
    wrong = first.verdict.subject if first is not None else None
    name = f"{line(output.subject.op)} {line(output.subject.buffer)} ({output.mode})"
    cells = []
    for column in columns:
        status = output.status_in(column.first, column.last)
        is_first = (
            wrong is not None
            and wrong == replace(output.subject, step=wrong.step)
            and column.first <= wrong.step <= column.last
        )
        cells.append(Cell(status, f"{name}, {column.name}: {status or 'not judged'}", is_first))
    return Row(output, in_one_word(output), tuple(cells))


def _filled(share: float | None) -> float:
    """Return how much of a meter a share of the bound fills, in per cent."""
    return 100 * min(share, 1.0) if share is not None else 0.0


def _distance(distance: Distance) -> str:
    return (
        f"largest difference {distance.largest:.3g}, mean {distance.mean:.3g}, "
        f"cosine {distance.cosine:.6g}"
    )
