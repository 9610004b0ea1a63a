"""Boundaries as a map writes them: a place in the code, and which of its passings is meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FORMS = "probe:PROVIDER:NAME, enter:SYMBOL, return:SYMBOL, FILE:LINE or *0xADDR"
WORDS = "a register such as rdi, or a word on the stack such as [rsp+8]"

_SYMBOL = r"[^\s\"'`;\\]+"
_LEGACY = ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")
_NUMBERED = tuple(f"r{number}" for number in range(8, 16))
# By the name of the 64-bit register and how many bytes of it count.
REGISTERS: Mapping[str, tuple[str, int]] = {
    **{f"r{name}": (f"r{name}", 8) for name in _LEGACY},
    **{f"e{name}": (f"r{name}", 4) for name in _LEGACY},
    **{name: (name, 8) for name in _NUMBERED},
    **{f"{name}d": (name, 4) for name in _NUMBERED},
}
_NUMBER = r"0x[0-9a-fA-F]{1,8}|\d{1,9}"
_WORD = re.compile(
    rf"(?P<open>\[)?\s*(?P<register>\w+)\s*"
    rf"(?:(?P<sign>[+-])\s*(?P<offset>{_NUMBER})\s*)?(?P<close>\])?"
)

Form = Literal["probe", "enter", "return", "line", "address"]


@dataclass(frozen=True)
class Word:
    """A number that the program holds where it stands, as the map writes it.

    It is `register + offset`, of which the low `size` bytes count, or the 64-bit word in memory
    there where `is_in_memory`.
    """

    text: str
    register: str
    size: int
    offset: int
    is_in_memory: bool

    def __str__(self) -> str:
        return self.text

    @property
    def is_on_stack(self) -> bool:
        """Whether what it is the address of lies on the stack by the look of it."""
        return self.register in ("rsp", "rbp") and not self.is_in_memory


@dataclass(frozen=True)
class Boundary:
    """A place in the code, as the map writes it, taken apart.

    probe: (provider, name); enter, return: (symbol,); line: (file, line); address: (address,).
    Of the times that a step passes it, it is the `nth` one that is meant, from 1, or all where that
    is None; only those count at which each word of `call` points into a buffer, or is a number. For
    `return` the words are those at the function's entry.
    """

    text: str
    form: Form
    target: tuple[str | int, ...]
    nth: int | None = None
    call: tuple[tuple[Word, str | int], ...] = ()

    def __str__(self) -> str:
        return " ".join((self.text, *self.passing))

    @property
    def passing(self) -> tuple[str, ...]:
        """Which passing is meant, in words; nothing where all are."""
        words = tuple(f"{word}={meant}" for word, meant in self.call)
        return words if self.nth is None else (*words, f"nth={self.nth}")

    @property
    def is_plain(self) -> bool:
        """Whether every time counts that the program comes there."""
        return self.nth is None and not self.call


def parse_boundary(text: str) -> tuple[Form, tuple[str | int, ...]] | None:
    """Take the text of a boundary apart; None where it is none."""
    if match := re.fullmatch(r"probe:([\w.]+):([\w.]+)", text):
        return "probe", (match[1], match[2])
    if match := re.fullmatch(rf"enter:({_SYMBOL})", text):
        return "enter", (match[1],)
    if match := re.fullmatch(rf"return:({_SYMBOL})", text):
        return "return", (match[1],)
    if match := re.fullmatch(r"\*0x([0-9a-fA-F]+)", text):
        return "address", (int(match[1], 16),)
    if match := re.fullmatch(r"([^:\x00-\x1f]+):(\d+)", text):
        return "line", (match[1], int(match[2]))
    return None


def parse_word(text: str) -> Word | None:
    """Take `rdi`, `edi`, `rsp+0x20` or `[rsp+8]` apart; None where it is none of these."""
    match = _WORD.fullmatch(text.strip())
    if match is None or bool(match["open"]) != bool(match["close"]):
        return None
    if match["register"] not in REGISTERS:
        return None
    register, size = REGISTERS[match["register"]]
    if size != 8 and match["offset"] is not None:
        return None
    offset = int(match["offset"] or "0", 0)
    return Word(
        text=text,
        register=register,
        size=size,
        offset=-offset if match["sign"] == "-" else offset,
        is_in_memory=match["open"] is not None,
    )
