"""What lies over the screen for a moment: the question for a step, and the help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from nndbg.compare import Status
from nndbg.elf import Executable
from nndbg.errors import UsageError
from nndbg.layermap import LayerMap
from nndbg.report.words import SIGNS
from nndbg.text import printable
from nndbg.tui.breakpoints import Breakpoint, parse_breakpoint
from nndbg.tui.keys import GROUPS, MOVES
from nndbg.tui.named_bindings import named
from nndbg.tui.palette import ACCENT, DIM, STRONG, STYLES, WRONG, WRONG_SIGN

_LARGEST_STEP = 2**63 - 1
_KEY_WIDTH = 20

_PLACE_WIDTH = 26
_MEANINGS = {
    Status.AGREE: "every element lies within the bound of rounding",
    Status.DIVERGED: "elements lie beyond it: that is wrong, not imprecise",
    Status.NONFINITE: "wrong elements are infinite or no numbers",
    Status.UNWRITTEN: "the op left its buffer as it was, or never ran",
    Status.UNCHECKED: "the bound is too loose to say anything",
}


@dataclass(frozen=True)
class Goal:
    """Where to go: to where a step begins, or on to where an op of it is judged."""

    step: int
    op: str | None = None


class StepDialog(ModalScreen[Goal | None]):
    """Asks for the number of a step, and for an op of it."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "step", [Binding("escape", "dismiss(None)", "Cancel")]
    )

    def __init__(self, step: int, layer_map: LayerMap) -> None:
        super().__init__()
        self._step = step
        self._map = layer_map

    def compose(self) -> ComposeResult:
        """Lay out the question, the field and the word on what is wrong with it."""
        with Vertical(classes="dialog"):
            yield Static(Text("Go to step, or to step and op", STRONG))
            yield Input(
                value=str(self._step),
                id="step",
                select_on_focus=True,
                suggester=SuggestFromList(self._suggestions()),
            )
            yield Static(Text("enter goes there, escape leaves it", DIM), id="remark")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the number, or say what is wrong with it."""
        number, *rest = event.value.split() or [""]
        if not (number.isascii() and number.isdigit() and int(number) <= _LARGEST_STEP):
            self._object("type a whole number, 0 or more")
        elif rest and (len(rest) > 1 or self._map.op(rest[0]) is None):
            self._object(f"there is no op {printable(' '.join(rest))}")
        else:
            self.dismiss(Goal(int(number), rest[0] if rest else None))

    def _suggestions(self) -> list[str]:
        return [f"{self._step} {op.name}" for op in self._map.ops]

    def _object(self, words: str) -> None:
        self.query_one("#remark", Static).update(Text(words, WRONG))


class BreakpointDialog(ModalScreen[Breakpoint | None]):
    """Asks where to stop."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "breakpoint", [Binding("escape", "dismiss(None)", "Cancel")]
    )

    def __init__(self, layer_map: LayerMap, executable: Executable | None) -> None:
        super().__init__()
        self._map, self._executable = layer_map, executable

    def compose(self) -> ComposeResult:
        """Lay out the question, the field, examples, and the word on what is wrong with it."""
        with Vertical(classes="dialog"):
            yield Static(Text("Stop at", STRONG))
            yield Input(id="place")
            text = Text()
            for example, explained in _places(self._map):
                _line(text, example, explained, _PLACE_WIDTH)
            yield Static(text)
            yield Static(Text("enter sets it or takes it away, escape leaves it", DIM), id="remark")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the place, or say what is wrong with it."""
        try:
            self.dismiss(parse_breakpoint(event.value, self._map, self._executable))
        except UsageError as error:
            self.query_one("#remark", Static).update(Text(printable(str(error)), WRONG))


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
    for title, group in GROUPS.items():
        text.append(f"{title}\n", STRONG)
        for key in group:
            _line(text, keys.get(key.name, key.shown).replace(",", ", "), key.explained)
        text.append("\n")
    text.append("Moving\n", STRONG)
    for shown, explained in MOVES:
        _line(text, shown, explained)
    text.append("\nSigns\n", STRONG)
    for status, meaning in _MEANINGS.items():
        text.append(f"{SIGNS[status]} {status:<{_KEY_WIDTH - 2}}", STYLES[status])
        text.append(f"{meaning}\n")
    text.append(f"{WRONG_SIGN:<{_KEY_WIDTH}}", WRONG)
    text.append("before a number: this element is wrong\n")
    text.append(f"{'4%  ×3e7':<{_KEY_WIDTH}}", DIM)
    text.append("what the worst element uses of its bound\n\n")
    return text.append("escape closes this", DIM)


def _places(layer_map: LayerMap) -> Iterator[tuple[str, str]]:
    """Return what one can stop at, by examples of this program, and when that stops."""
    op = layer_map.ops[-1]
    buffer = layer_map.buffers[next(iter(op.outputs.values()))]
    index = ",".join("0" for _ in buffer.shape)
    name = printable(buffer.name)
    yield printable(op.name), "after an op"
    yield "main.asm:42", "at a line"
    yield "main, *0x401000", "at a function, an instruction"
    yield f"{name}[{index}]" if index else name, "where this element changes"
    yield f"isnan({name}).any()", "once this holds at a boundary"
    yield f"abs({name}).max() > 10", ""


def _line(text: Text, key: str, explained: str, width: int = _KEY_WIDTH) -> None:
    text.append(f"{key:<{width}}", ACCENT)
    text.append(f"{explained}\n")
