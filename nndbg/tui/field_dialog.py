"""A question with one field, over the screen for a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from nndbg.errors import UsageError
from nndbg.text import printable
from nndbg.tui.named_bindings import named
from nndbg.tui.palette import DIM, STRONG, UNKNOWN, WRONG

# Raises UsageError for what cannot be; returns a doubt that a second enter overrules.
Check = Callable[[str], str]


class FieldDialog(ModalScreen[str | None]):
    """Asks for a line of text, and says what is wrong with it."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "field", [Binding("escape", "dismiss(None)", "Cancel")]
    )

    def __init__(self, title: str, value: str, check: Check) -> None:
        super().__init__()
        self._title = title
        self._value = value
        self._check = check
        self._doubted: str | None = None

    def compose(self) -> ComposeResult:
        """Lay out the question, the field and the word on what is wrong with it."""
        with Vertical(classes="dialog"):
            yield Static(Text(self._title, STRONG))
            yield Input(value=self._value, id="field", select_on_focus=True)
            yield Static(Text("enter does it, escape leaves it", DIM), id="remark")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the text, or say what is wrong with it."""
        text = event.value.strip()
        try:
            doubt = self._check(text)
        except UsageError as error:
            self._remark(str(error), is_wrong=True)
            return
        if doubt and text != self._doubted:
            self._doubted = text
            self._remark(f"{doubt}; enter again does it all the same", is_wrong=False)
            return
        self.dismiss(text)

    def _remark(self, words: str, is_wrong: bool) -> None:
        style = WRONG if is_wrong else UNKNOWN
        self.query_one("#remark", Static).update(Text(printable(words), style))


def file_to_write(text: str) -> str:
    """Check the path of a file that is about to be written; a doubt where there is one."""
    path = Path(text)
    if not text or path.is_dir():
        raise UsageError("name a file.")
    if not path.parent.is_dir():
        raise UsageError(f"there is no directory {path.parent}.")
    return f"{path.name} is there already" if path.exists() else ""
