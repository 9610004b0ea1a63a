"""Draws digits that stand in for MNIST where no copy of it can be had.

A digit is a few pen strokes: splines through control points, jittered for each image, slanted,
turned and scaled, then inked with a soft round pen. Every floating-point operation here is one that
IEEE 754 rounds in one way only, so a recipe gives the same bytes on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nndbg.errors import UsageError

SIDE = 28
VERSION = 1

# One string per way to write a digit: "x,y" points, y downwards, about 20 tall; " / " begins
# another spline, and two that share a point meet there in a corner.
STYLES: tuple[tuple[str, ...], ...] = (
    (
        "8,0 3,2 0,9 2,17 7,20 12,16 13,9 11,2 7,0 5,1",
        "10,2 6,0 1,5 0,12 3,19 8,19 12,13 12,6 9,1",
        "6,0 2,3 0,10 2,17 6,20 9,17 11,10 9,3 5,0",
    ),
    ("5,0 5,10 5,20", "6,0 5,10 4,20", "1,4 5,0 / 5,0 5,10 5,20", "1,4 5,0 / 5,0 5,20 / 1,20 9,20"),
    (
        "1,4 5,0 10,1 11,6 7,13 0,20 / 0,20 6,19 13,20",
        "1,5 4,0 10,1 11,6 7,13 2,19 0,17 3,15 8,18 14,20",
        "0,3 5,0 11,3 9,10 4,16 0,20 / 0,20 13,19",
    ),
    (
        "1,2 6,0 11,3 9,8 4,9 / 4,9 10,10 13,14 9,19 4,20 0,17",
        "0,1 6,0 11,3 9,7 5,9 8,10 12,14 9,19 4,20 0,18",
        "1,0 12,0 / 12,0 5,8 / 5,8 11,10 12,15 7,20 0,18",
    ),
    (
        "3,0 1,6 1,10 / 1,10 6,11 13,9 / 12,1 11,10 10,20",
        "2,1 0,10 / 0,10 5,11 11,10 / 12,0 11,10 11,20",
        "10,0 5,7 0,13 / 0,13 14,13 / 10,0 10,10 9,20",
    ),
    (
        "12,0 3,1 / 3,1 2,8 / 2,8 8,7 12,12 9,18 4,20 0,18",
        "13,1 4,1 2,4 2,8 7,8 11,12 10,17 5,20 0,18",
        "4,1 2,8 / 2,8 8,7 11,13 8,19 0,20 / 4,1 13,0",
    ),
    (
        "9,0 4,5 0,13 2,19 8,20 12,16 9,11 4,12 1,16",
        "6,0 2,6 0,14 3,20 8,19 10,14 7,11 3,13 1,17",
        "12,1 6,3 1,9 1,16 5,20 10,18 11,13 6,11 1,14",
    ),
    (
        "0,1 6,1 12,0 / 12,0 8,9 5,20",
        "0,4 1,1 12,1 / 12,1 9,8 7,20",
        "0,1 13,0 / 13,0 8,9 6,20 / 4,10 12,10",
    ),
    (
        "12,3 7,0 2,2 3,7 9,11 12,16 7,20 2,18 3,13 9,8 12,3",
        "7,9 2,5 6,0 11,4 7,9 / 7,9 1,14 6,20 12,15 7,9",
        "10,1 4,1 3,6 8,10 11,15 7,20 2,17 4,12 9,7 10,1",
    ),
    (
        "11,3 6,0 1,4 2,9 7,10 11,3 / 11,3 11,11 9,20",
        "11,5 8,0 2,2 1,8 6,10 10,7 11,5 / 11,5 11,13 7,20 2,18",
        "12,2 6,1 1,5 2,9 8,9 12,2 / 12,2 10,10 6,20",
    ),
)

_POINTS = 64  # pen positions per digit: at 255 * 255 each their sum stays exact in float32
_CHUNK = 250

# How far a hand strays: the middle value and the largest departure from it.
_JITTER = 2.8  # of a control point, in units of the styles
_WIDTH = (0.95, 0.4)
_SLANT = (0.15, 0.4)
_TURN = (0.0, 0.18)  # tangent of half the angle
_SIZE = (18.0, 2.5)  # the longer side of a digit, in pixels
_SHIFT = (0.0, 1.5)  # pixels
_RADIUS = (2.4, 0.9)  # of the pen, pixels
_PRESSURE = 1.7
_EDGE = 0.25  # ink below this leaves no trace
_GRAIN = 0.15


@dataclass(frozen=True)
class Recipe:
    """What a synthetic set is made from; the same recipe gives the same bytes.

    Raises UsageError for a negative seed or a part without digits.
    """

    seed: int = 1998
    train: int = 60_000
    test: int = 10_000

    def __post_init__(self) -> None:
        if self.seed < 0 or self.train < 1 or self.test < 1:
            raise UsageError(f"{self} is no recipe: the seed is 0 or more, the counts 1 or more.")

    def __str__(self) -> str:
        return f"digits-{VERSION} seed={self.seed} train={self.train} test={self.test}"


@dataclass(frozen=True)
class _Pen:
    """Every style s as arrays: pen position p is a weighted sum of four of its control points.

    `sum_k weights[s, p, k] * controls[s, index[s, p, k]]`
    """

    controls: NDArray[np.float32]  # [styles, most controls, 2]
    index: NDArray[np.int64]  # [styles, _POINTS, 4]
    weights: NDArray[np.float32]  # [styles, _POINTS, 4]
    length: NDArray[np.float32]  # [styles]
    first: NDArray[np.int64]  # [10] the first style of each digit
    count: NDArray[np.int64]  # [10] how many styles each digit has


def digits(
    count: int, seed: tuple[int, ...], drawn: Callable[[int], None] = lambda _: None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw `count` digits, as many of each as `count` allows, in random order.

    Returns images [count, 28, 28] and labels [count]. `drawn` hears how many are ready.
    """
    rng = np.random.default_rng(seed)
    pen = _pen()
    labels = rng.permutation(np.arange(count) % len(STYLES)).astype(np.uint8)
    images = np.empty((count, SIDE, SIDE), np.uint8)
    for start in range(0, count, _CHUNK):
        digit = labels[start : start + _CHUNK]
        style = pen.first[digit] + rng.integers(1 << 16, size=len(digit)) % pen.count[digit]
        x, y, length = _write(pen, style, rng)
        images[start : start + _CHUNK] = _ink(x, y, length, rng)
        drawn(start + len(digit))
    return images, labels


