"""Draws the registers: general ones as numbers, vector ones as lanes; what changed stands out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
from rich.style import Style
from rich.text import Text

from nndbg.elf import Executable
from nndbg.machine import RegisterFile
from nndbg.text import printable
from nndbg.tui.number_format import exponent
from nndbg.tui.palette import DIM, PLAIN, STRONG, UNKNOWN


class Lanes(StrEnum):
    """What the lanes of a vector register are read as."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT32 = "int32"
    INT64 = "int64"
    HEX = "hex bytes"


_TYPES: Mapping[Lanes, np.dtype[Any]] = {
    Lanes.FLOAT32: np.dtype("<f4"),
    Lanes.FLOAT64: np.dtype("<f8"),
    Lanes.INT32: np.dtype("<i4"),
    Lanes.INT64: np.dtype("<i8"),
    Lanes.HEX: np.dtype("<u8"),
}
_WIDTHS = {
    Lanes.FLOAT32: 10,
    Lanes.FLOAT64: 12,
    Lanes.INT32: 12,
    Lanes.INT64: 21,
    Lanes.HEX: 17,
}
_CHANGED = UNKNOWN + Style(bold=True)
_GENERAL_CELL, _NAME = 38, 7
# Below this there is neither code nor data.
_LOWEST = 1 << 16
# Bits of rflags: Intel SDM, volume 1, section 3.4.3.
_FLAGS = {0: "CF", 2: "PF", 4: "AF", 6: "ZF", 7: "SF", 10: "DF", 11: "OF"}


def draw_registers(
    now: RegisterFile | None,
    before: RegisterFile | None,
    lanes: Lanes,
    executable: Executable | None,
    width: int,
) -> Text:
    """Return all registers; those that differ from `before` stand out and have a sign."""
    if now is None:
        return Text("no registers: the program does not stand under GDB", DIM)
    old = before or now
    lines = _general(now, old, executable, width)
    head = Text.assemble((f"\nvectors as {lanes}", STRONG), ("   f changes that, ", DIM))
    head.append("*", _CHANGED).append(" changed since the stop before", DIM)
    lines.append(head)
    quiet = []
    for name, data in now.vectors.items():
        before_it = old.vectors.get(name, data)
        if any(data) or any(before_it):
            lines += _vector(name, data, before_it, lanes, width)
        else:
            quiet.append(name)
    if quiet:
        lines.append(Text(f"{', '.join(quiet)} are 0", DIM))
    return Text("\n").join(lines)


def _general(
    now: RegisterFile, old: RegisterFile, executable: Executable | None, width: int
) -> list[Text]:
    cells = []
    quiet = [name for name, value in now.masks.items() if not value and not old.masks.get(name)]
    masks = {name: value for name, value in now.masks.items() if name not in quiet}
    for name, value in {**now.general, **masks}.items():
        changed = value != {**old.general, **old.masks}.get(name, value)
        text = Text().append(f"{name:<{_NAME}}", DIM)
        text.append("*" if changed else " ", _CHANGED)
        text.append(f"{value:#x}", _CHANGED if changed else PLAIN)
        text.append(f"  {_meaning(name, value, executable)}", DIM)
        text.truncate(_GENERAL_CELL - 2, overflow="ellipsis", pad=True)
        cells.append(text)
    columns = max(1, width // _GENERAL_CELL)
    rows = -(-len(cells) // columns)
    lines = [Text("  ").join(cells[row::rows]) for row in range(rows)]
    return [*lines, Text(f"{', '.join(quiet)} are 0", DIM)] if quiet else lines


def _meaning(name: str, value: int, executable: Executable | None) -> str:
    if name == "eflags":
        return " ".join(flag for bit, flag in _FLAGS.items() if value >> bit & 1)
    if executable is not None and value >= _LOWEST:
        place = executable.function_at(value) or executable.symbol_at(value)
        if place is not None:
            away = value - place.address
            return printable(place.name) + (f"+{away:#x}" if away else "")
    signed = value - (1 << 64) if value >> 63 else value
    return str(signed) if abs(signed) < 10**12 else ""


def _vector(name: str, data: bytes, old: bytes, lanes: Lanes, width: int) -> list[Text]:
    numbers = np.frombuffer(data, _TYPES[lanes])
    size = numbers.dtype.itemsize
    changed = [data[i : i + size] != old[i : i + size] for i in range(0, len(data), size)]
    cell = _WIDTHS[lanes]
    per_line = max(1, (width - _NAME - 1) // cell)
    # Whole powers of two are easier to count.
    per_line = min(1 << per_line.bit_length() - 1, len(numbers))
    lines = []
    for start in range(0, len(numbers), per_line):
        line = Text().append(f"{name if not start else '':<{_NAME}}", DIM)
        line.append("*" if any(changed[start : start + per_line]) else " ", _CHANGED)
        line.append_text(
            _cells(numbers[start : start + per_line].tolist(), changed[start:], lanes, cell)
        )
        lines.append(line)
    return lines


def _cells(numbers: Sequence[float], changed: Sequence[bool], lanes: Lanes, width: int) -> Text:
    text = Text()
    for number, is_changed in zip(numbers, changed, strict=False):
        style = _CHANGED if is_changed else DIM if number == 0 else PLAIN
        text.append(f"{_number(number, lanes, width - 1):>{width - 1}} ", style)
    return text


def _number(value: float, lanes: Lanes, width: int) -> str:
    if lanes is Lanes.HEX:
        return f"{int(value):016x}"
    if lanes in (Lanes.INT32, Lanes.INT64):
        return str(value)
    if not np.isfinite(value):
        return f"{value:g}"
    short = f"{value:.{width - 4}g}"
    return short if len(short) <= width else exponent(value, width)
