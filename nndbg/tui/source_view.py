"""The source around the instruction where the program stopped."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nndbg.elf import Executable
from nndbg.text import printable
from nndbg.tui.listing import Listing, listing_of
from nndbg.tui.palette import ACCENT, DIM, STRONG

_HEADING = 1


class SourceView(ScrollView, can_focus=True):
    """One file with a current line."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"source-view--current"}

    def __init__(self, executable: Executable | None, id: str | None = None) -> None:
        super().__init__(id=id)
        self._executable = executable
        self._listing = Listing((), "")
        self._title = "source"
        self._current = 0
        self._address: int | None = None

    def show(self, address: int | None) -> None:
        """Show the source of the instruction at `address`, as linked."""
        if address == self._address and self._listing.lines:
            return
        self._address = address
        self._title, self._current = "source", 0
        if self._executable is None or address is None:
            self._listing = Listing((), "no executable, so no source")
        else:
            self._listing = self._find(self._executable, address)
        self.virtual_size = Size(self.size.width, len(self._listing.lines) + _HEADING)
        self._centre()
        self.refresh()

    def on_resize(self) -> None:
        """Keep the current line in the middle."""
        self._centre()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self.scrollable_content_region.width
        style = self.rich_style
        at = y - _HEADING + self.scroll_offset.y
        lines = self._listing.lines
        segments: list[Segment] = []
        if y == 0:
            rule = "─" * max(0, width - len(self._title) - 4)
            segments = [Segment("── ", DIM), Segment(self._title, STRONG), Segment(f" {rule}", DIM)]
        elif self._listing.missing:
            words = printable(self._listing.missing)
            segments = [Segment(words[(y - 1) * width : y * width], DIM)]
        elif at < len(lines):
            is_current = at + 1 == self._current
            number = f"{at + 1:>{len(str(len(lines)))}}"
            mark = Segment("▶", ACCENT) if is_current else Segment(" ")
            text = lines[at].render(self.app.console)
            segments = [mark, Segment(f"{number}  ", ACCENT if is_current else DIM), *text]
            segments = [s for s in segments if s.text != "\n"]
            if is_current:
                style += self.get_component_rich_style("source-view--current")
        return Strip(segments).adjust_cell_length(width).apply_style(style)

    def _find(self, executable: Executable, address: int) -> Listing:
        function = executable.function_at(address)
        place = f"{f'in {printable(function.name)} ' if function else ''}at {address:#x}"
        line = executable.line_at(address)
        if line is None:
            self._title = place
            return Listing((), "no line information for this address: assemble it with debug info")
        self._current = line.line
        listing = listing_of(line.file, executable)
        newer = " (newer than the program)" if listing.is_newer else ""
        self._title = f"{printable(line.file)}:{line.line}{newer} {place}"
        return listing

    def _centre(self) -> None:
        lines = max(1, self.scrollable_content_region.height - _HEADING)
        self.scroll_to(0, max(0, self._current - 1 - lines // 2), animate=False, force=True)
