"""Numbers that are hard on a bound, by what makes them hard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Draw = Callable[[np.random.Generator, tuple[int, ...]], F32]


def normal(random: np.random.Generator, shape: tuple[int, ...]) -> F32:
    return random.standard_normal(shape).astype(np.float32)


def cancelling(random: np.random.Generator, shape: tuple[int, ...]) -> F32:
    """Every number is followed by its opposite, but for the last bits."""
    flat = normal(random, (int(np.prod(shape)),))
    half = len(flat) // 2
    flat[half : 2 * half] = -flat[:half] * np.float32(1 + 2**-22)
    return random.permutation(flat).reshape(shape)


def of_huge_range(random: np.random.Generator, shape: tuple[int, ...]) -> F32:
    return (normal(random, shape) * 2.0 ** random.integers(-55, 55, shape)).astype(np.float32)


def subnormal(random: np.random.Generator, shape: tuple[int, ...]) -> F32:
    """A third lies below the smallest normal number, the others so that products do."""
    scale = np.choose(random.integers(0, 3, shape), [2.0**-130, 2.0**-64, 2.0**-61])
    return (normal(random, shape) * scale).astype(np.float32)


def mostly_zero(random: np.random.Generator, shape: tuple[int, ...]) -> F32:
    """As MNIST's pixels are; zeros of both signs."""
    zero = np.where(random.random(shape) < 0.5, np.float32(0), np.float32(-0.0))
    return np.where(random.random(shape) < 0.8, zero, normal(random, shape))


def just_above_powers_of_two(random: np.random.Generator, shape: tuple[int, ...]) -> F32:
    """Where a rounding costs most: one ulp is twice the unit roundoff of the number."""
    steps = random.integers(1, 4, shape)
    return ((1 + steps * 2.0**-23) * 2.0 ** random.integers(-3, 4, shape)).astype(np.float32)


def all_zero(random: np.random.Generator, shape: tuple[int, ...]) -> F32:
    del random
    return np.zeros(shape, np.float32)


DRAWS: list[Draw] = [
    normal,
    cancelling,
    of_huge_range,
    subnormal,
    mostly_zero,
    just_above_powers_of_two,
    all_zero,
]
