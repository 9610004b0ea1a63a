"""The breakpoints, one a line, to be taken away again."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from nndbg.text import printable
from nndbg.tui.breakpoints import Breakpoint
from nndbg.tui.named_bindings import named
from nndbg.tui.palette import DIM, PLAIN, WRONG

_NONE = (
    "no breakpoints. S sets one on an op, a line, a change or a condition;\n"
    "t sets one on what the cursor is on."
)
_CHOSEN = Style(reverse=True)


class BreakpointList(Widget, can_focus=True):
    """What the program stops at."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "breakpoints",
        [
            Binding("up,k", "move(-1)", "Up", show=False),
            Binding("down,j", "move(1)", "Down", show=False),
            Binding("delete,backspace", "remove", "Remove", show=False),
        ],
    )

    class Removed(Message):
        """A breakpoint is to be taken away."""

        def __init__(self, breakpoint: Breakpoint) -> None:
            super().__init__()
            self.breakpoint = breakpoint

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._breakpoints: tuple[Breakpoint, ...] = ()
        self._at = 0

    def show(self, breakpoints: tuple[Breakpoint, ...]) -> None:
        """Show these."""
        self._breakpoints = breakpoints
        self._at = min(self._at, max(0, len(breakpoints) - 1))
        self.refresh()

    @property
    def chosen(self) -> Breakpoint | None:
        """The one that the cursor is on."""
        return self._breakpoints[self._at] if self._breakpoints else None

    def action_move(self, down: int) -> None:
        """Move the cursor."""
        self._at = min(max(self._at + down, 0), max(0, len(self._breakpoints) - 1))
        self.refresh()

    def action_remove(self) -> None:
        """Take the breakpoint under the cursor away."""
        if self.chosen is not None:
            self.post_message(self.Removed(self.chosen))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the line under the mouse."""
        if event.y < len(self._breakpoints):
            self._at = event.y
            self.refresh()

    def render(self) -> Text:
        """Draw the lines."""
        if not self._breakpoints:
            return Text(_NONE, DIM)
        width = max(len(one.kind) for one in self._breakpoints) + 3
        lines = []
        for number, one in enumerate(self._breakpoints):
            chosen = number == self._at and self.has_focus
            line = Text.assemble(("● ", WRONG), (f"{one.kind:<{width}}", DIM))
            line.append(printable(one.text), _CHOSEN if chosen else PLAIN)
            line.truncate(self.size.width, overflow="ellipsis")
            lines.append(line)
        lines.append(Text("delete takes away the one under the cursor", DIM))
        return Text("\n").join(lines)
