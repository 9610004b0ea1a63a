"""The debugger's own console: what was asked, what it said, and a line to ask more."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Log

from nndbg.tui.named_bindings import named

_MOST_LINES = 5000


class ConsolePane(Vertical):
    """A log and an input with a history."""

    DEFAULT_CSS = """
    ConsolePane Log { height: 1fr; scrollbar-size: 1 1; background: $background; }
    ConsolePane Input, ConsolePane Input:focus {
        dock: bottom; border: none; height: 1; padding: 0 1; background: $surface;
    }
    """

    class Asked(Message):
        """A command was typed."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.history = History()

    def compose(self) -> ComposeResult:
        """Lay out the log and the line."""
        # First, so that it is what the focus comes to; it is docked to the bottom.
        yield ConsoleInput(self.history)
        yield Log(max_lines=_MOST_LINES)

    def say(self, text: str) -> None:
        """Write what the debugger answered, escaped already."""
        self.query_one(Log).write_line(text.rstrip("\n"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Ask what was typed."""
        event.stop()
        words = event.value.strip()
        if words:
            self.history.add(words)
            self.say(f"(gdb) {words}")
            event.input.clear()
            self.post_message(self.Asked(words))


class History:
    """The lines that were typed, to be had again."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._at = 0

    def add(self, line: str) -> None:
        """Remember a line, once where it is typed twice in a row."""
        if not self._lines or self._lines[-1] != line:
            self._lines.append(line)
        self._at = len(self._lines)

    def move(self, by: int) -> str:
        """Return the line before, or behind, the one that was had last; empty behind the last."""
        self._at = min(max(self._at + by, 0), len(self._lines))
        return self._lines[self._at] if self._at < len(self._lines) else ""


class ConsoleInput(Input):
    """The line: up and down go through what was typed before."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "console",
        [
            Binding("up", "past(-1)", "Line before", show=False),
            Binding("down", "past(1)", "Line behind", show=False),
            Binding("escape", "leave", "Leave", show=False),
        ],
    )

    def __init__(self, history: History) -> None:
        super().__init__(placeholder="a command of GDB, such as info registers rip")
        self._history = history

    def action_past(self, by: int) -> None:
        """Put a line that was typed before into the field."""
        self.value = self._history.move(by)
        self.cursor_position = len(self.value)

    def action_leave(self) -> None:
        """Go back to the ops."""
        self.screen.query_one("#ops").focus()
