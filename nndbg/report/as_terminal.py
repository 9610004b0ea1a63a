"""Renders a report for a person at a terminal, or for a log."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from nndbg.compare import Status
from nndbg.report.model import Culprit, First, Report
from nndbg.report.outputs import (
    SYMBOLS,
    compared,
    found,
    headline,
    line,
    outputs,
    place,
    share_in_words,
    steps_in_words,
    unchecked,
)
from nndbg.text import printable

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
    for output in outputs(report):
        style = STYLES[output.status]
        table.add_row(
            Text(SYMBOLS[output.status], style),
            Text(output.op),
            Text(output.kind),
            Text(output.buffer),
            output.mode.value,
            str(output.checked),
            Text(str(output.bad), style if output.bad else "dim"),
            share_in_words(output.share),
            Text(output.says, style),
        )
    return table


def _conclusion(report: Report) -> Iterable[RenderableType]:
    yield ""
    if report.first is not None:
        yield from _first(report.first)
    if report.error is not None:
        yield Text(printable(report.error), STYLES[Status.DIVERGED])
    loose = unchecked(report)
    extra = f", {loose} unchecked" if loose and (report.agrees or report.wrong) else ""
    yield Text(f"{line(report.program)}, {steps_in_words(report)}: {headline(report)}{extra}")


def _first(first: First) -> Iterable[Text]:
    verdict, subject = first.verdict, first.verdict.subject
    yield Text.assemble(
        ("First divergence: ", "bold"),
        (line(subject.op), STYLES[verdict.status]),
        f" ({line(subject.kind)}) in step {subject.step}",
    )
    yield Text(f"  {found(verdict)}")
    if verdict.says:
        yield Text(f"  {line(verdict.says)}")
    for diagnosis in first.diagnosis:
        yield Text(f"  {line(diagnosis.says)} (explains {diagnosis.explains} of {diagnosis.of})")
    if verdict.worst is not None:
        yield Text(f"  worst: {place(verdict)}")
        for name, value in compared(verdict.worst):
            yield Text(f"    {name:<10} {value}")
    if first.culprit is not None:
        yield from _culprit(first.culprit)


def _culprit(culprit: Culprit) -> Iterable[Text]:
    likeliest, *others = culprit.candidates
    yield Text.assemble(
        ("Culprit: ", "bold"), f"{line(likeliest.place)} in {line(likeliest.function)}"
    )
    yield Text(f"  {line(likeliest.instruction)}")
    yield Text(f"  {line(likeliest.says)}")
    if others:
        yield Text("  or else:")
    for suspect in others:
        what = f"{line(suspect.place)}  {line(suspect.instruction)}"
        yield Text(f"    {what}  ({line(suspect.says)})")
    for note in culprit.notes:
        yield Text(f"  {line(note)}")
