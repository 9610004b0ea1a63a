"""What is said above the matrix of its buffer, and below it of the element under the cursor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.text import Text
from textual.widget import Widget

from nndbg.compare import Verdict
from nndbg.diagnose import Diagnosis
from nndbg.ledger import Observation
from nndbg.report.words import SIGNS
from nndbg.text import printable
from nndbg.tui.number_format import share
from nndbg.tui.palette import DIM, PLAIN, STRONG, STYLES, WRONG, WRONG_SIGN
from nndbg.tui.tensor import Tensor, verdict_on

_GAP = "   "
# A diagnosis that is longer is cut.
_STORY_LINES = 2


class BufferLine(Widget):
    """The buffer and its origin, the verdict on it, and what explains one that is wrong."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._first = Text()
        self._second = Text()
        self._story: Text | None = None

    def show(self, observation: Observation, buffer: str, tensor: Tensor | None) -> None:
        """Describe what an op left in one of its buffers."""
        shape = f" [{', '.join(map(str, tensor.shape))}] {tensor.dtype}" if tensor else ""
        op = observation.op
        self._first = Text.assemble(
            (printable(buffer), STRONG),
            (shape, DIM),
            (_GAP, PLAIN),
            (f"{printable(op.name)} ({op.kind.name}) of step {observation.step}", DIM),
        )
        verdict = verdict_on(observation, buffer)
        self._second = _judgement(verdict) if verdict else Text("not judged", DIM)
        self._tell(None)

    def explain(self, diagnoses: Sequence[Diagnosis] | None) -> None:
        """Say which mistake explains the wrong elements; None while that is looked for."""
        if diagnoses is None:
            self._tell(Text("looking for the mistake …", DIM))
        elif not diagnoses:
            self._tell(Text("no known mistake explains it", DIM))
        else:
            best = diagnoses[0]
            count = f" (explains {best.explains} of {best.of})"
            self._tell(Text.assemble((printable(best.says), STRONG), (count, DIM)))

    def show_words(self, title: str, words: str) -> None:
        """Describe a buffer of which nothing is known yet."""
        self._first, self._second = Text(printable(title), STRONG), Text(printable(words), DIM)
        self._tell(None)

    def render(self) -> Text:
        """Draw the lines."""
        lines = [self._first.copy(), self._second.copy()]
        for line in lines:
            line.truncate(self.size.width, overflow="ellipsis")
        return Text("\n").join([*lines, *self._story_lines()])

    def on_resize(self) -> None:
        """Give the diagnosis the lines that it takes in the new width."""
        self._tell(self._story)

    def _tell(self, story: Text | None) -> None:
        self._story = story
        self.styles.height = 2 + len(self._story_lines())
        self.refresh()

    def _story_lines(self) -> list[Text]:
        if self._story is None or not self.size.width:
            return []
        lines = [*self._story.wrap(self.app.console, self.size.width)]
        for line in lines[_STORY_LINES - 1 : _STORY_LINES]:
            if len(lines) > _STORY_LINES:
                line.append(" …")
            line.truncate(self.size.width, overflow="ellipsis")
        return lines[:_STORY_LINES]


class ElementLine(Widget):
    """The element under the cursor, every number in full."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._parts: list[Text] = []

    def show(self, tensor: Tensor, row: int, column: int) -> None:
        """Describe one element."""
        index = ", ".join(map(str, tensor.index(row, column)))
        name = Text.assemble((f"{printable(tensor.name)}{f'[{index}]' if index else ''}", STRONG))
        element = tensor.element(row, column)
        if element is None:
            actual = float(tensor.actual[row, column])
            self._parts = [name, _pair("actual", f"{actual:.9g}"), Text("no reference", DIM)]
            self.refresh()
            return
        if tensor.wrong[row, column]:
            name.append(f" {WRONG_SIGN} wrong", WRONG)
        self._parts = [
            name,
            _pair("actual", f"{element.actual:.9g}"),
            _pair("reference", f"{element.expected:.9g}"),
            _pair("difference", _signed(tensor.difference(row, column))),
            _pair("bound", f"±{element.bound:.3g}"),
            _pair("ulps", "-" if element.ulps is None else str(element.ulps)),
            _pair("of bound", share(element.share)),
        ]
        self.refresh()

    def show_nothing(self) -> None:
        """Say nothing: there is no element."""
        self._parts = []
        self.refresh()

    def render(self) -> Text:
        """Draw the parts, as many on a line as fit."""
        return Text("\n").join(_filled(self._parts, self.size.width))


def _judgement(verdict: Verdict) -> Text:
    style = STYLES[verdict.status]
    text = Text.assemble((f"{SIGNS[verdict.status]} {verdict.status}", style))
    if verdict.bad:
        count = f"{verdict.bad} of {verdict.checked}"
        place = printable(verdict.where).removeprefix(f"{count} in ")
        text.append(f"{_GAP}{count} wrong", style).append(f"{_GAP}{place}", STRONG)
    else:
        text.append(f"{_GAP}{verdict.checked} checked", DIM)
    if verdict.says:
        text.append(f"{_GAP}{printable(verdict.says)}", PLAIN if verdict.bad else DIM)
    return text


def _pair(name: str, value: str) -> Text:
    return Text.assemble((f"{name} ", DIM), (value, PLAIN))


def _signed(value: float) -> str:
    return f"{value:+.3g}" if value and not math.isnan(value) else f"{value:g}"


def _filled(parts: Iterable[Text], width: int) -> list[Text]:
    lines: list[Text] = []
    for part in parts:
        if lines and cell_len(lines[-1].plain) + len(_GAP) + cell_len(part.plain) <= width:
            lines[-1].append(_GAP).append_text(part)
        else:
            lines.append(part.copy())
    return lines
