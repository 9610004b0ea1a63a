"""Arithmetic on numbers that carry a proven bound of the rounding error a program may have made.

A `Bounded` is a float64 value and, per element, the largest distance at which a correct program's
result can lie from it. Every function here takes the format that the *program* computes in; the
bounds hold for any order of summation, with or without fused multiply-add, and with subnormals
flushed or not. They also contain the error of the reference itself, which computes in float64.
NaN and infinity pass through as IEEE 754 has it; callers silence NumPy's warnings about them.

Sources: Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed. (2002): the standard
model in section 2.2, lemma 3.1 for gamma.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Reals = NDArray[np.floating[Any]]

# The bounds themselves are computed in float64; this covers their own rounding.
SLACK = 1 + 2.0**-40
_LEAST = 5e-324


class BoundError(ArithmeticError):
    """No bound holds: the sum is too long for the format."""


@dataclass(frozen=True, eq=False)
class Format:
    """A binary floating-point format, and what the bounds need to know of it.

    `unit` is the unit roundoff u, `tiny` the smallest normal number (a flushed subnormal errs by
    less), `largest` the largest finite one.
    """

    name: str
    unit: float
    tiny: float
    largest: float

    @overload
    def gamma(self, n: int) -> float: ...
    @overload
    def gamma(self, n: NDArray[np.int_]) -> Array: ...
    def gamma(self, n: int | NDArray[np.int_]) -> float | Array:
        """Return the largest relative error of n rounded operations: n u / (1 - n u).

        Source: Higham (2002), lemma 3.1. Raises BoundError when n u >= 1.
        """
        most = n if isinstance(n, int) else int(n.max(initial=0))
        if most * self.unit >= 1:
            raise BoundError(f"{most} roundings are too many for {self.name}")
        if isinstance(n, int):
            return n * self.unit / (1 - n * self.unit)
        nu = n * self.unit
        return np.asarray(nu / (1 - nu))


FLOAT32 = Format("float32", 2.0**-24, 2.0**-126, float(np.finfo(np.float32).max))
FLOAT64 = Format("float64", 2.0**-53, 2.0**-1022, float(np.finfo(np.float64).max))


@dataclass(frozen=True, eq=False)
class Bounded:
    """Values and their bounds: float64 arrays of one shape, `error` never negative.

    An infinite error says that nothing is known of the element. `integers` are the numbers
    themselves where they are whole: float64 cannot hold every 64-bit integer. `own` is the array of
    the program whose numbers these are, without error.
    """

    value: Array
    error: Array
    integers: NDArray[np.integer[Any]] | None = None
    own: NDArray[Any] | None = None

    @cached_property
    def is_exact(self) -> bool:
        """Whether every element is known without error."""
        return self.own is not None or not self.error.any()

    @cached_property
    def largest(self) -> Array:
        """The largest magnitude that the program's number can have."""
        magnitude = np.abs(self.value)
        return magnitude if self.is_exact else np.asarray(magnitude + self.error)

    @cached_property
    def single(self) -> NDArray[np.float32]:
        """The largest magnitudes in float32, each rounded once; only a certain zero is zero.

        What may be too small for a normal float32 is taken as larger than it is.
        """
        if self.own is not None and self.own.dtype == np.float32:
            return np.asarray(np.abs(self.own), np.float32)
        return np.where(self.largest > 0, self.largest + FLOAT32.tiny, 0.0).astype(np.float32)

    @property
    def T(self) -> Bounded:
        """The transpose."""
        return Bounded(
            self.value.T,
            self.error.T,
            None if self.integers is None else self.integers.T,
            None if self.own is None else self.own.T,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values."""
        return self.value.shape


def exact(array: ArrayLike, fmt: Format = FLOAT32) -> Bounded:
    """Take the program's own numbers as they are.

    A subnormal carries itself as its error: with DAZ set the program reads it as zero.
    """
    own = np.asarray(array)
    value = own.astype(np.float64)
    if own.dtype.kind == "f":
        magnitude = np.abs(own)
        small = magnitude < fmt.tiny
        count = np.count_nonzero(small)
        if count and count != np.count_nonzero(magnitude == 0):
            return Bounded(value, np.where(small, magnitude.astype(np.float64), 0.0))
    return Bounded(value, np.zeros(value.shape), own=own)


def constant(number: float, fmt: Format) -> tuple[Bounded, Format, int]:
    """Return a constant, the format, and the roundings of a product with it, as `multiply` wants.

    A constant that the format cannot hold is rounded itself.
    """
    holds = float(np.dtype(fmt.name).type(number)) == number
    return exact(number), fmt, 1 if holds else 2


def whole(integers: NDArray[np.integer[Any]]) -> Bounded:
    """Take integers as they are: nothing but the very same number agrees."""
    return Bounded(integers.astype(np.float64), np.zeros(integers.shape), integers)


def rounded(value: Array, error: Array | None, fmt: Format, roundings: int = 1) -> Bounded:
    """Return `value` after so many roundings to `fmt`, each maybe flushed.

    `error` is what it inherits from its operands, None for nothing.
    """
    relative = fmt.gamma(roundings) + FLOAT64.gamma(roundings)
    return _bounded(value, error, relative, roundings * fmt.tiny, fmt)


def add(a: Bounded, b: Bounded, fmt: Format) -> Bounded:
    """Return a + b, rounded once."""
    return rounded(a.value + b.value, _sum_error(a, b), fmt)


def subtract(a: Bounded, b: Bounded, fmt: Format) -> Bounded:
    """Return a - b, rounded once."""
    return rounded(a.value - b.value, _sum_error(a, b), fmt)


def multiply(a: Bounded, b: Bounded, fmt: Format, roundings: int = 1) -> Bounded:
    """Return a b. More than one rounding where b itself is a rounded constant."""
    return rounded(a.value * b.value, _product_error(a, b), fmt, roundings)


def multiply_add(a: Bounded, b: Bounded, c: Bounded, fmt: Format) -> Bounded:
    """Return a + b c, rounded twice, or once by a fused multiply-add."""
    product = b.value * c.value
    value = a.value + product
    relative = fmt.gamma(1) + FLOAT64.gamma(1)
    bound = np.abs(product)
    bound = bound + np.abs(value)
    bound *= relative * (1 + relative) * SLACK
    bound += 2 * (1 + relative) * SLACK * fmt.tiny
    for error in (None if a.is_exact else a.error, _product_error(b, c)):
        if error is not None:
            bound += error * ((1 + relative) ** 2 * SLACK)
    # Either magnitude is a part of the bound.
    if bound.max(initial=0.0) < relative * fmt.largest:
        return Bounded(value, bound)
    magnitude = np.maximum(b.largest * c.largest, np.abs(value) + bound)
    return Bounded(value, unknown_where_overflowing(bound, magnitude, value, fmt))


def negative(a: Bounded) -> Bounded:
    """Return -a, which rounds nothing."""
    return Bounded(-a.value, a.error)


def square_root(a: Bounded, fmt: Format, roundings: int = 1) -> Bounded:
    """Return the root of what is not negative: sqrt(a + e) - sqrt(a) = e / (sqrt(a + e) + sqrt(a)).

    One rounding, or more where other ways to the same root make more.
    """
    value = np.sqrt(a.value)
    if a.is_exact:
        return rounded(value, None, fmt, roundings)
    down = np.minimum(a.error, a.value)
    below = down / (np.sqrt(a.value - down) + value + _LEAST)
    above = a.error / (np.sqrt(a.value + a.error) + value + _LEAST)
    return rounded(value, np.maximum(below, above), fmt, roundings)


def divide(a: Bounded, b: Bounded, fmt: Format) -> Bounded:
    """Return a / b by a division or by a rounded reciprocal: two roundings.

    Where b may be zero nothing is known, unless it is zero for certain.
    """
    value = a.value / b.value
    if b.is_exact:
        error = None if a.is_exact else np.asarray(a.error / np.abs(b.value))
        return rounded(value, error, fmt, 2)
    smallest = np.abs(b.value) - b.error
    error = np.where(smallest > 0, (a.error + np.abs(value) * b.error) / smallest, np.inf)
    # The quotient of the values is no guide where the program's divisor may be another.
    value = np.where((smallest <= 0) & (b.error > 0) & ~np.isfinite(value), 0.0, value)
    return rounded(value, error, fmt, 2)


def accuracy(ulps: float, fmt: Format) -> float:
    """Return the relative error of a routine accurate to `ulps` units in the last place.

    One ulp is at most 2 u of the value. NumPy's own routines err by less than 4 ulps. Source:
    Higham (2002), section 2.1.
    """
    return 2 * ulps * fmt.unit + 8 * FLOAT64.unit


def compounded(relative: Array | float) -> Array:
    """Return the relative error that several together make of first order: s / (1 - s).

    Source: Higham (2002), lemma 3.1, of which this is the continuous form.
    """
    return np.where(np.less(relative, 1), relative / (1 - np.asarray(relative)), np.inf)


def exponential(a: Bounded, ulps: float, fmt: Format) -> Bounded:
    """Return exp(a) by a routine that is accurate to `ulps` units in the last place."""
    value = np.exp(a.value)
    error = None if a.is_exact else np.asarray(value * np.expm1(a.error))
    return _accurate_to(value, error, ulps, fmt)


def logarithm(a: Bounded, ulps: float, fmt: Format) -> Bounded:
    """Return log(a) by a routine that is accurate to `ulps` units in the last place.

    The slope is largest at the lower end: |log(a - e) - log(a)| = -log1p(-e / a).
    """
    relative = a.error / a.value
    value = np.log(a.value)
    error = np.where(relative < 1, -np.log1p(-np.minimum(relative, 1)), np.inf)
    return _accurate_to(value, error, ulps, fmt)


def maximum(a: Bounded, axis: int) -> Bounded:
    """Return the largest element along `axis`, kept as an axis; choosing rounds nothing."""
    return Bounded(a.value.max(axis=axis, keepdims=True), a.error.max(axis=axis, keepdims=True))


def _sum_error(a: Bounded, b: Bounded) -> Array | None:
    if a.is_exact:
        return None if b.is_exact else b.error
    return a.error if b.is_exact else np.asarray(a.error + b.error)


def _product_error(a: Bounded, b: Bounded) -> Array | None:
    if a.is_exact:
        return None if b.is_exact else np.asarray(np.abs(a.value) * b.error)
    error = a.error * b.largest
    return error if b.is_exact else error + np.abs(a.value) * b.error


def _bounded(
    value: Array, error: Array | None, relative: float, flushed: float, fmt: Format
) -> Bounded:
    """Return `value` with the error it inherits, and `relative` of its magnitude besides.

    `flushed` is the absolute error of what a program may flush to zero.
    """
    bound = np.abs(value) * (relative * SLACK)
    if error is not None:
        bound = bound + error * ((1 + relative) * SLACK)
    bound += flushed * SLACK
    if bound.max(initial=0.0) < relative * fmt.largest:
        return Bounded(value, bound)
    magnitude = np.abs(value) if error is None else np.abs(value) + error
    return Bounded(value, unknown_where_overflowing(bound, magnitude, value, fmt))


def _accurate_to(value: Array, error: Array | None, ulps: float, fmt: Format) -> Bounded:
    return _bounded(value, error, accuracy(ulps, fmt), fmt.tiny, fmt)


def unless_overflowing(result: Bounded, magnitude: Array, fmt: Format) -> Bounded:
    """Return the result, unknown where a partial result of that magnitude may overflow."""
    if magnitude.max(initial=0.0) < fmt.largest:
        return result
    return Bounded(
        result.value, unknown_where_overflowing(result.error, magnitude, result.value, fmt)
    )


def unknown_where_overflowing(bound: Array, magnitude: Array, value: Array, fmt: Format) -> Array:
    """Where a partial result may overflow, nothing is known of the program's number."""
    return np.where(magnitude < fmt.largest, bound, np.where(np.isnan(value), 0.0, np.inf))
