"""Renders a report for a person at a terminal, or for a log."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from nndbg.compare import Element, Status, Verdict
from nndbg.report.model import Report
from nndbg.text import printable

SYMBOLS = {
    Status.AGREE: "✓",
    Status.DIVERGED: "✗",
    Status.NONFINITE: "∞",
    Status.UNWRITTEN: "○",
    Status.UNCHECKED: "?",
}
# Teal and vermilion, which the colour-blind tell apart.
STYLES = {
    Status.AGREE: "cyan",
    Status.DIVERGED: "bold red",
    Status.NONFINITE: "bold red",
    Status.UNWRITTEN: "bold red",
    Status.UNCHECKED: "yellow",
}


def show(report: Report, console: Console) -> None:
    """Print the report: a line for each op and output, then the first divergence in words."""
    console.print(_table(report))
    for part in _conclusion(report):
        console.print(part, soft_wrap=True)


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("op", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("buffer", no_wrap=True)
    table.add_column("mode", no_wrap=True)
    table.add_column("checked", justify="right")
    table.add_column("wrong", justify="right")
    table.add_column("of bound", justify="right")
    table.add_column("steps", overflow="fold")
    for verdicts in _by_output(report.verdicts):
        subject = verdicts[0].subject
        status = max((v.status for v in verdicts), key=list(SYMBOLS).index)
        if any(v.status.is_wrong for v in verdicts):
            status = next(v.status for v in verdicts if v.status.is_wrong)
        bad = sum(v.bad for v in verdicts)
        wrong_steps = [v.subject.step for v in verdicts if v.status.is_wrong]
        steps = f"wrong in {_ranges(wrong_steps)}" if wrong_steps else str(status)
        table.add_row(
            Text(SYMBOLS[status], STYLES[status]),
            subject.op,
            subject.kind,
            subject.buffer,
            subject.mode.value,
            f"{sum(v.checked for v in verdicts)}",
            Text(str(bad), STYLES[status] if bad else "dim"),
            _share(v.worst for v in verdicts),
            Text(steps, STYLES[status]),
        )
    return table


def _by_output(verdicts: Iterable[Verdict]) -> list[list[Verdict]]:
    """Group the verdicts of all steps by op, buffer and mode, in the order of their first ones."""
    groups: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in verdicts:
        subject = verdict.subject
        groups.setdefault((subject.op, subject.buffer, subject.mode), []).append(verdict)
    return list(groups.values())


def _share(elements: Iterable[Element | None]) -> str:
    """Return the largest share of its bound that an element uses."""
    shares = [element.share for element in elements if element is not None]
    if not shares:
        return "-"
    largest = max(shares)
    return f"{largest:.0%}" if largest < 10 else f"{largest:.0e} x"


def _conclusion(report: Report) -> Iterable[RenderableType]:
    yield ""
    first = report.first
    if first is not None:
        verdict, subject = first.verdict, first.verdict.subject
        yield Text.assemble(
            ("First divergence: ", "bold"),
            (f"{subject.op}", STYLES[verdict.status]),
            f" ({subject.kind}) in step {subject.step}",
        )
        yield Text(f"  {verdict.where}: {verdict.bad} of {verdict.checked} elements are wrong")
        if verdict.says:
            yield Text(f"  {verdict.says}")
        for diagnosis in first.diagnosis:
            yield Text(f"  {diagnosis.says} (explains {diagnosis.explains} of {diagnosis.of})")
        if verdict.worst is not None:
            yield Text(f"  worst: {subject.buffer}{list(verdict.worst.index)}")
            yield Text(f"    program    {verdict.worst.actual:.9g}")
            yield Text(f"    reference  {verdict.worst.expected:.9g}  ±{verdict.worst.bound:.2g}")
            if verdict.worst.ulps is not None:
                yield Text(f"    apart      {verdict.worst.ulps} ulps")
    if report.error is not None:
        yield Text(printable(report.error), STYLES[Status.DIVERGED])
    steps = f"step{'s' if len(report.steps) != 1 else ''} {_ranges(report.steps) or 'none'}"
    count, wrong = len(report.verdicts), len(report.wrong)
    unchecked = sum(v.status is Status.UNCHECKED for v in report.verdicts)
    extra = f", {unchecked} unchecked" if unchecked else ""
    if report.agrees:
        yield Text(
            f"{printable(report.program)}, {steps}: all {count - unchecked} outputs agree{extra}"
        )
    else:
        yield Text(
            f"{printable(report.program)}, {steps}: {wrong} of {count} outputs are wrong{extra}"
        )


def _ranges(numbers: Iterable[int]) -> str:
    """Return sorted numbers as `0-2, 7`."""
    runs = []
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in group]
        runs.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
    return ", ".join(runs)
