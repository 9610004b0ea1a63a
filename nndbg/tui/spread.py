"""Draws the statistics and the histogram of a buffer."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from rich.style import Style
from rich.text import Text

from nndbg.tui.number_format import exponent
from nndbg.tui.palette import ACCENT, DIM, NUMBER, PLAIN, STRONG, WRONG
from nndbg.tui.statistics import Histogram, Statistics, histogram, statistics
from nndbg.tui.tensor import Tensor

_NAME, _CELL, _GAP = 8, 11, 4
_LABEL = 9
# Fewer columns than these for the bars, and they come below the table.
_NARROWEST_BARS = 30
_MOST_BINS, _FEWEST_BINS = 25, 8
_EIGHTHS = " ▏▎▍▌▋▊▉"


def draw_spread(tensor: Tensor | None, width: int, height: int) -> Text:
    """Return the table, and the histogram beside it or below."""
    if tensor is None:
        return Text("no numbers here", DIM)
    table = _table(tensor)
    taken = max(line.cell_len for line in table) + _GAP
    is_beside = width - taken >= _NARROWEST_BARS
    room = width - taken if is_beside else width
    bins = min(_MOST_BINS, max(_FEWEST_BINS, height - 2))
    bars = _bars(histogram(tensor, bins), room)
    if not is_beside:
        return Text("\n").join([*table, Text(), *bars])
    lines = []
    for number in range(max(len(table), len(bars))):
        line = table[number].copy() if number < len(table) else Text()
        line.pad_right(taken - line.cell_len)
        lines.append(line.append_text(bars[number]) if number < len(bars) else line)
    return Text("\n").join(lines)


def _table(tensor: Tensor) -> list[Text]:
    sides = {"actual": statistics(tensor.actual)}
    if tensor.expected is not None:
        sides["reference"] = statistics(tensor.expected.value)
        with np.errstate(all="ignore"):
            gap = np.asarray(tensor.actual, np.float64) - tensor.expected.value
        sides["difference"] = statistics(gap)
    found = list(sides.values())
    head = Text(f"{'':{_NAME}}")
    for name in sides:
        head.append(f"{name:>{_CELL}}", STRONG)
    return [
        head,
        _row("elements", (f"{s.count}" for s in found)),
        _row("zero", (_share(s.zeros, s) for s in found)),
        _row("nan", (f"{s.nans}" for s in found), [WRONG if s.nans else PLAIN for s in found]),
        _row(
            "infinite",
            (f"{s.infinities}" for s in found),
            [WRONG if s.infinities else PLAIN for s in found],
        ),
        *(
            _row(name, (_number(getattr(s, field)) for s in found))
            for name, field in (
                ("least", "least"),
                ("median", "median"),
                ("largest", "largest"),
                ("mean", "mean"),
                ("std dev", "deviation"),
            )
        ),
    ]


def _row(name: str, cells: Iterable[str], styles: Iterable[Style] = ()) -> Text:
    line = Text().append(f"{name:<{_NAME}}", DIM)
    looks = list(styles)
    for number, cell in enumerate(cells):
        line.append(f"{cell:>{_CELL}}", looks[number] if looks else PLAIN)
    return line


def _share(part: int, of: Statistics) -> str:
    return f"{part} {part / of.count:.0%}" if part else "0"


def _number(value: float) -> str:
    if np.isnan(value):
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.5g}"
    return exponent(value, _CELL - 2)


def _bars(found: Histogram | None, width: int) -> list[Text]:
    if found is None:
        return [Text("no numbers but zeros to count", DIM)]
    most = int(max(found.actual.max(), 0 if found.expected is None else found.expected.max(), 1))
    digits = len(str(most))
    room = max(4, width - _LABEL - digits - 3)
    head = Text.assemble(("count from here", STRONG), ("  ", PLAIN), ("█", ACCENT))
    head.append(" actual", DIM)
    if found.expected is not None:
        head.append("  ┃", NUMBER).append(" reference", DIM)
    lines = [head]
    for number, count in enumerate(found.actual.tolist()):
        label = _edge(float(found.edges[number]))
        line = Text.assemble((f"{label:>{_LABEL}} ", DIM), (f"{count:>{digits}} ", PLAIN))
        bar = _bar(count / most, room)
        if found.expected is not None:
            at = min(round(found.expected[number] / most * room), room - 1)
            cells = bar.ljust(room)
            line.append(cells[:at], ACCENT).append("┃", NUMBER).append(cells[at + 1 :], ACCENT)
        else:
            line.append(bar, ACCENT)
        line.rstrip()
        lines.append(line)
    last = Text(f"{_edge(float(found.edges[-1])):>{_LABEL}}", DIM)
    if found.left_out:
        last.append(f"  without {found.left_out} zeros", DIM)
    return [*lines, last]


def _edge(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:.4g}" if 1e-3 <= abs(value) < 1e5 else exponent(value, _LABEL)


def _bar(share: float, room: int) -> str:
    eighths = round(share * room * 8)
    if share > 0:
        eighths = max(eighths, 1)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
