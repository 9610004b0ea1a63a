"""Breakpoints as a person writes them: on an op, an instruction, a change, or a condition."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from nndbg.condition import Condition, parse_condition
from nndbg.elf import Executable
from nndbg.errors import UsageError
from nndbg.layermap import LayerMap
from nndbg.places import Place, parse_place

_ADDRESS = re.compile(r"\*\s*(0[xX][0-9a-fA-F]+|\d+)")
_LINE = re.compile(r"(.+):(\d+)")
FORMS = "an op, FILE:LINE, a function, *0xADDRESS, an element, or a condition on buffers"


@dataclass(frozen=True)
class Breakpoint:
    """Where to stop: one of the four; `text` is how it was written, and tells them apart."""

    text: str
    op: str | None = field(default=None, compare=False)
    addresses: tuple[int, ...] = field(default=(), compare=False)
    element: Place | None = field(default=None, compare=False)
    condition: Condition | None = field(default=None, compare=False)

    @property
    def kind(self) -> str:
        """Which of the four it is, in words."""
        if self.op is not None:
            return "after the op"
        if self.addresses:
            return "at the code"
        return "when it changes" if self.element is not None else "when it holds"


def parse_breakpoint(text: str, layer_map: LayerMap, executable: Executable | None) -> Breakpoint:
    """Return the breakpoint that `text` means: an op before a function before a condition.

    Raises UsageError for what is none, with the column where a condition is wrong.
    """
    text = " ".join(text.split())
    if layer_map.op(text) is not None:
        return Breakpoint(text, op=text)
    if match := _ADDRESS.fullmatch(text):
        return Breakpoint(text, addresses=(_code(int(match[1], 0), executable),))
    if executable is not None and text in executable.symbols and text not in layer_map.buffers:
        return Breakpoint(text, addresses=(_code(executable.symbols[text].address, executable),))
    if (match := _LINE.fullmatch(text)) and "[" not in text:
        return Breakpoint(text, addresses=_addresses(match[1], int(match[2]), executable))
    with suppress(UsageError):
        return Breakpoint(text, element=parse_place(text, layer_map))
    return Breakpoint(text, condition=parse_condition(text, layer_map.buffers))


def _code(address: int, executable: Executable | None) -> int:
    if executable is None or not any(address in section for section in executable.code):
        raise UsageError(f"there is no code at {address:#x}. Name an address of an instruction.")
    return address


def _addresses(file: str, line: int, executable: Executable | None) -> tuple[int, ...]:
    found = executable.line_addresses(file, line) if executable is not None else ()
    if not found:
        raise UsageError(f"no code was made from {file}:{line}. Name a line with an instruction.")
    return found


class Alarm:
    """Tells which conditions have begun to hold: one that goes on holding is told once."""

    def __init__(self) -> None:
        self._held: dict[str, bool] = {}

    def reset(self) -> None:
        """Forget what held: the program is another one."""
        self._held.clear()

    def heed(
        self, breakpoints: Iterable[Breakpoint], array_of: Callable[[str], object]
    ) -> list[str]:
        """Return why to stop, in words: the conditions that hold now, and did not before.

        One that cannot be computed is a reason too, once.
        """
        reasons = []
        for one in breakpoints:
            if one.condition is None:
                continue
            try:
                holds, why = one.condition.holds(array_of), f"{one.text} holds"
            except (UsageError, KeyError) as error:
                holds, why = True, f"{one.text} cannot be computed here: {error}"
            if holds and not self._held.get(one.text, False):
                reasons.append(why)
            self._held[one.text] = holds
        return reasons


def addresses_of(breakpoints: Collection[Breakpoint]) -> frozenset[int]:
    """Return the instructions that breakpoints are at, as linked."""
    return frozenset(address for one in breakpoints for address in one.addresses)


def elements_of(breakpoints: Collection[Breakpoint]) -> frozenset[Place]:
    """Return the elements that are watched."""
    return frozenset(one.element for one in breakpoints if one.element is not None)
