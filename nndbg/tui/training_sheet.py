"""Draws how the training goes: loss and accuracy over the steps, and what is confused."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rich.style import Style
from rich.text import Text

from nndbg.chart import axis, braille
from nndbg.chart.axis import Axis
from nndbg.chart.lines import Line, Point, draw
from nndbg.tui.palette import ACCENT, DIM, NUMBER, PLAIN, STRONG, WRONG
from nndbg.tui.training import Counts, Training

_ROWS, _FEWEST_ROWS = 10, 4
# Two charts lie side by side from so many columns on.
_BESIDE = 76
_GAP = 3


def draw_training(training: Training, width: int, height: int) -> Text:
    """Return the curves, and under them the confusion matrix."""
    losses, accuracies = training.losses, training.accuracies
    counts = training.confusion
    if not losses and counts is None:
        return Text(
            "nothing yet: this fills as steps are run whose ops tell a loss, "
            "or the labels of the samples",
            DIM,
        )
    beside = width >= _BESIDE and bool(losses) and bool(accuracies)
    room = (width - _GAP) // 2 if beside else width
    rows = min(_ROWS, max(_FEWEST_ROWS, height - 4))
    charts = []
    if losses:
        charts.append(_chart("loss", losses, room, rows, ACCENT, axis.of_losses))
    if accuracies:
        shares = [(at, 100 * share) for at, share in accuracies]
        charts.append(_chart("accuracy %", shares, room, rows, NUMBER, axis.of_accuracies))
    lines = _side_by_side(charts, room) if beside else [line for c in charts for line in c]
    if counts is not None:
        lines += [Text(), *_confusion(counts, width)]
    return Text("\n").join(lines)


def _chart(
    name: str,
    points: Sequence[tuple[int, float]],
    width: int,
    rows: int,
    style: Style,
    scale: Callable[[Sequence[float], int], Axis],
) -> list[Text]:
    last = points[-1][1]
    title = Text.assemble((name, STRONG), (f"  {last:.4g} in step {points[-1][0]}", DIM))
    known = [(float(at), value) for at, value in points if math.isfinite(value)]
    title.append(f", {len(points)} steps seen", DIM)
    title.truncate(width, overflow="ellipsis")
    if not known:
        return [title, Text(f"{last:g}", WRONG)]
    y = scale([value for _, value in known], 3)
    x = axis.of_steps(int(known[0][0]), max(int(known[-1][0]), int(known[0][0]) + 1), 4)
    few: list[Point] = known if len(known) < width // 4 else []
    most = braille.ACROSS * width
    thin = known[:: max(1, len(known) // most)]
    return [title, *draw([Line(thin, style)], x, y, (width, rows), "step", few, style)]


def _side_by_side(charts: list[list[Text]], room: int) -> list[Text]:
    left, right = charts
    lines = []
    for number in range(max(len(left), len(right))):
        line = left[number].copy() if number < len(left) else Text()
        line.pad_right(room - line.cell_len + _GAP)
        lines.append(line.append_text(right[number]) if number < len(right) else line)
    return lines


def _confusion(counts: Counts, width: int) -> list[Text]:
    total, right = int(counts.sum()), int(counts.trace())
    cell = max(3, len(str(int(counts.max())))) + 1
    title = Text.assemble(
        ("confusion", STRONG),
        (f"  {right} of {total} right; rows: the label, columns: what it was taken for", DIM),
    )
    title.truncate(width, overflow="ellipsis")
    if 4 + cell * len(counts) > width:
        return [title, Text(f"{len(counts)} classes need more columns than {width}", DIM)]
    head = "".join(f"{number:>{cell}}" for number in range(len(counts)))
    lines = [title, Text(f"{'':4}{head}", DIM)]
    worst = max((int(v) for r, row in enumerate(counts) for c, v in enumerate(row) if r != c))
    for label, row in enumerate(counts.tolist()):
        line = Text().append(f"{label:>3} ", DIM)
        for taken, count in enumerate(row):
            style = ACCENT if taken == label else WRONG if count == worst else PLAIN
            line.append(f"{count or '·':>{cell}}", style if count else DIM)
        lines.append(line)
    return lines
