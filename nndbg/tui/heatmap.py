"""The heatmap: actual, reference and difference as pictures, one cursor through all of them."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from nndbg.text import printable
from nndbg.tui.heat import Scale, colours, gathered, heat_of, signs
from nndbg.tui.keys import pane_bindings
from nndbg.tui.matrix_layout import Side
from nndbg.tui.named_bindings import named
from nndbg.tui.palette import ACCENT, DIM, STRONG
from nndbg.tui.tensor import Tensor

_HEADING = 1
_GAP = 2
# Points that one element takes at most, across and down.
_WIDEST, _TALLEST = 4, 4
_CURSOR = "◆"
_LEGEND = {
    Side.ACTUAL: "blue < 0 < amber",
    Side.REFERENCE: "",
    Side.DIFFERENCE: "bright: wrong",
}


class Heatmap(Widget, can_focus=True):
    """A tensor at a glance: the whole of it, or, zoomed, a point for each element."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "heatmap",
        [
            *pane_bindings("numbers"),
            *pane_bindings("heatmap"),
            Binding("up,k", "move(-1, 0)", "Up", show=False),
            Binding("down,j", "move(1, 0)", "Down", show=False),
            Binding("left,h", "move(0, -1)", "Left", show=False),
            Binding("right,l", "move(0, 1)", "Right", show=False),
            Binding("pageup", "page(-1)", "Page up", show=False),
            Binding("pagedown", "page(1)", "Page down", show=False),
            Binding("home", "corner(False)", "First element", show=False),
            Binding("end", "corner(True)", "Last element", show=False),
        ],
    )

    class Moved(Message):
        """The cursor is on another element."""

        def __init__(self, place: tuple[int, int]) -> None:
            super().__init__()
            self.place = place

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tensor: Tensor | None = None
        self._words = ""
        self._at = (0, 0)
        self._choice: Side | None = None
        self.is_zoomed = False
        self._origin = (0, 0)
        self._picture: _Picture | None = None

    def show(self, tensor: Tensor | None, at: tuple[int, int], words: str = "") -> None:
        """Show a tensor with the cursor at an element; or say in words why there is none."""
        if tensor is not self._tensor:
            self._picture = None
        self._tensor, self._words = tensor, words
        self.follow(at)

    def follow(self, at: tuple[int, int]) -> None:
        """Put the cursor on an element."""
        self._at = at
        if self.is_zoomed:
            self._reveal()
        self.refresh()

    def choose(self, side: Side | None) -> None:
        """Show one side alone, or all of them side by side."""
        self._choice = side
        self._redraw()

    def zoom(self) -> None:
        """Show a point for each element, or the whole again."""
        self.is_zoomed = not self.is_zoomed
        self._reveal()
        self._redraw()

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor by points."""
        picture = self._drawn()
        if picture is None:
            return
        row, column = self._at
        down *= self._stride(picture.rows)
        right *= self._stride(picture.columns)
        self._go(row + down, column + right)

    def action_page(self, pages: int) -> None:
        """Move the cursor by half of what the screen holds."""
        picture = self._drawn()
        if picture is not None:
            self._go(self._at[0] + pages * max(1, picture.rows.count // 2), self._at[1])

    def action_corner(self, last: bool) -> None:
        """Move the cursor to the first or the last element."""
        if self._tensor is not None:
            self._go(*((self._tensor.rows - 1, self._tensor.columns - 1) if last else (0, 0)))

    def on_mouse_scroll_down(self) -> None:
        """Move down."""
        self.action_move(3, 0)

    def on_mouse_scroll_up(self) -> None:
        """Move up."""
        self.action_move(-3, 0)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the element under the mouse."""
        picture, at = self._drawn(), event.get_content_offset(self)
        if picture is None or at is None or at.y < _HEADING:
            return
        row = picture.rows.place((at.y - _HEADING) * picture.down)
        column = picture.columns.place(at.x % (picture.width + _GAP))
        if row is not None and column is not None:
            self._go(self._origin[0] + row, self._origin[1] + column)

    def on_resize(self) -> None:
        """Fit the picture to the new size."""
        self._reveal()
        self._redraw()

    def notify_style_update(self) -> None:
        """Forget what was drawn in other colours."""
        super().notify_style_update()
        self._picture = None

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self.size.width
        picture = self._drawn()
        if picture is None:
            words = f"  {printable(self._words)}" if y == _HEADING else ""
            segments = [Segment(words, DIM)]
        elif y < _HEADING:
            segments = self._titles(picture)
        else:
            segments = picture.line(y - _HEADING, self._cursor(picture))
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    @property
    def _sides(self) -> tuple[Side, ...]:
        assert self._tensor is not None
        if self._tensor.expected is None:
            return (Side.ACTUAL,)
        return tuple(Side) if self._choice is None else (self._choice,)

    def _titles(self, picture: _Picture) -> list[Segment]:
        assert self._tensor is not None
        segments: list[Segment] = []
        for side in picture.sides:
            words = _LEGEND[side]
            if side is Side.REFERENCE or not words:
                words = f"±{self._tensor.largest:.3g} at most"
            room = picture.width - len(side) - 2
            shown = words if len(words) <= room else ""
            segments += [
                Segment(side, STRONG),
                Segment(f"  {shown}".ljust(picture.width - len(side) + _GAP), DIM),
            ]
        return segments

    def _stride(self, scale: Scale) -> int:
        """How many places the cursor moves by, to be seen to move."""
        return max(1, scale.count // scale.blocks)

    def _go(self, row: int, column: int) -> None:
        if self._tensor is None:
            return
        at = (
            min(max(row, 0), self._tensor.rows - 1),
            min(max(column, 0), self._tensor.columns - 1),
        )
        self.follow(at)
        self.post_message(self.Moved(at))

    def _cursor(self, picture: _Picture) -> tuple[int, int]:
        """Return line and column, in each side, of the cursor."""
        row, column = self._at[0] - self._origin[0], self._at[1] - self._origin[1]
        return picture.rows.point(row) // picture.down, picture.columns.point(column)

    def _room(self) -> tuple[int, int]:
        """How many points there are down, and across in each side."""
        down = 2 if self._has_colours else 1
        sides = len(self._sides)
        width = (self.size.width - _GAP * (sides - 1)) // sides
        return max(1, self.size.height - _HEADING) * down, max(1, width)

    def _reveal(self) -> None:
        """Zoomed, keep the cursor in the picture."""
        origin = (0, 0)
        if self._tensor is not None and self.is_zoomed and self.size.width:
            counts = (self._tensor.rows, self._tensor.columns)
            room = self._room()
            origin = (
                _window(self._origin[0], self._at[0], room[0], counts[0]),
                _window(self._origin[1], self._at[1], room[1], counts[1]),
            )
        if origin != self._origin:
            self._origin = origin
            self._picture = None

    def _redraw(self) -> None:
        self._picture = None
        self.refresh()

    @property
    def _has_colours(self) -> bool:
        return not self.app.no_color and self.app.console.color_system in ("256", "truecolor")

    def _drawn(self) -> _Picture | None:
        if self._tensor is None or not self.size.width:
            return None
        if self._picture is None:
            down, across = self._room()
            top, left = self._origin
            rows, columns = self._tensor.rows - top, self._tensor.columns - left
            if self.is_zoomed:
                rows, columns = min(rows, down), min(columns, across)
            self._picture = _Picture(
                self._tensor,
                self._sides,
                (slice(top, top + rows), slice(left, left + columns)),
                Scale(rows, down, _TALLEST),
                Scale(columns, across, _WIDEST),
                across,
                self._has_colours,
            )
        return self._picture


def _window(start: int, at: int, room: int, count: int) -> int:
    """Return where a window of `room` places begins, so that it has `at` in it: here, or around."""
    kept = start if start <= at < start + room else at - room // 2
    return max(0, min(kept, count - room))


class _Picture:
    """The sides of a tensor, drawn: with colours two points to a character, one above the other."""

    def __init__(
        self,
        tensor: Tensor,
        sides: tuple[Side, ...],
        window: tuple[slice, slice],
        rows: Scale,
        columns: Scale,
        width: int,
        has_colours: bool,
    ) -> None:
        self.sides, self.rows, self.columns, self.width = sides, rows, columns, width
        self.down = 2 if has_colours else 1
        heats = [gathered(heat_of(tensor, side)[window], rows, columns) for side in sides]
        self._signs = [] if has_colours else [signs(heat) for heat in heats]
        self._colours = [colours(heat) for heat in heats] if has_colours else []
        self._lines: dict[tuple[int, int], list[Segment]] = {}

    def line(self, y: int, cursor: tuple[int, int]) -> list[Segment]:
        """Return a line of all sides, with the cursor if it is on it."""
        at = cursor[1] if cursor[0] == y else -1
        if (y, at) not in self._lines:
            self._lines[y, at] = self._draw(y, at)
        return self._lines[y, at]

    def _draw(self, y: int, cursor: int) -> list[Segment]:
        segments: list[Segment] = []
        for number in range(len(self.sides)):
            if self._colours:
                cells = self._blocks(self._colours[number], y, cursor)
            else:
                cells = self._characters(self._signs[number], y, cursor)
            drawn = sum(len(cell.text) for cell in cells)
            segments += [*cells, Segment(" " * (self.width - drawn + _GAP))]
        return segments

    def _blocks(self, picture: NDArray[np.uint8], y: int, cursor: int) -> list[Segment]:
        if 2 * y >= len(picture):
            return []
        upper = picture[2 * y]
        is_last = 2 * y + 1 >= len(picture)
        lower = np.zeros_like(upper) if is_last else picture[2 * y + 1]
        pairs = np.concatenate([upper, lower], axis=1)
        edges = np.flatnonzero((pairs[1:] != pairs[:-1]).any(axis=1)) + 1
        cuts = {0, len(pairs), *edges.tolist()}
        cuts |= {cursor, cursor + 1} if 0 <= cursor < len(pairs) else set()
        places = sorted(cuts)
        segments = []
        for start, end in pairwise(places):
            style = _style(*pairs[start].tolist(), is_last)
            if start == cursor:
                segments.append(Segment(_CURSOR, Style(color="#ffffff", bgcolor=style.color)))
            else:
                segments.append(Segment("▀" * (end - start), style))
        return segments

    def _characters(self, picture: NDArray[np.str_], y: int, cursor: int) -> list[Segment]:
        if y >= len(picture):
            return []
        text = "".join(picture[y].tolist())
        if not 0 <= cursor < len(text):
            return [Segment(text)]
        return [Segment(text[:cursor]), Segment(_CURSOR, ACCENT), Segment(text[cursor + 1 :])]


@lru_cache(maxsize=1 << 14)
def _style(r1: int, g1: int, b1: int, r2: int, g2: int, b2: int, is_last: bool) -> Style:
    """Return the style of two points, the second of which may be missing."""
    below = None if is_last else Color.from_rgb(r2, g2, b2)
    return Style(color=Color.from_rgb(r1, g1, b1), bgcolor=below)
