"""Numbers as colours and as signs, and a large matrix gathered into a small one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.tui.matrix_layout import Side
from nndbg.tui.tensor import Tensor

Heat = NDArray[np.float64]
Colours = NDArray[np.uint8]

# From the background to each side: amber and blue, which the colour-blind tell apart.
_ZERO = np.array([0x1C, 0x25, 0x2A], np.float64)
_ABOVE = np.array([0xFF, 0xB0, 0x3C], np.float64)
_BELOW = np.array([0x5C, 0xB4, 0xFF], np.float64)
_NO_NUMBER = np.array([0xF0, 0x50, 0xC8], np.uint8)
# Without colour: zero, from little to much above zero, the same below it, no number.
_SIGNS = np.array([" ", "'", "+", "#", ",", "-", "=", "!"])
_LEVELS, _NO_NUMBER_SIGN = 3, 7
# What is drawn of a difference that is within its bound.
_WITHIN = 0.25


def heat_of(tensor: Tensor, side: Side) -> Heat:
    """Return [rows, columns] between -1 and 1: the sign, and the magnitude on the side's scale.

    Of the numbers and of the reference 1 is the largest magnitude of the two; of the difference it
    is what lies beyond the bound, and what lies within it stays under a quarter. NaN where there is
    no number.
    """
    if side is Side.DIFFERENCE:
        return _shares(tensor)
    values: NDArray[Any] = tensor.actual
    if side is Side.REFERENCE:
        assert tensor.expected is not None
        values = tensor.expected.value
    heat = np.asarray(values, np.float64) / (tensor.largest or 1.0)
    return np.asarray(np.clip(heat, -1.0, 1.0))


def _shares(tensor: Tensor) -> Heat:
    assert tensor.expected is not None
    actual = np.asarray(tensor.actual, np.float64)
    with np.errstate(all="ignore"):
        gap = actual - tensor.expected.value
        share = np.nan_to_num(gap / tensor.expected.error, nan=0.0)
    share = np.where(tensor.wrong, np.where(gap < 0, -1.0, 1.0), np.clip(share, -1, 1) * _WITHIN)
    return np.asarray(np.where(np.isnan(actual), np.nan, share))


@dataclass(frozen=True)
class Scale:
    """How the places of an axis fall on so many points: `most` at most, and `each` a place."""

    count: int
    most: int
    largest: int

    @property
    def each(self) -> int:
        """How many points a place takes, 1 where a point has several places."""
        return min(max(1, self.most // self.count), self.largest)

    @property
    def blocks(self) -> int:
        """Into how many stretches the axis is gathered."""
        return min(self.count, self.most)

    @property
    def starts(self) -> NDArray[np.intp]:
        """Where each stretch begins."""
        return np.arange(self.blocks) * self.count // self.blocks

    def point(self, place: int) -> int:
        """Return the first point of a place."""
        return (int(np.searchsorted(self.starts, place, "right")) - 1) * self.each

    def place(self, point: int) -> int | None:
        """Return the first place at a point, None beyond the last."""
        block = point // self.each
        return int(self.starts[block]) if 0 <= block < self.blocks else None


def gathered(heat: Heat, rows: Scale, columns: Scale) -> Heat:
    """Return what falls on each point: of several numbers the farthest from zero, NaN first."""
    for axis, scale in ((0, rows), (1, columns)):
        if scale.blocks < scale.count:
            low = np.minimum.reduceat(heat, scale.starts, axis)
            high = np.maximum.reduceat(heat, scale.starts, axis)
            heat = np.where(np.abs(low) > np.abs(high), low, high)
        heat = heat.repeat(scale.each, axis)
    return heat


def colours(heat: Heat) -> Colours:
    """Return [rows, columns, 3]: red, green, blue."""
    known = np.nan_to_num(heat)[..., None]
    # Small magnitudes are many: the root tells them apart.
    strength = np.sqrt(np.abs(known))
    full = np.where(known < 0, _BELOW, _ABOVE)
    mixed = np.rint(_ZERO + (full - _ZERO) * strength).astype(np.uint8)
    return np.where(np.isnan(heat)[..., None], _NO_NUMBER, mixed)


def signs(heat: Heat) -> NDArray[np.str_]:
    """Return a sign for each number: which side of zero, and how much in three levels."""
    known = np.nan_to_num(heat)
    level = np.ceil(np.abs(known) * _LEVELS).astype(np.intp)
    index = level + np.where(known < 0, _LEVELS, 0)
    return np.asarray(_SIGNS[np.where(np.isnan(heat), _NO_NUMBER_SIGN, index)])
