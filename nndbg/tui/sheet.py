"""A page of text that is drawn for its width, when it is seen."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

# Draws for so many columns and so many lines, of which more may be returned.
Draw = Callable[[int, int], Text]


class Sheet(VerticalScroll, can_focus=True):
    """One text; what it shows is given as a function, which is called for the page's size."""

    DEFAULT_CSS = """
    Sheet { scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    Sheet > Static { width: 1fr; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._draw: Draw | None = None
        self._is_stale = False

    def compose(self) -> ComposeResult:
        """Lay out the text."""
        yield Static()

    def show(self, draw: Draw) -> None:
        """Show what `draw` returns, from now on."""
        self._draw, self._is_stale = draw, True
        self._redraw()

    def on_show(self) -> None:
        """Draw what was given while nobody saw it."""
        self._redraw()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self._is_stale = True
        self._redraw()

    def _redraw(self) -> None:
        region = self.scrollable_content_region
        if self._draw is None or not self._is_stale or not region.width or not self.display:
            return
        self._is_stale = False
        self.query_one(Static).update(self._draw(region.width, region.height))
