"""Arithmetic on numbers that carry a proven bound of the rounding error a program may have made.

A `Bounded` is a float64 value and, per element, the largest distance at which a correct program's
result can lie from it. Every function here takes the format that the *program* computes in; the
bounds hold for any order of summation, with or without fused multiply-add, and with subnormals
flushed or not. They also contain the error of the reference itself, which computes in float64.
NaN and infinity pass through as IEEE 754 has it; callers silence NumPy's warnings about them.

Sources: Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed. (2002): the standard
model in section 2.2, lemma 3.1 for gamma, section 3.1 for sums and products in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# The bounds themselves are computed in float64; this covers their own rounding.
_SLACK = 1 + 2.0**-40


class BoundError(ArithmeticError):
    """No bound holds: the sum is too long for the format."""


@dataclass(frozen=True)
class Format:
    """A binary floating-point format, and what the bounds need to know of it.

    `unit` is the unit roundoff u, `tiny` the smallest normal number (a flushed subnormal errs by
    less), `largest` the largest finite one.
    """

    name: str
    unit: float
    tiny: float
    largest: float

    def gamma(self, n: int | NDArray[np.int_]) -> Array:
        """Return the largest relative error of n rounded operations: n u / (1 - n u).

        Source: Higham (2002), lemma 3.1. Raises BoundError when n u >= 1.
        """
        nu = np.asarray(n, dtype=np.float64) * self.unit
        if nu.size and nu.max() >= 1:
            raise BoundError(f"{nu.max() / self.unit:.0f} roundings are too many for {self.name}")
        return np.asarray(nu / (1 - nu))


FLOAT32 = Format("float32", 2.0**-24, 2.0**-126, float(np.finfo(np.float32).max))
FLOAT64 = Format("float64", 2.0**-53, 2.0**-1022, float(np.finfo(np.float64).max))


@dataclass(frozen=True, eq=False)
class Bounded:
    """Values and their bounds: float64 arrays of one shape, `error` never negative.

    An infinite error says that nothing is known of the element. `integers` are the numbers
    themselves where they are whole: float64 cannot hold every 64-bit integer.
    """

    value: Array
    error: Array
    integers: NDArray[np.integer[Any]] | None = None

    @property
    def largest(self) -> Array:
        """The largest magnitude that the program's number can have."""
        return np.abs(self.value) + self.error

    @property
    def T(self) -> Bounded:
        """The transpose."""
        return Bounded(self.value.T, self.error.T)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values."""
        return self.value.shape


def exact(array: ArrayLike, fmt: Format = FLOAT32) -> Bounded:
    """Take the program's own numbers as they are.

    A subnormal carries itself as its error: with DAZ set the program reads it as zero.
    """
    value = np.asarray(array, dtype=np.float64)
    magnitude = np.abs(value)
    return Bounded(value, np.where(magnitude < fmt.tiny, magnitude, 0.0))


def whole(integers: NDArray[np.integer[Any]]) -> Bounded:
    """Take integers as they are: nothing but the very same number agrees."""
    return Bounded(integers.astype(np.float64), np.zeros(integers.shape), integers)


def rounded(value: Array, error: Array, fmt: Format, roundings: int = 1) -> Bounded:
    """Return `value`, inherited `error`, after so many roundings to `fmt`, each maybe flushed."""
    magnitude = np.abs(value) + error
    own = fmt.gamma(roundings) + FLOAT64.gamma(roundings)
    total = (error + own * magnitude + roundings * fmt.tiny) * _SLACK
    return Bounded(value, _unknown_where_overflowing(total, magnitude, fmt))


def add(a: Bounded, b: Bounded, fmt: Format) -> Bounded:
    """Return a + b, rounded once."""
    return rounded(a.value + b.value, a.error + b.error, fmt)


def subtract(a: Bounded, b: Bounded, fmt: Format) -> Bounded:
    """Return a - b, rounded once."""
    return rounded(a.value - b.value, a.error + b.error, fmt)


def multiply(a: Bounded, b: Bounded, fmt: Format, roundings: int = 1) -> Bounded:
    """Return a b. More than one rounding where b itself is a rounded constant."""
    return rounded(a.value * b.value, _product_error(a, b), fmt, roundings)


def divide(a: Bounded, b: Bounded, fmt: Format) -> Bounded:
    """Return a / b by a division or by a rounded reciprocal: two roundings.

    Where b may be zero nothing is known.
    """
    smallest = np.abs(b.value) - b.error
    value = a.value / b.value
    error = np.where(smallest > 0, (a.error + np.abs(value) * b.error) / smallest, np.inf)
    return rounded(value, error, fmt, 2)


def total(a: Bounded, axis: int | None, fmt: Format) -> Bounded:
    """Return the sum along `axis`, added in any order: gamma(n - 1) of the sum of magnitudes.

    n counts the terms that are not exactly zero. Source: Higham (2002), section 4.2, eq. 4.4.
    """
    terms = np.asarray(np.count_nonzero(a.largest, axis=axis))
    return _summed(
        a.value.sum(axis=axis), a.error.sum(axis=axis), a.largest.sum(axis=axis), terms - 1, fmt
    )


def dot(x: Bounded, W: Bounded, fmt: Format, bias: Bounded | None = None) -> Bounded:
    """Return x W (+ bias), with x of shape [n, k] and W of shape [k, m].

    Each product is rounded once and passes through at most as many additions as there are other
    terms, the bias among them: gamma(k) without, gamma(k + 1) with it, of |x| |W| + |bias|. Here k
    counts the products that are not exactly zero, since adding zero rounds nothing. Source: Higham
    (2002), section 3.5, eq. 3.13.
    """
    magnitude = x.largest @ W.largest
    terms = np.minimum.outer(
        np.count_nonzero(x.largest, axis=1), np.count_nonzero(W.largest, axis=0)
    )
    value = x.value @ W.value
    error = _dot_error(x, W)
    if bias is None:
        return _summed(value, error, magnitude, terms, fmt)
    return _summed(value + bias.value, error + bias.error, magnitude + bias.largest, terms + 1, fmt)


def exponential(a: Bounded, ulps: float, fmt: Format) -> Bounded:
    """Return exp(a) by a routine that is accurate to `ulps` units in the last place.

    One ulp is at most 2 u of the value. Source: Higham (2002), section 2.1.
    """
    value = np.exp(a.value)
    error = value * np.expm1(a.error)
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


def _product_error(a: Bounded, b: Bounded) -> Array:
    return np.asarray(np.abs(a.value) * b.error + a.error * np.abs(b.value) + a.error * b.error)


def _dot_error(x: Bounded, W: Bounded) -> Array:
    """Return the error that x W inherits: |x| dW + dx (|W| + dW)."""
    error = np.zeros((x.shape[0], W.shape[1]))
    if W.error.any():
        error += np.abs(x.value) @ W.error
    if x.error.any():
        error += x.error @ W.largest
    return error


def _summed(
    value: Array, error: Array, magnitude: Array, terms: NDArray[np.int_], fmt: Format
) -> Bounded:
    """Return a sum whose terms each pass through at most `terms` roundings."""
    roundings = np.maximum(terms, 0)
    own = (fmt.gamma(roundings) + FLOAT64.gamma(roundings + 1)) * magnitude
    # A product and a partial sum may each be flushed to zero.
    bound = (error + own + 2 * roundings * fmt.tiny) * _SLACK
    return Bounded(np.asarray(value), _unknown_where_overflowing(bound, magnitude, fmt))


def _accurate_to(value: Array, error: Array, ulps: float, fmt: Format) -> Bounded:
    relative = 2 * ulps * fmt.unit + 8 * FLOAT64.unit
    magnitude = np.abs(value) + error
    bound = (error + relative * magnitude + fmt.tiny) * _SLACK
    return Bounded(np.asarray(value), _unknown_where_overflowing(bound, magnitude, fmt))


def _unknown_where_overflowing(error: Array, magnitude: Array, fmt: Format) -> Array:
    """Where a partial result may overflow, nothing is known of the program's number."""
    return np.where(magnitude < fmt.largest, error, np.where(np.isnan(magnitude), 0.0, np.inf))
