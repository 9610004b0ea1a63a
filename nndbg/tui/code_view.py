"""Lines of code with a cursor and marks: what source and disassembly have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nndbg.tui.keys import pane_bindings
from nndbg.tui.named_bindings import named
from nndbg.tui.palette import ACCENT, DIM, STRONG, UNKNOWN, WRONG

_HEADING = 1


@dataclass(frozen=True)
class Marks:
    """What is marked in the code, by addresses as linked.

    `here` is where the program stands; `boundaries` names the ops that are complete at an address.
    """

    here: int | None = None
    breakpoints: frozenset[int] = frozenset()
    culprits: frozenset[int] = frozenset()
    boundaries: Mapping[int, str] = field(default_factory=dict)

    def among(self, addresses: Collection[int]) -> tuple[Segment, Segment]:
        """Return the sign of a line that has these instructions, and the words behind it."""
        names = [self.boundaries[a] for a in addresses if a in self.boundaries]
        words = Segment(f"  ◇ {', '.join(dict.fromkeys(names))}" if names else "", DIM)
        if any(a in self.breakpoints for a in addresses):
            return Segment("●", WRONG), words
        if any(a in self.culprits for a in addresses):
            return Segment("✗", WRONG), Segment(f"{words.text}  ✗ culprit", WRONG)
        return Segment("◇" if names else " ", UNKNOWN), words


class CodeView(ScrollView, can_focus=True):
    """Draws lines that a subclass has; the cursor is what breakpoints and runs go by."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "code",
        [
            *pane_bindings("code"),
            Binding("up,k", "move(-1)", "Up", show=False),
            Binding("down,j", "move(1)", "Down", show=False),
            Binding("pageup", "page(-1)", "Page up", show=False),
            Binding("pagedown", "page(1)", "Page down", show=False),
            Binding("home", "end(False)", "First line", show=False),
            Binding("end", "end(True)", "Last line", show=False),
        ],
    )
    COMPONENT_CLASSES: ClassVar[set[str]] = {"code-view--current", "code-view--cursor"}

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = ""
        self.marks = Marks()
        self.cursor = 0
        self.shown: int | None = None

    @property
    def count(self) -> int:
        """How many lines there are."""
        raise NotImplementedError

    def addresses(self, line: int) -> tuple[int, ...]:
        """Return the instructions of a line, as linked."""
        raise NotImplementedError

    def segments(self, line: int) -> list[Segment]:
        """Return a line, without what is marked."""
        raise NotImplementedError

    def words(self) -> str:
        """Return why there are no lines."""
        return ""

    @property
    def under_cursor(self) -> tuple[int, ...]:
        """The instructions of the line under the cursor."""
        return self.addresses(self.cursor) if self.cursor < self.count else ()

    def mark(self, marks: Marks) -> None:
        """Mark this from now on."""
        self.marks = marks
        self.refresh()

    def stand(self, line: int) -> None:
        """Put the cursor on a line, and that in the middle."""
        self.cursor = line
        self.virtual_size = Size(self.size.width, self.count + _HEADING)
        self._centre()
        self.refresh()

    def action_move(self, down: int) -> None:
        """Move the cursor by lines."""
        self._go(self.cursor + down)

    def action_page(self, pages: int) -> None:
        """Move the cursor by what the screen holds."""
        self._go(self.cursor + pages * max(1, self.size.height - _HEADING))

    def action_end(self, last: bool) -> None:
        """Move the cursor to the first or the last line."""
        self._go(self.count - 1 if last else 0)

    def on_resize(self) -> None:
        """Keep the cursor in the middle."""
        self._centre()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the line under the mouse."""
        at = event.get_content_offset(self)
        if at is not None and at.y >= _HEADING:
            self._go(at.y - _HEADING + self.scroll_offset.y)

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self.scrollable_content_region.width
        style = self.rich_style
        at = y - _HEADING + self.scroll_offset.y
        segments: list[Segment] = []
        if y == 0:
            rule = "─" * max(0, width - len(self.title) - 4)
            segments = [Segment("── ", DIM), Segment(self.title, STRONG), Segment(f" {rule}", DIM)]
        elif not self.count:
            segments = [Segment(self.words()[(y - 1) * width : y * width], DIM)]
        elif at < self.count:
            here = self.addresses(at)
            sign, words = self.marks.among(here)
            # Where the program stands; else the place of what is shown.
            stands = self.shown if self.marks.here is None else self.marks.here
            is_current = stands in here
            pointer = "▶" if is_current else "▷" if self.shown in here else " "
            segments = [Segment(pointer, ACCENT), sign, Segment(" "), *self.segments(at)]
            segments.append(words)
            if is_current:
                style += self.get_component_rich_style("code-view--current")
            if at == self.cursor and self.has_focus:
                style += self.get_component_rich_style("code-view--cursor")
        return Strip(segments).adjust_cell_length(width).apply_style(style)

    def _go(self, line: int) -> None:
        if self.count:
            self.cursor = min(max(line, 0), self.count - 1)
            lines = max(1, self.scrollable_content_region.height - _HEADING)
            top = min(max(self.scroll_offset.y, self.cursor - lines + 1), self.cursor)
            self.scroll_to(0, top, animate=False, force=True)
            self.refresh()

    def _centre(self) -> None:
        lines = max(1, self.scrollable_content_region.height - _HEADING)
        self.scroll_to(0, max(0, self.cursor - lines // 2), animate=False, force=True)
