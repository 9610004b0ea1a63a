"""Constants in the program's data that may be mistaken; to blame is what reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from iced_x86 import Instruction, Register

from nndbg.culprit.amendments.coding import Change, Constant, Cost, encode, name_of
from nndbg.culprit.amendments.replacements import Setting, has_memory
from nndbg.decode import decode

_SUFFIXES = {"ss": "<f4", "ps": "<f4", "sd": "<f8", "pd": "<f8"}
_WHOLE = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<u8"}
_BITS = 8


def constants(instruction: Instruction, setting: Setting) -> Iterator[Change]:
    """Yield the constants that an instruction loads, each with other numbers in its place."""
    named = instruction.memory_base in (Register.NONE, Register.RIP)
    if not has_memory(instruction) or not named or instruction.memory_index != Register.NONE:
        return
    decoded = decode(encode(instruction, instruction.ip) or b"", instruction.ip)
    if decoded is None or (load := decoded.load) is None or not load.size:
        return
    address = int(instruction.memory_displacement)
    held = setting.data(address, load.size)
    kind = _SUFFIXES.get(name_of(instruction)[-2:]) or _WHOLE.get(load.width, "<u4")
    if len(held) != load.size or len(held) % np.dtype(kind).itemsize:
        return
    numbers = np.frombuffer(held, kind)
    alike = bool((numbers == numbers[0]).all())
    for at in (None,) if alike else range(len(numbers)):
        old = numbers[at or 0].item()
        for place, new in enumerate(_instead(old, setting.ratio)):
            changed = numbers.copy()
            with np.errstate(all="ignore"):
                changed[slice(None) if at is None else at] = _of_kind(new, numbers.dtype)
            where = "" if at is None else f" at {at}"
            text = f"{changed[at or 0].item():.9g} instead of {old:.9g}{where}"
            if not np.array_equal(changed, numbers):
                constant = Constant(address, changed.tobytes(), text)
                yield Change(instruction.ip, 1, (), Cost.CONSTANT + place / 20, constant=constant)


def _of_kind(number: float, dtype: np.dtype[Any]) -> Any:
    """Return a number as it is held; of a whole one the bits that fit."""
    return dtype.type(number % (1 << 8 * dtype.itemsize) if dtype.kind == "u" else number)


def _instead(old: float, ratio: float) -> Iterator[float]:
    if isinstance(old, float):
        if math.isfinite(ratio) and math.isfinite(old):
            yield from (old * ratio, old / ratio if ratio else 0.0)
        yield from (-old, old * 2, old / 2, 0.0, 1.0, old + 1, old - 1, 1 / old if old else 1.0)
    else:
        yield from (old + 1, old - 1, old * 2, old // 2, 0, ~old)
        yield from (old ^ 1 << bit for bit in range(_BITS))
