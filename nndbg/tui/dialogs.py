"""What lies over the screen for a moment: the question for a step, and the help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from nndbg.compare import Status
from nndbg.report.words import SIGNS
from nndbg.tui.keys import KEYS, MOVES
from nndbg.tui.named_bindings import named
from nndbg.tui.palette import ACCENT, DIM, STRONG, STYLES, WRONG, WRONG_SIGN

_LARGEST_STEP = 2**63 - 1
_KEY_WIDTH = 20

_MEANINGS = {
    Status.AGREE: "every element lies within the bound of rounding",
    Status.DIVERGED: "elements lie beyond it: that is wrong, not imprecise",
    Status.NONFINITE: "wrong elements are infinite or no numbers",
    Status.UNWRITTEN: "the op left its buffer as it was, or never ran",
    Status.UNCHECKED: "the bound is too loose to say anything",
}


class StepDialog(ModalScreen[int | None]):
    """Asks for the number of a step."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "step", [Binding("escape", "dismiss(None)", "Cancel")]
    )

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def compose(self) -> ComposeResult:
        """Lay out the question, the field and the word on what is wrong with it."""
        with Vertical(classes="dialog"):
            yield Static(Text("Go to step", STRONG))
            yield Input(value=str(self._step), type="integer", id="step", select_on_focus=True)
            yield Static(Text("enter goes there, escape leaves it", DIM), id="remark")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the number, or say what is wrong with it."""
        text = event.value.strip()
        if text.isascii() and text.isdigit() and int(text) <= _LARGEST_STEP:
            self.dismiss(int(text))
        else:
            self.query_one("#remark", Static).update(Text("type a whole number, 0 or more", WRONG))


class HelpDialog(ModalScreen[None]):
    """Explains every key, and the signs."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "help", [Binding("escape,q,question_mark,enter", "dismiss(None)", "Close")]
    )

    def __init__(self, keys: Mapping[str, str]) -> None:
        """`keys` are those of the actions that were given others, by name."""
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        """Lay out the tables."""
        with VerticalScroll(classes="dialog", id="help"):
            yield Static(_explained(self._keys))


def _explained(keys: Mapping[str, str]) -> Text:
    text = Text()
    for key in KEYS:
        _line(text, keys.get(key.name, key.shown).replace(",", ", "), key.explained)
    text.append("\n")
    for shown, explained in MOVES:
        _line(text, shown, explained)
    text.append("\n")
    for status, meaning in _MEANINGS.items():
        text.append(f"{SIGNS[status]} {status:<{_KEY_WIDTH - 2}}", STYLES[status])
        text.append(f"{meaning}\n")
    text.append(f"{WRONG_SIGN:<{_KEY_WIDTH}}", WRONG)
    text.append("before a number: this element is wrong\n")
    text.append(f"{'4%  ×3e7':<{_KEY_WIDTH}}", DIM)
    text.append("what the worst element uses of its bound\n\n")
    return text.append("escape closes this", DIM)


def _line(text: Text, key: str, explained: str) -> None:
    text.append(f"{key:<{_KEY_WIDTH}}", ACCENT)
    text.append(f"{explained}\n")
