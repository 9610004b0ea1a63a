"""Pages of which one is shown, under a line with their names."""

from __future__ import annotations

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

_LEFT, _GAP = " ", "  "


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
        """Draw the names."""
        segments = [Segment(_LEFT)]
        for name in self.names:
            is_shown = name == self.shown
            look = ACCENT + Style(bold=True, underline=True) if is_shown else DIM
            segments += [Segment(name, look), Segment(_GAP)]
        return Strip(segments).adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def on_click(self, event: events.Click) -> None:
        """Pick the name under the mouse."""
        at = len(_LEFT)
        for name in self.names:
            if at <= event.x < at + len(name):
                self.post_message(self.Picked(name))
            at += len(name) + len(_GAP)


class Pages(Vertical):
    """Widgets, named by their ids, of which one is shown."""

    class Turned(Message):
        """Another page is shown."""

        def __init__(self, pages: Pages, page: str) -> None:
            super().__init__()
            self.pages = pages
            self.page = page

        @property
        def control(self) -> Pages:
            """The pages that turned."""
            return self.pages

    def __init__(self, *pages: Widget, id: str) -> None:
        super().__init__(id=id)
        self._pages = pages
        self.names = tuple(page.id or "" for page in pages)

    def compose(self) -> ComposeResult:
        """Lay out the line of names and the page."""
        yield TabLine(self.names, self.names[0])
        with ContentSwitcher(initial=self.names[0]):
            yield from self._pages

    @property
    def page(self) -> str:
        """The name of the page that is shown."""
        return self.query_one(ContentSwitcher).current or ""

    @property
    def widget(self) -> Widget:
        """The page that is shown."""
        return next(page for page in self._pages if page.id == self.page)

    def turn(self, name: str, focus: bool = False) -> None:
        """Show a page, and go into it."""
        had_focus = self.has_focus_within
        if name != self.page:
            self.query_one(ContentSwitcher).current = name
            self.query_one(TabLine).shown = name
            self.post_message(self.Turned(self, name))
        if focus or had_focus:
            target = self.widget if self.widget.can_focus else self.widget.query("*").first()
            target.focus()

    def turn_by(self, pages: int) -> None:
        """Show a page further on, round to the first."""
        self.turn(self.names[(self.names.index(self.page) + pages) % len(self.names)])

    def on_tab_line_picked(self, message: TabLine.Picked) -> None:
        """Show the page whose name was picked."""
        message.stop()
        self.turn(message.name, focus=True)
