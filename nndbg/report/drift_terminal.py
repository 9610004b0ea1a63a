"""Shows a trajectory on a terminal: what it tells, in figures, and its curves in braille."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from nndbg.chart.lines import Line, draw
from nndbg.drift import Trajectory
from nndbg.report.drift import Picture, figures, pictures

# Teal, amber and grey, which the colour-blind tell apart.
_DRIFT = Style(color="#5ab8a8")
_NOISE = Style(color="#d8a94a")
_BOUND = Style(dim=True)
_WIDEST = 100
_ROWS = 8


def parts(trajectory: Trajectory, width: int) -> Iterator[RenderableType]:
    """Yield the table of all series and the chart of some, at most `width` columns wide."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("trajectory", no_wrap=True)
    for name in ("drift", "noise", "times noise", "bound"):
        table.add_column(name, justify="right")
    for row in figures(trajectory):
        table.add_row(row.buffer, row.drift, row.noise, row.ratio, row.bound)
    yield table
    for picture in pictures(trajectory):
        yield ""
        yield from _chart(picture, min(width, _WIDEST))


def _chart(picture: Picture, width: int) -> Iterator[Text]:
    title = Text.assemble(
        (picture.name, "bold"),
        ("  ⣀⠤⠒", _DRIFT),
        (" program", "dim"),
        ("  ⣀⠤⠒", _NOISE),
        (" float32 noise", "dim"),
        ("  ⣀⠤⠒", _BOUND) if picture.bound else "",
        (" bound", "dim") if picture.bound else "",
    )
    title.truncate(width, overflow="ellipsis")
    yield title
    lines = [
        Line(picture.bound, _BOUND),
        Line(picture.noise, _NOISE),
        Line(picture.drift, _DRIFT),
    ]
    yield from draw(lines, picture.x, picture.y, (width, _ROWS), "step")
