"""Sums, means and maxima along an axis, or over all elements.

`accumulators` says over how many partial sums the program spreads each sum, 0 that it may add in
any order. A mean is a sum and a division, or a product with a rounded reciprocal, of the sum or of
each term.
"""

from __future__ import annotations

import numpy as np

from nndbg.reference import bounded, summation
from nndbg.reference.bounded import Bounded, Format, exact
from nndbg.reference.kinds import Chosen, kind


@kind("a[n,..] -> sum[..]")
def sum(a: Bounded, *, fmt: Format, accumulators: float = 0) -> Bounded:
    """Return the sum over the first axis."""
    return summation.total(a, 0, fmt, accumulators=accumulators)


@kind("a[n,c] -> sum[n]")
def row_sum(a: Bounded, *, fmt: Format, accumulators: float = 0) -> Bounded:
    """Return the sum of each row."""
    return summation.total(a, 1, fmt, accumulators=accumulators)


@kind("a[..] -> sum[]")
def sum_all(a: Bounded, *, fmt: Format, accumulators: float = 0) -> Bounded:
    """Return the sum of all elements."""
    return summation.total(a, None, fmt, accumulators=accumulators)


@kind("a[n,..] -> mean[..]")
def mean(a: Bounded, *, fmt: Format) -> Bounded:
    """Return the mean over the first axis."""
    return _mean(a, 0, a.shape[0], fmt)


@kind("a[n,c] -> mean[n]")
def row_mean(a: Bounded, *, fmt: Format) -> Bounded:
    """Return the mean of each row."""
    return _mean(a, 1, a.shape[1], fmt)


@kind("a[..] -> mean[]")
def mean_all(a: Bounded, *, fmt: Format) -> Bounded:
    """Return the mean of all elements."""
    return _mean(a, None, a.value.size, fmt)


@kind("a[n,c] -> index[n]")
def argmax(a: Bounded, *, fmt: Format) -> Chosen:
    """Return where each row is largest, from 0.

    Nothing is known where another element may be as large, equal ones among them: a program may
    take the first or the last. Nor is it where an element is no number.
    """
    del fmt
    rows = np.arange(a.shape[0])
    index = a.value.argmax(axis=1)
    others = a.value + a.error
    others[rows, index] = -np.inf
    least = (a.value - a.error)[rows, index]
    known = least > others.max(axis=1)
    return Bounded(index.astype(np.float64), np.where(known, 0.0, np.inf), index)


def _mean(a: Bounded, axis: int | None, count: int, fmt: Format) -> Bounded:
    """Return the mean of so many; terms that are divided before they are added may be flushed."""
    mean = bounded.divide(summation.total(a, axis, fmt), exact(float(count)), fmt)
    return Bounded(mean.value, mean.error + 2 * count * fmt.tiny)