def _write(
    pen: _Pen, style: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Pen positions x and y [n, _POINTS] in pixels, and the length of the line [n]."""
    n = len(style)
    controls = pen.controls[style]
    controls += np.float32(_JITTER) * _bell(rng, controls.shape)
    points = np.zeros((n, _POINTS, 2), np.float32)
    for k in range(4):
        near = np.take_along_axis(controls, pen.index[style, :, k, None], axis=1)
        points += pen.weights[style, :, k, None] * near
    x, y = points[..., 0], points[..., 1]

    width, slant, turn, size, right, down = (
        np.float32(middle) + np.float32(spread) * _bell(rng, (n, 1))
        for middle, spread in (_WIDTH, _SLANT, _TURN, _SIZE, _SHIFT, _SHIFT)
    )
    x = x * width - y * slant
    # The rotation by 2 atan(turn), without a sine that machines may round differently.
    norm = 1 + turn * turn
    cosine, sine = (1 - turn * turn) / norm, 2 * turn / norm
    x, y = x * cosine - y * sine, x * sine + y * cosine

    left, top = x.min(axis=1, keepdims=True), y.min(axis=1, keepdims=True)
    wide, tall = x.max(axis=1, keepdims=True) - left, y.max(axis=1, keepdims=True) - top
    scale = size / np.maximum(wide, tall)
    middle = np.float32((SIDE - 1) / 2)
    x = (x - left - wide / 2) * scale + middle + right
    y = (y - top - tall / 2) * scale + middle + down
    return x, y, pen.length[style] * scale[:, 0]


def _ink(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    length: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Images [n, 28, 28] of soft round blots at x and y, summed and cut off at black.

    The blots are rounded to whole numbers, so the matrix product is exact in any order.
    """
    n = len(x)
    radius = np.float32(_RADIUS[0]) + np.float32(_RADIUS[1]) * _bell(rng, (n, 1, 1))
    pixel = np.arange(SIDE, dtype=np.float32)

    def blot(at: NDArray[np.float32]) -> NDArray[np.float32]:
        reach = (at[..., None] - pixel) / radius
        fall = np.maximum(1 - reach * reach, np.float32(0))
        return np.asarray(np.rint(255 * (fall * fall)), np.float32)

    ink = np.matmul(blot(y).transpose(0, 2, 1), blot(x))
    # Along a straight line the blots add up to 16/15 radius per pen position and pixel.
    full = np.float32(255 * 255 * 16 / 15 * _POINTS) * radius / length[:, None, None]
    ink = np.clip(np.float32(_PRESSURE) * ink / full - np.float32(_EDGE), 0, 1)
    grain = rng.integers(0, 256, size=ink.shape, dtype=np.uint8)
    dark = np.rint(ink * (255 - np.float32(_GRAIN) * grain))
    return np.asarray(dark, np.uint8)


def _bell(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Random numbers in (-1, 1) with a round peak at 0: the sum of three uniform ones."""
    total = rng.random(shape, np.float32) + rng.random(shape, np.float32)
    return (total + rng.random(shape, np.float32)) * np.float32(2 / 3) - 1


def _pen() -> _Pen:
    """Turn the styles into arrays: Catmull-Rom splines, pen positions evenly along the line."""
    lines = [_line(style) for digit in STYLES for style in digit]
    most = max(len(controls) for controls, *_ in lines)
    padded = np.zeros((len(lines), most, 2), np.float32)
    for row, (controls, *_) in zip(padded, lines, strict=True):
        row[: len(controls)] = controls
    count = np.array([len(digit) for digit in STYLES])
    return _Pen(
        controls=padded,
        index=np.array([index for _, index, _, _ in lines]),
        weights=np.array([weights for _, _, weights, _ in lines], np.float32),
        length=np.array([length for *_, length in lines], np.float32),
        first=np.cumsum(count) - count,
        count=count,
    )


_Line = tuple[list[tuple[int, int]], list[list[int]], list[list[float]], float]


def _line(style: str) -> _Line:
    """Controls, four control indices and their weights for each pen position, and the length."""
    controls: list[tuple[int, int]] = []
    spans: list[tuple[list[int], float]] = []  # between two controls: its four, its length
    for stroke in style.split(" / "):
        path = []
        for text in stroke.split():
            x, y = text.split(",")
            point = (int(x), int(y))
            if point not in controls:
                controls.append(point)
            path.append(controls.index(point))
        closed = path[0] == path[-1]
        before, after = (path[-2], path[1]) if closed else (path[0], path[-1])
        around = [before, *path, after]
        for four in zip(around, around[1:], around[2:], around[3:], strict=False):
            (x0, y0), (x1, y1) = controls[four[1]], controls[four[2]]
            spans.append((list(four), math.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2)))

    length = sum(chord for _, chord in spans)
    index, weights = [], []
    span, passed = 0, 0.0
    for position in range(_POINTS):
        along = (position + 0.5) * length / _POINTS
        while along > passed + spans[span][1]:
            passed += spans[span][1]
            span += 1
        t = (along - passed) / spans[span][1]
        index.append(spans[span][0])
        weights.append(
            [
                (-t + 2 * t * t - t * t * t) / 2,
                (2 - 5 * t * t + 3 * t * t * t) / 2,
                (t + 4 * t * t - 3 * t * t * t) / 2,
                (t * t * t - t * t) / 2,
            ]
        )
    return controls, index, weights, length
