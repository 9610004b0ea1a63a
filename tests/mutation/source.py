"""Reads NASM source as far as an operator needs it: instructions, operands, names of registers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_LABEL = re.compile(r"^\s*[\w.?%]+:(?!\S)")
_DEFINE = re.compile(r"^\s*%define\s+(\w+)\s+(.+)$")
_UNDEF = re.compile(r"^\s*%undef\s+(\w+)")
_EQU = re.compile(r"^\s*\w+\s+equ\s+")
_SECTION = re.compile(r"^\s*\[?section\s+(\S+)")
_INSTRUCTION = re.compile(
    r"^(\s*(?:[\w.?%]+:(?=\s))?\s*)((?:rep\w*\s+|lock\s+)?[A-Za-z]\w*)(\s+|$)(.*)$"
)
_DATA = re.compile(r"^\s*(?:[\w.]+:?\s+)?d[bwdq]\s")
# What begins like an instruction and is none: directives, and the macro of a boundary.
_DIRECTIVES = frozenset(
    (
        *("global", "extern", "default", "section", "align", "alignb", "times", "incbin"),
        *("struc", "endstruc", "istruc", "at", "iend", "PROBE"),
        *(f"{what}{size}" for what in ("d", "res") for size in "bwdq"),
    )
)

_LEGACY = ("ax", "bx", "cx", "dx", "si", "di", "bp")
REGISTERS: Mapping[str, str] = {
    **{f"r{name}": "r64" for name in _LEGACY},
    **{f"e{name}": "r32" for name in _LEGACY},
    **dict.fromkeys(("al", "bl", "cl", "dl"), "r8"),
    **{f"r{n}": "r64" for n in range(8, 16)},
    **{f"r{n}d": "r32" for n in range(8, 16)},
    **{f"{width}{n}": width for width in ("xmm", "ymm", "zmm") for n in range(32)},
    **{f"k{n}": "k" for n in range(1, 8)},
}


@dataclass(frozen=True)
class Line:
    """A line of source, without its comment, and what it is.

    `head` is all before the mnemonic; `operands` is split at commas outside of brackets. `names`
    are the aliases that hold here, each with the class of its register.
    """

    number: int
    code: str
    comment: str
    section: str = ".text"
    head: str = ""
    mnemonic: str = ""
    gap: str = ""
    operands: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_instruction(self) -> bool:
        """Whether it is code, and not data, a directive or a boundary."""
        return bool(self.mnemonic) and self.section == ".text"

    @property
    def has_label(self) -> bool:
        return bool(_LABEL.match(self.code))

    @property
    def is_data(self) -> bool:
        return bool(_DATA.match(self.code)) and self.section != ".text"

    @property
    def is_equ(self) -> bool:
        return bool(_EQU.match(self.code))

    @property
    def definition(self) -> tuple[str, str] | None:
        """The name and the text of a %define."""
        found = _DEFINE.match(self.code)
        return (found[1], found[2].strip()) if found else None

    def with_code(self, code: str) -> str:
        """Return the line's text with other code and the same comment."""
        if not self.comment:
            return code
        width = len(self.code)
        return f"{code.rstrip():<{width}}{'' if len(code.rstrip()) < width else ' '}{self.comment}"

    def with_operands(self, operands: Sequence[str], mnemonic: str | None = None) -> str:
        """Return the line's text with other operands, and another mnemonic where one is given."""
        gap = self.gap or " "
        return self.with_code(f"{self.head}{mnemonic or self.mnemonic}{gap}{', '.join(operands)}")


def read_lines(text: str) -> list[Line]:
    """Return the lines of a file of NASM source."""
    section, names, lines = ".text", dict[str, str](), []
    for number, raw in enumerate(text.splitlines(), 1):
        code, comment = _split_comment(raw)
        if found := _SECTION.match(code):
            section = found[1].rstrip("]")
        elif found := _DEFINE.match(code):
            kind = REGISTERS.get(found[2].strip())
            if kind:
                names[found[1]] = kind
        elif found := _UNDEF.match(code):
            names.pop(found[1], None)
        head = mnemonic = gap = ""
        operands: tuple[str, ...] = ()
        found = _INSTRUCTION.match(code.rstrip())
        if found and found[2].split()[0] not in _DIRECTIVES and not _EQU.match(code):
            head, mnemonic, gap = found[1], found[2], found[3]
            operands = split_operands(found[4])
        lines.append(
            Line(number, code, comment, section, head, mnemonic, gap, operands, dict(names))
        )
    return lines


def _split_comment(raw: str) -> tuple[str, str]:
    quote = ""
    for at, character in enumerate(raw):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'`":
            quote = character
        elif character == ";":
            return raw[:at], raw[at:]
    return raw, ""


def split_operands(text: str) -> tuple[str, ...]:
    """Split at the commas that are outside of brackets."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character in "[({") - (character in "])}")
        if character == "," and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    parts.append(text[start:].strip())
    return tuple(part for part in parts if part)
