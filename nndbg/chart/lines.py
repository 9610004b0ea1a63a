"""Draws lines and marks over two axes, in braille, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
from rich.style import Style
from rich.text import Text

from nndbg.chart import axis, braille
from nndbg.chart.axis import Axis

Point = tuple[float, float]

_DIM = Style(dim=True)


@dataclass(frozen=True)
class Line:
    """Points that a line joins; where lines meet, the last gives the colour."""

    points: Sequence[Point]
    style: Style


def draw(
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    size: tuple[int, int],
    name: str,
    marks: Sequence[Point] = (),
    mark_style: Style = _DIM,
) -> list[Text]:
    """Return a chart of `size` columns and rows, and two rows for the axis of x, called `name`."""
    width, rows = size
    labels = {_row(tick, y, rows): axis.label(tick) for tick in y.ticks}
    margin = max(map(len, labels.values()))
    columns = width - margin - 2
    drawn = [(line.style, _dots(line.points, x, y, columns, rows)) for line in lines]
    signs = {
        (_row(value, y, rows), _column(at, x, columns))
        for at, value in marks
        if math.isfinite(value)
    }
    chart = []
    for row in range(rows):
        label = labels.get(row, "")
        text = Text.assemble((f"{label:>{margin}} {'┤' if label else '│'}", _DIM))
        for column in range(columns):
            if (row, column) in signs:
                text.append("●", mark_style)
            else:
                text.append(*_cell([(style, dots[row][column]) for style, dots in drawn]))
        chart.append(text)
    return [*chart, *_x_axis(x, margin + 1, columns, name)]


def _cell(layers: Collection[tuple[Style, str]]) -> tuple[str, Style | None]:
    """Return the dots of all layers in one character, in the style of the last that has one."""
    seen = [(style, dot) for style, dot in layers if dot != " "]
    if not seen:
        return " ", None
    return chr(reduce(or_, (ord(dot) for _, dot in seen))), seen[-1][0]


def _dots(points: Sequence[Point], x: Axis, y: Axis, columns: int, rows: int) -> list[str]:
    dots = np.zeros((rows * braille.DOWN, columns * braille.ACROSS), bool)
    places = [
        (
            round((1 - y.place(value)) * (len(dots) - 1)),
            round(x.place(at) * (dots.shape[1] - 1)),
        )
        for at, value in points
    ]
    for start, end in zip(places, places[1:] or places, strict=False):
        braille.line(dots, start, end)
    return braille.text(dots)


def _row(value: float, y: Axis, rows: int) -> int:
    return round((1 - y.place(value)) * (braille.DOWN * rows - 1)) // braille.DOWN


def _column(value: float, x: Axis, columns: int) -> int:
    return round(x.place(value) * (braille.ACROSS * columns - 1)) // braille.ACROSS


def _x_axis(x: Axis, margin: int, columns: int, name: str) -> list[Text]:
    """The line under a chart and the labels under the line; those without room are left out."""
    rule, labels = ["─"] * columns, [" "] * columns
    free = 0
    for tick in x.ticks:
        at, text = _column(tick, x, columns), axis.label(tick)
        start = min(max(at - len(text) // 2, 0), columns - len(text))
        rule[at] = "┴"
        if start >= free and start + len(text) <= columns - (len(name) + 2) * (at < columns - 1):
            labels[start : start + len(text)] = text
            free = start + len(text) + 1
    if free + len(name) <= columns:
        labels[columns - len(name) :] = name
    return [
        Text(f"{' ' * margin}└{''.join(rule)}", _DIM),
        Text(f"{' ' * margin} {''.join(labels)}", _DIM),
    ]
