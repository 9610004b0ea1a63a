"""Sums and products of matrices that carry the bound of a sum in any order.

Source: Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed. (2002): section 3.1 for
products in any order, sections 3.5 and 4.2 for matrices and sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.reference.bounded import (
    FLOAT32,
    FLOAT64,
    SLACK,
    Array,
    Bounded,
    Format,
    Reals,
    unknown_where_overflowing,
)

# Sums of fewer magnitudes than these lose less than half a percent in float32.
_COARSE = 2**16
_NEARLY = 1 - 2.0**-6
# Relative errors of sums shorter than this are looked up.
_TABULATED = 2**13


def total(
    a: Bounded, axis: int | None, fmt: Format, bias: Bounded | None = None, accumulators: float = 0
) -> Bounded:
    """Return the sum along `axis` (+ bias), in any order: gamma(n - 1) of the sum of magnitudes.

    n counts the terms that are not exactly zero, and the bias. Source: Higham (2002), section 4.2,
    eq. 4.4; for `accumulators` see `_Summation`.
    """
    length = a.value.size if axis is None else a.shape[axis]
    value, magnitude = np.asarray(a.value.sum(axis=axis)), np.asarray(a.largest.sum(axis=axis))
    error = None if a.is_exact else np.asarray(a.error.sum(axis=axis))
    if bias is not None:
        value, magnitude = value + bias.value, magnitude + bias.largest
        if not bias.is_exact:
            error = bias.error if error is None else error + bias.error
    how = _Summation(fmt, FLOAT64, length, int(accumulators), 0, bias is not None)
    terms = np.asarray(np.count_nonzero(a.largest, axis=axis))
    return _summed(value, error, magnitude, how.relative(terms), fmt)


def dot(
    x: Bounded, W: Bounded, fmt: Format, bias: Bounded | None = None, accumulators: float = 0
) -> Bounded:
    """Return x W (+ bias), with x of shape [n, k], W of shape [k, m], bias of [n, m] or [m].

    Each product is rounded once and passes through at most as many additions as there are other
    terms, the bias among them: gamma(k) without, gamma(k + 1) with it, of |x| |W| + |bias|. Here k
    counts the products that are not exactly zero, since adding zero rounds nothing. Source: Higham
    (2002), section 3.5, eq. 3.13; for `accumulators` see `_Summation`.
    """
    length = x.shape[1]
    # Magnitudes may be coarse where values may not: float32 is multiplied twice as fast.
    coarse = FLOAT32 if fmt is FLOAT32 and length < _COARSE else FLOAT64
    left, right = (a.single if coarse is FLOAT32 else a.largest for a in (x, W))
    value, magnitude = x.value @ W.value, left @ right
    error = _dot_error(x, W)
    if bias is not None:
        value += bias.value
        magnitude += bias.single if coarse is FLOAT32 else bias.largest
        if not bias.is_exact:
            error = bias.error if error is None else error + bias.error
    how = _Summation(fmt, coarse, length, int(accumulators), 1, bias is not None)
    rows, columns = (how.relative(_terms(a)).astype(coarse.name) for a in (left, right.T))
    return _summed(value, error, magnitude, np.minimum.outer(rows, columns), fmt)


def _terms(rows: NDArray[Any]) -> NDArray[Any]:
    """Return how many numbers of each row are not zero, as whole numbers of the rows' type."""
    present, length = rows != 0, rows.shape[1]
    if present.all():
        return np.full(rows.shape[0], length)
    return np.asarray(present.astype(rows.dtype) @ np.ones(length, rows.dtype))


@dataclass(frozen=True)
class _Summation:
    """How a program in `fmt` adds `length` terms, some of which may be zero.

    Each term has been rounded `before` times: once if it is a product. `biased` says that one more
    number is added. `coarse` is the format in which we add the magnitudes.

    `accumulators`, where it is not 0, says that the program spreads the terms over so many partial
    sums, none of which gets more than its share, length / accumulators rounded up, and adds these
    in any order.
    """

    fmt: Format
    coarse: Format
    length: int
    accumulators: int
    before: int
    biased: bool

    def relative(self, terms: NDArray[Any]) -> Array:
        """Return the relative error of sums of so many terms that are not zero, growing in it."""
        counts = terms.astype(np.int_)
        return _table(self)[counts] if self.length < _TABULATED else self.computed(counts)

    def computed(self, terms: NDArray[np.int_]) -> Array:
        """Return the same without a table."""
        program = self.fmt.gamma(self._roundings(terms, self.accumulators))
        ours = FLOAT64.gamma(self._roundings(terms, 0))
        return (program + ours) * _understated(terms, self.coarse)

    def _roundings(self, terms: NDArray[np.int_], accumulators: int) -> NDArray[np.int_]:
        """Return the roundings of a term. Adding zero rounds nothing, so additions merge others."""
        additions = np.maximum(terms - 1, 0)
        if accumulators:
            share = -(-self.length // accumulators)
            within, between = np.minimum(terms, share) - 1, np.minimum(terms, accumulators) - 1
            additions = np.minimum(additions, np.maximum(within + between, 0))
        return additions + np.where(terms > 0, self.before, 0) + self.biased


@lru_cache(maxsize=64)
def _table(how: _Summation) -> Array:
    return how.computed(np.arange(how.length + 1))


def _dot_error(x: Bounded, W: Bounded) -> Array | None:
    """Return the error that x W inherits: |x| dW + dx (|W| + dW)."""
    if x.is_exact and W.is_exact:
        return None
    error = np.zeros((x.shape[0], W.shape[1]))
    if not W.is_exact:
        error += np.abs(x.value) @ W.error
    if not x.is_exact:
        error += x.error @ W.largest
    error *= _understated(np.asarray(x.shape[1]), FLOAT64)
    return error


def _understated(terms: NDArray[np.int_], by: Format) -> Array:
    """Return by what to multiply a sum of so many magnitudes, or products of them, made in `by`.

    Each magnitude is rounded once, and so is each product; the bound that is made of the sum is
    rounded four times more.
    """
    return np.asarray(1 / (1 - by.gamma(terms + 8)))


def _summed(
    value: Array, error: Array | None, magnitude: Reals, relative: Reals, fmt: Format
) -> Bounded:
    """Return a sum whose own error is `relative` of the magnitude of its terms.

    A program may flush each product and each partial sum to zero: `tiny / unit` for each of them,
    since `relative` is at least `unit` for each.
    """
    own = magnitude + magnitude.dtype.type((2 + 2.0**-10) * fmt.tiny / fmt.unit)
    own *= relative
    bound = own.astype(np.float64)
    if error is not None:
        bound += error * SLACK
    if magnitude.max(initial=0.0) < fmt.largest * _NEARLY:
        return Bounded(value, bound)
    most = magnitude.astype(np.float64) / _NEARLY
    return Bounded(value, unknown_where_overflowing(bound, most, value, fmt))
