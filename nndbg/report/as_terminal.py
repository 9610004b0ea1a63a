"""Renders a report for a person at a terminal, or for a log."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from nndbg.compare import Status
from nndbg.report import drift_terminal
from nndbg.report.audits import gathered
from nndbg.report.drift import sentences
from nndbg.report.model import Culprit, First, Report
from nndbg.report.tally import Tally, tally
from nndbg.report.words import (
    SIGNS,
    boundary,
    compared,
    computed,
    crashed,
    explained,
    found,
    headline,
    in_one_word,
    line,
    share_in_words,
    steps_in_words,
    unproved,
    worst_place,
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
    counts = tally(report)
    if counts.ops:
        console.print(_table(counts))
        console.print()
    if report.trajectory is not None:
        for part in drift_terminal.parts(report.trajectory, console.width):
            console.print(part, soft_wrap=True)
        console.print()
    for part in _conclusion(report, counts):
        console.print(part, soft_wrap=True)


def _table(counts: Tally) -> Table:
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
    for output in counts.outputs:
        style = STYLES[output.status]
        table.add_row(
            Text(SIGNS[output.status], style),
            Text(line(output.subject.op)),
            Text(line(output.subject.kind)),
            Text(line(output.subject.buffer)),
            output.mode.value,
            str(output.checked),
            Text(str(output.bad), style if output.bad else "dim"),
            share_in_words(output.share),
            Text(in_one_word(output), style),
        )
    return table


def _conclusion(report: Report, counts: Tally) -> Iterable[RenderableType]:
    first = report.first
    if first is not None:
        yield from _first(report, first)
    for sentence in sentences(report):
        yield Text(sentence)
    for finding in gathered(report):
        style = STYLES[Status.DIVERGED if finding.is_error else Status.UNCHECKED]
        yield Text.assemble((finding.title, style), f" {finding.text}")
    for output in counts.outputs:
        if output.unproved is not None:
            yield Text(unproved(output), STYLES[Status.UNCHECKED])
    if report.healed is not None:
        yield Text.assemble(("Healed: ", "bold"), line(report.healed.says))
    if report.error is not None:
        yield Text(printable(report.error), STYLES[Status.DIVERGED])
    if report.crash is not None:
        yield from (Text(f"  {told}") for told in crashed(report.crash))
    if report.says:
        yield Text(line(report.says))
    yield Text(f"{line(report.program)}, {steps_in_words(report)}: {headline(report, counts)}")


def _first(report: Report, first: First) -> Iterable[Text]:
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
        yield Text(f"  {explained(diagnosis)}")
    if verdict.worst is not None:
        yield Text(f"  worst: {worst_place(verdict)}")
        for name, value in compared(verdict.worst):
            yield Text(f"    {name:<10} {value}")
    if (place := report.boundaries.get(subject.op)) is not None:
        yield Text(f"  {line(subject.op)} is complete at {boundary(place)}")
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
    if culprit.computed is not None:
        what, *turns = computed(culprit.computed)
        yield Text(f"  {what}")
        for turn in turns:
            yield Text(f"    {turn}")
    for note in culprit.notes:
        yield Text(f"  {line(note)}")
