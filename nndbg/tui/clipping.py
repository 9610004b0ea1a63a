"""Numbers as text that NumPy reads back, bit for bit; and which of them a slice names."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.errors import UsageError

# What terminals take in one go (OSC 52) is about 100 kB, encoded.
MOST_ELEMENTS = 4096
_BOUND = r"\s*([+-]?\d{1,18})?\s*"
_RANGE = re.compile(rf"{_BOUND}:{_BOUND}(?::{_BOUND})?")
_INDEX = re.compile(r"\s*([+-]?\d{1,18})\s*")
Slice = tuple[int | slice, ...]


def as_numpy(array: NDArray[Any]) -> str:
    """Return `np.array(...)` that makes this array again, NaNs and infinities included.

    Raises UsageError where it is too large for a clipboard.
    """
    if array.size > MOST_ELEMENTS:
        raise UsageError(
            f"{array.size} elements are too many for a clipboard, which takes {MOST_ELEMENTS}: "
            "save the buffer as .npy."
        )
    kind = array.dtype.newbyteorder("=")
    with np.printoptions(threshold=MOST_ELEMENTS + 1, floatmode="unique", linewidth=100):
        numbers = np.array2string(array, separator=", ", prefix="np.array(")
    # Bare `nan` and `inf` are no names in Python.
    numbers = re.sub(r"\b(nan|inf)\b", r"np.\1", numbers)
    return f"np.array({numbers}, dtype=np.{kind})"


def parse_slice(text: str, axes: int) -> Slice:
    """Return what `[0:4, :]` names, as NumPy indexes with it; the brackets may be left out.

    Raises UsageError.
    """
    inside = text.strip().removeprefix("[").removesuffix("]")
    parts = inside.split(",") if inside.strip() else []
    if len(parts) > axes:
        raise UsageError(f"{text!r} has {len(parts)} axes, and the buffer {axes}.")
    return tuple(map(_part, parts))


def sliced(array: NDArray[Any], text: str) -> NDArray[Any]:
    """Return the part of `array` that a slice names. Raises UsageError where there is none."""
    try:
        found = np.asarray(array[parse_slice(text, array.ndim)])
    except (IndexError, ValueError) as error:
        raise UsageError(f"{text!r}: {error}.") from error
    if not found.size:
        raise UsageError(f"{text!r} names no element of {list(array.shape)}.")
    return found


def _part(text: str) -> int | slice:
    if index := _INDEX.fullmatch(text):
        return int(index[1])
    if bounds := _RANGE.fullmatch(text):
        return slice(*(int(bound) if bound else None for bound in bounds.groups()))
    raise UsageError(f"{text.strip()!r} is no part of a slice. Write one like this: 0:4, 7")
