"""The matrix: actual, reference and difference side by side, one cursor through all of them."""

from __future__ import annotations

import math
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nndbg.text import printable
from nndbg.tui.keys import pane_bindings
from nndbg.tui.matrix_layout import SEPARATOR, Layout, Pane, Side, fits_together, lay_out
from nndbg.tui.named_bindings import named
from nndbg.tui.number_format import NumberFormat, number_format, signed
from nndbg.tui.palette import ACCENT, DIM, PLAIN, STRONG, UNKNOWN, WRONG, WRONG_SIGN
from nndbg.tui.tensor import Tensor

_HEADING = 2
_KEPT_LINES = 1024


class Matrix(ScrollView, can_focus=True):
    """A virtual matrix over one tensor: only the lines on the screen are ever written."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "matrix",
        [
            *pane_bindings("numbers"),
            Binding("up,k", "move(-1, 0)", "Up", show=False),
            Binding("down,j", "move(1, 0)", "Down", show=False),
            Binding("left,h", "move(0, -1)", "Left", show=False),
            Binding("right,l", "move(0, 1)", "Right", show=False),
            Binding("pageup", "page(-1)", "Page up", show=False),
            Binding("pagedown", "page(1)", "Page down", show=False),
            Binding("home", "column('first')", "First column", show=False),
            Binding("end", "column('last')", "Last column", show=False),
            Binding("ctrl+home", "corner('first')", "First element", show=False),
            Binding("ctrl+end", "corner('last')", "Last element", show=False),
        ],
    )
    COMPONENT_CLASSES: ClassVar[set[str]] = {"matrix--cursor"}
    # Columns are shared out before the scrollbar comes: its place is always kept.
    DEFAULT_CSS = """
    Matrix {
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
    }
    """

    cursor: reactive[tuple[int, int]] = reactive((0, 0))

    class Moved(Message):
        """The cursor is on another element."""

    def __init__(self, words: str, id: str | None = None) -> None:
        super().__init__(id=id)
        self._words = words
        self.tensor: Tensor | None = None
        self._choice: Side | None = None
        self._is_chosen = False
        self._layout: Layout | None = None
        self._format = NumberFormat(8, 3)
        self._lines: LRUCache[tuple[int, int, int], Strip] = LRUCache(_KEPT_LINES)

    def show(self, tensor: Tensor, at: tuple[int, int] | None = None) -> None:
        """Show a tensor with the cursor `at` an element, or where it was."""
        self.tensor = tensor
        row, column = self.cursor if at is None else at
        self._lay_out()
        self.cursor = (min(row, tensor.rows - 1), min(column, tensor.columns - 1))
        self._reveal(in_the_middle=at is not None)
        self.post_message(self.Moved())

    def show_words(self, words: str) -> None:
        """Say in words why there is no tensor to show."""
        self._words = words
        self.tensor = None
        self._lay_out()
        self.post_message(self.Moved())

    def choose(self, side: Side | None) -> None:
        """Show one side alone, or all of them side by side."""
        self._choice, self._is_chosen = side, True
        self._lay_out()
        self._reveal()

    def seek_wrong(self, forward: bool) -> bool:
        """Move to the next, or the previous, wrong element; false where there is none."""
        found = self.tensor.next_wrong(*self.cursor, forward) if self.tensor else None
        if found is not None:
            self.cursor = found
        return found is not None

    @property
    def sides(self) -> tuple[Side, ...]:
        """What is shown at present, from left to right."""
        return tuple(pane.side for pane in self._layout.panes) if self._layout else ()

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor by elements."""
        self._move_to(self.cursor[0] + down, self.cursor[1] + right)

    def action_page(self, pages: int) -> None:
        """Move the cursor by what the screen holds."""
        self._move_to(self.cursor[0] + pages * max(1, self.size.height - _HEADING), self.cursor[1])

    def action_column(self, which: str) -> None:
        """Move the cursor along its row to the end."""
        if self.tensor is not None:
            self._move_to(self.cursor[0], 0 if which == "first" else self.tensor.columns - 1)

    def action_corner(self, which: str) -> None:
        """Move the cursor to the first or the last element."""
        if self.tensor is not None:
            first = which == "first"
            self._move_to(*((0, 0) if first else (self.tensor.rows - 1, self.tensor.columns - 1)))

    def watch_cursor(self) -> None:
        """Redraw, and follow."""
        self._reveal()
        self.refresh()
        if self.tensor is not None:
            self.post_message(self.Moved())

    def on_resize(self, event: events.Resize) -> None:
        """Fit the columns to the new width."""
        self._lay_out()
        self._reveal()

    def notify_style_update(self) -> None:
        """Forget lines that were drawn in other colours."""
        super().notify_style_update()
        self._lines.clear()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the element under the mouse."""
        if self.tensor is None or self._layout is None:
            return
        at = event.get_content_offset(self)
        column = self._layout.column_at(at.x) if at is not None and at.y >= _HEADING else None
        if at is not None and column is not None:
            row = at.y - _HEADING + self.scroll_offset.y
            if row < self.tensor.rows:
                self.cursor = (row, self._first_column + column)

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self.scrollable_content_region.width
        if self.tensor is None or self._layout is None:
            words = printable(self._words) if y == _HEADING else ""
            return self._finish([Segment(f"  {words}", DIM)], width)
        if y == 0:
            return self._finish(self._titles(self._layout), width)
        if y == 1:
            return self._finish(self._column_numbers(self.tensor, self._layout), width)
        row = y - _HEADING + self.scroll_offset.y
        if row >= self.tensor.rows:
            return self._finish([], width)
        key = (row, self._first_column, self.cursor[1] if row == self.cursor[0] else -1)
        if key not in self._lines:
            self._lines[key] = self._finish(self._row(self.tensor, self._layout, row), width)
        return self._lines[key]

    @property
    def _first_column(self) -> int:
        if self.tensor is None or self._layout is None:
            return 0
        last = self.tensor.columns - self._layout.columns
        return max(0, min(round(self.scroll_x / self._layout.unit), last))

    def _lay_out(self) -> None:
        self._lines.clear()
        width = self.scrollable_content_region.width
        if self.tensor is None or not width:
            self._layout = None
            self.virtual_size = Size(0, 0)
        else:
            choice = self._choice
            if not self._is_chosen and not fits_together(width, self.tensor):
                choice = Side.ACTUAL
            self._layout = layout = lay_out(width, self.tensor, choice)
            hidden = self.tensor.columns - layout.columns
            self.virtual_size = Size(width + hidden * layout.unit, self.tensor.rows + _HEADING)
            self._format = number_format(
                self.tensor.largest, layout.panes[0].number, self.tensor.actual.dtype.kind != "f"
            )
        self.refresh()

    def _move_to(self, row: int, column: int) -> None:
        if self.tensor is not None:
            self.cursor = (
                min(max(row, 0), self.tensor.rows - 1),
                min(max(column, 0), self.tensor.columns - 1),
            )

    def _reveal(self, in_the_middle: bool = False) -> None:
        """Scroll until the cursor is on the screen, no further than that unless it is said."""
        if self.tensor is None or self._layout is None:
            return
        row, column = self.cursor
        rows = max(1, self.scrollable_content_region.height - _HEADING)
        top, left = self.scroll_offset.y, self._first_column
        top = min(max(top, row - rows + 1), row)
        left = min(max(left, column - self._layout.columns + 1), column)
        if in_the_middle:
            top, left = max(0, row - rows // 2), max(0, column - self._layout.columns // 2)
        self.scroll_to(left * self._layout.unit, top, animate=False, force=True)

    def _titles(self, layout: Layout) -> list[Segment]:
        segments = [Segment(" " * layout.header)]
        if len(layout.panes) == 1 and self.tensor is not None and self.tensor.expected is not None:
            for number, side in enumerate(Side, 1):
                shown = side is layout.panes[0].side
                segments.append(Segment(f" {number} ", DIM))
                segments.append(Segment(f"{side} ", Style(underline=True) if shown else DIM))
            return [*segments, Segment(" 0 ", DIM), Segment("all", DIM)]
        for pane, gap in _with_gaps(layout):
            title = f"{'':{pane.margin}}{pane.side}"
            segments.append(Segment(f"{title:<{pane.cell * layout.columns}}", STRONG))
            segments.append(Segment(gap, DIM))
        return segments

    def _column_numbers(self, tensor: Tensor, layout: Layout) -> list[Segment]:
        columns = self._columns(layout)
        before = "‹" if columns.start > 0 else ""
        after = " ›" if columns.stop < tensor.columns else ""
        segments = [Segment(f"{before:>{layout.header}}", DIM)]
        for pane, gap in _with_gaps(layout):
            for column in columns:
                label = str(column) if len(tensor.shape) > 1 else ""
                style = ACCENT if column == self.cursor[1] else DIM
                segments.append(Segment(f"{label:>{pane.cell}}", style))
            segments.append(Segment(gap, DIM))
        return [*segments, Segment(after, DIM)]

    def _row(self, tensor: Tensor, layout: Layout, row: int) -> list[Segment]:
        label = f"{tensor.row_label(row):>{layout.header - 1}} "
        segments = [Segment(label, ACCENT if row == self.cursor[0] else DIM)]
        look = self.get_component_rich_style("matrix--cursor")
        cursor = Style(bgcolor=look.bgcolor, bold=look.bold, reverse=look.reverse)
        for pane, gap in _with_gaps(layout):
            for column in self._columns(layout):
                style, sign = _look(tensor, pane, row, column)
                if (row, column) == self.cursor:
                    style += cursor
                text = f"{sign}{self._number(tensor, pane, row, column)}"
                segments.append(Segment(f"{text:>{pane.cell}}", style))
            segments.append(Segment(gap, DIM))
        return segments

    def _number(self, tensor: Tensor, pane: Pane, row: int, column: int) -> str:
        match pane.side:
            case Side.ACTUAL:
                return self._format(float(tensor.actual[row, column]))
            case Side.REFERENCE:
                assert tensor.expected is not None
                return self._format(float(tensor.expected.value[row, column]))
            case Side.DIFFERENCE:
                return signed(tensor.difference(row, column), pane.number)

    def _columns(self, layout: Layout) -> range:
        return range(self._first_column, self._first_column + layout.columns)

    def _finish(self, segments: list[Segment], width: int) -> Strip:
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)


def _with_gaps(layout: Layout) -> list[tuple[Pane, str]]:
    gaps = [SEPARATOR] * (len(layout.panes) - 1)
    return list(zip(layout.panes, [*gaps, ""], strict=True))


def _look(tensor: Tensor, pane: Pane, row: int, column: int) -> tuple[Style, str]:
    """Return how a number is drawn, and the sign before it in the first pane."""
    has_sign = pane.margin > 1
    if tensor.wrong[row, column]:
        # The reference is what it should have been: nothing wrong with that.
        style = PLAIN if pane.side is Side.REFERENCE else WRONG
        return style, WRONG_SIGN if has_sign else ""
    if tensor.expected is not None and math.isinf(tensor.expected.error[row, column]):
        return UNKNOWN, "?" if has_sign else ""
    if pane.side is Side.DIFFERENCE or tensor.actual[row, column] == 0:
        return DIM, ""
    return PLAIN, ""
