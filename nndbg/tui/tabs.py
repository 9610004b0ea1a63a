"""Pages of which one is shown, under a line with their names."""

from __future__ import annotations

from collections.abc import Mapping

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from nndbg.tui.palette import ACCENT, DIM

_LEFT = " "
_SHOWN = ACCENT + Style(bold=True, underline=True)


class TabLine(Widget):
    """The names in one line; the one that is shown stands out."""

    DEFAULT_CSS = "TabLine { height: 1; }"

    shown: reactive[str] = reactive("")

    class Picked(Message):
        """The mouse picked a name."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, names: tuple[str, ...], shown: str) -> None:
        super().__init__()
        self.names = names
        self.set_reactive(TabLine.shown, shown)

    def render_line(self, y: int) -> Strip:
        """Draw the names, from the first one on that leaves room for the one that is shown."""
        del y
        segments = [Segment(_LEFT if self._first == 0 else "‹", DIM)]
        for name in self.names[self._first :]:
            is_shown = name == self.shown
            segments += [Segment(name, _SHOWN if is_shown else DIM), Segment(self._gap)]
        return Strip(segments).adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def on_click(self, event: events.Click) -> None:
        """Pick the name under the mouse."""
        at = len(_LEFT)
        for name in self.names[self._first :]:
            if at <= event.x < at + len(name):
                self.post_message(self.Picked(name))
            at += len(name) + len(self._gap)

    @property
    def _first(self) -> int:
        shown = self.names.index(self.shown)
        upto = [
            len(_LEFT) + sum(len(n) + len(self._gap) for n in self.names[first : shown + 1])
            for first in range(shown + 1)
        ]
        return next((n for n, end in enumerate(upto) if end <= self.size.width), shown)

    @property
    def _gap(self) -> str:
        """Two spaces between names, or one where that makes all of them fit."""
        taken = len(_LEFT) + sum(len(name) + 2 for name in self.names)
        return "  " if taken <= self.size.width else " "


class Pages(Vertical):
    """Widgets with a name each, of which one is shown."""

    def __init__(self, pages: Mapping[str, Widget], id: str) -> None:
        super().__init__(id=id)
        self._pages = pages
        self.names = tuple(pages)
        self.page = self.names[0]

    def compose(self) -> ComposeResult:
        """Lay out the line of names and the page."""
        yield TabLine(self.names, self.page)
        with ContentSwitcher(initial=self._pages[self.page].id):
            yield from self._pages.values()

    def turn(self, name: str, focus: bool = False) -> None:
        """Show a page, and go into it."""
        had_focus = self.has_focus_within
        if name != self.page:
            self.page = name
            self.query_one(ContentSwitcher).current = self._pages[name].id
            self.query_one(TabLine).shown = name
        if focus or had_focus:
            page = self._pages[name]
            inside = (widget for widget in page.query("*") if widget.can_focus)
            (page if page.can_focus else next(inside, page)).focus()

    def turn_by(self, pages: int) -> None:
        """Show a page further on, round to the first."""
        self.turn(self.names[(self.names.index(self.page) + pages) % len(self.names)])

    def on_tab_line_picked(self, message: TabLine.Picked) -> None:
        """Show the page whose name was picked."""
        message.stop()
        self.turn(message.name, focus=True)
