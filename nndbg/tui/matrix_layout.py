"""Where on a line of the matrix each pane and each column lies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nndbg.tui.tensor import Tensor


class Side(StrEnum):
    """What a pane shows of an element."""

    ACTUAL = "actual"
    REFERENCE = "reference"
    DIFFERENCE = "difference"


# A number's width: of the program's and the reference's own, widest first; of their difference.
_WIDTHS = (12, 11, 10, 9, 8)
_DIFFERENCE = 7
# Columns that a pane should show before its numbers get wider than they must be.
_WANTED_TOGETHER, _WANTED_ALONE = 3, 4
# Fewer columns than these in each of three panes, and one pane alone reads better.
_FEWEST_TOGETHER = 2
# Before a number stands a space and, in the first pane, a sign.
_SPACE, _SPACE_AND_SIGN = 1, 2
SEPARATOR = " │"


@dataclass(frozen=True)
class Pane:
    """A stretch of the line: where it begins and how wide its numbers are."""

    side: Side
    start: int
    margin: int
    number: int

    @property
    def cell(self) -> int:
        """The width of a number with what stands before it."""
        return self.margin + self.number


@dataclass(frozen=True)
class Layout:
    """All panes of a line, each with the same `columns`, behind a header of the row."""

    header: int
    columns: int
    panes: tuple[Pane, ...]

    @property
    def unit(self) -> int:
        """What one column takes in all panes together."""
        return sum(pane.cell for pane in self.panes)

    def column_at(self, x: int) -> int | None:
        """Return the column, counted from the first visible one, at `x`."""
        for pane in self.panes:
            if 0 <= x - pane.start < pane.cell * self.columns:
                return (x - pane.start) // pane.cell
        return None


def lay_out(width: int, tensor: Tensor, choice: Side | None) -> Layout:
    """Return the layout for a line of `width`: one side, or all of them where there is no choice.

    A tensor without a reference has one side only.
    """
    if tensor.expected is None:
        return _arrange(width, tensor, (Side.ACTUAL,), _WANTED_ALONE)
    if choice is not None:
        return _arrange(width, tensor, (choice,), _WANTED_ALONE)
    return _arrange(width, tensor, tuple(Side), _WANTED_TOGETHER)


def fits_together(width: int, tensor: Tensor) -> bool:
    """Whether a line of `width` has room for all sides with enough columns to compare."""
    return lay_out(width, tensor, None).columns >= min(tensor.columns, _FEWEST_TOGETHER)


def _arrange(width: int, tensor: Tensor, sides: tuple[Side, ...], wanted: int) -> Layout:
    header = len(tensor.row_label(tensor.rows - 1)) + 1
    room = width - header - len(SEPARATOR) * (len(sides) - 1)
    longest = len(f"{tensor.largest:.0f}") + 1
    is_integer = tensor.actual.dtype.kind != "f"
    widths = [w for w in _WIDTHS if not is_integer or w <= longest] or [max(longest, 3)]

    def columns(number: int) -> int:
        unit = sum(map(sum, _cells(number, sides)))
        return min(room // unit, tensor.columns)

    wanted = min(wanted, columns(widths[-1]))
    number = next(w for w in widths if columns(w) >= wanted)
    shown = max(1, columns(number))
    panes, start = [], header
    for side, (margin, digits) in zip(sides, _cells(number, sides), strict=True):
        pane = Pane(side, start, margin, digits)
        panes.append(pane)
        start += pane.cell * shown + len(SEPARATOR)
    return Layout(header, shown, tuple(panes))


def _cells(number: int, sides: tuple[Side, ...]) -> list[tuple[int, int]]:
    """Return for each side what a cell's margin and its number take."""
    return [
        (
            _SPACE if place else _SPACE_AND_SIGN,
            min(number, _DIFFERENCE) if side is Side.DIFFERENCE and place else number,
        )
        for place, side in enumerate(sides)
    ]
