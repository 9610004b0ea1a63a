"""Draws in braille: two by four dots in every character of a terminal."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The bit of each dot, rows downwards (The Unicode Standard, chapter 21, "Braille Patterns").
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_BLANK = 0x2800

ACROSS = 2
DOWN = 4


def text(dots: ArrayLike) -> list[str]:
    """Lines of characters for dots [rows, columns] that are set or not."""
    given = np.asarray(dots, bool)
    rows, columns = (-(-n // per) for n, per in zip(given.shape, (DOWN, ACROSS), strict=True))
    padded = np.zeros((rows * DOWN, columns * ACROSS), bool)
    padded[: given.shape[0], : given.shape[1]] = given
    cells = padded.reshape(rows, DOWN, columns, ACROSS).transpose(0, 2, 1, 3)
    codes = (cells * _BITS).sum(axis=(2, 3)) + _BLANK
    # A blank pattern is a character that some fonts draw as eight circles.
    return ["".join(" " if code == _BLANK else chr(code) for code in row) for row in codes.tolist()]


def line(dots: NDArray[np.bool_], start: tuple[int, int], end: tuple[int, int]) -> None:
    """Set the dots from `start` to `end`, each a row and a column."""
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1])) + 1
    rows = np.rint(np.linspace(start[0], end[0], steps)).astype(int)
    columns = np.rint(np.linspace(start[1], end[1], steps)).astype(int)
    dots[rows, columns] = True
