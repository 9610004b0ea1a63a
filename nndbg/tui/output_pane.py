"""What the program printed."""

from __future__ import annotations

from textual.widgets import Log

from nndbg.text import printable

_MOST_LINES = 10_000


class OutputPane(Log):
    """A log that is given the whole output, again and again."""

    DEFAULT_CSS = "OutputPane { scrollbar-size: 1 1; background: $background; }"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, max_lines=_MOST_LINES)
        self._shown = ""

    def show(self, output: str) -> None:
        """Show an output: what is new of it is written behind what was there."""
        if output == self._shown:
            return
        if not self._shown or not output.startswith(self._shown):
            self.clear()
            self._shown = ""
        self.write(printable(output[len(self._shown) :].replace("\r", "")))
        self._shown = output
