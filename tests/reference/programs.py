"""What correct programs do: sums in several orders, fused or not, subnormals flushed or not.

Functions take and return float32 arrays, or those of another precision where nothing is fused or
flushed; nothing here rounds but as the hardware does.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import reduce

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Sum = Callable[[list[F32]], F32]
TINY = np.float32(2.0**-126)


def flushed(x: F32) -> F32:
    """`x` as a processor with FTZ and DAZ set has it."""
    return np.where(np.abs(x) < TINY, np.float32(0), x)


def fma(a: F32, b: F32, c: F32) -> F32:
    """a b + c, rounded once.

    The product is exact in float64. The sum is rounded to odd there, and to nearest from there:
    no double rounding. Source: Boldo and Melquiond (2008), "Emulation of FMA and correctly rounded
    sums: proved algorithms using rounding to odd".
    """
    product, addend = a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64)
    total = product + addend
    part = total - product
    lost = (product - (total - part)) + (addend - part)
    even = total.view(np.uint64) & np.uint64(1) == 0
    towards = np.copysign(np.inf, lost)
    return np.where((lost != 0) & even, np.nextafter(total, towards), total).astype(np.float32)


def sequential(terms: list[F32]) -> F32:
    return reduce(lambda total, term: total + term, terms)


def backwards(terms: list[F32]) -> F32:
    return sequential(terms[::-1])


def pairwise(terms: list[F32]) -> F32:
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return pairwise(terms[:middle]) + pairwise(terms[middle:])


def in_lanes(lanes: int) -> Sum:
    """Sum as a vector register of so many lanes does: each lane alone, then all of them."""

    def summed(terms: list[F32]) -> F32:
        return pairwise([sequential(terms[lane::lanes]) for lane in range(min(lanes, len(terms)))])

    summed.__name__ = f"in_{lanes}_lanes"
    return summed


def flushing(order: Sum) -> Sum:
    """Sum in the same order, every operand and result flushed."""

    class Flushed(np.ndarray):
        def __add__(self, other: F32) -> F32:
            return flushed(np.add(self, other, dtype=np.float32)).view(Flushed)

    def summed(terms: list[F32]) -> F32:
        return np.asarray(order([flushed(term).view(Flushed) for term in terms]))

    summed.__name__ = f"{order.__name__}_flushing"
    return summed


ORDERS: list[Sum] = [sequential, backwards, pairwise, *map(in_lanes, (4, 8, 16))]
ORDERS += [flushing(sequential), flushing(in_lanes(8))]


def dot_by(order: Sum) -> Callable[[F32, F32, F32 | None], F32]:
    """x W (+ bias) with every product rounded; the bias first, as most programs begin with it."""
    flush = flushed if order.__name__.endswith("flushing") else np.asarray

    def dot(x: F32, W: F32, bias: F32 | None = None) -> F32:
        shape = (x.shape[0], W.shape[1])
        terms = [flush(flush(x[:, k, None]) * flush(W[None, k])) for k in range(x.shape[1])]
        if bias is not None:
            terms.insert(0, np.broadcast_to(bias, shape))
        return order(terms) if terms else np.zeros(shape, np.float32)

    dot.__name__ = order.__name__
    return dot


def dot_fused(lanes: int) -> Callable[[F32, F32, F32 | None], F32]:
    """x W (+ bias) by fused multiply-add in so many accumulators, the bias added last."""

    def dot(x: F32, W: F32, bias: F32 | None = None) -> F32:
        sums = [np.zeros((x.shape[0], W.shape[1]), np.float32) for _ in range(lanes)]
        for k in range(x.shape[1]):
            sums[k % lanes] = fma(x[:, k, None], W[None, k], sums[k % lanes])
        total = pairwise(sums)
        return total if bias is None else total + bias

    dot.__name__ = f"fused_in_{lanes}"
    return dot


DOTS = [*map(dot_by, ORDERS), *map(dot_fused, (1, 4, 16))]


# Adam, in the precision of its arrays

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def moments(param, grad, m, v, rest1, rest2):
    dtype = grad.dtype.type
    return (
        dtype(BETA1) * m + rest1 * grad,
        dtype(BETA2) * v + rest2 * (grad * grad),
    )


def as_published(param, grad, m, v, t, lr):
    dtype = grad.dtype.type
    m, v = moments(param, grad, m, v, dtype(1 - BETA1), dtype(1 - BETA2))
    m_hat, v_hat = m / (1 - dtype(BETA1) ** t), v / (1 - dtype(BETA2) ** t)
    return param - lr * m_hat / (np.sqrt(v_hat) + dtype(EPSILON)), m, v


def with_computed_constants(param, grad, m, v, t, lr):
    """1 - beta of the rounded beta, beta^t by products, both roots apart, the rate scaled first."""
    dtype = grad.dtype.type
    one, b1, b2 = dtype(1), dtype(BETA1), dtype(BETA2)
    m, v = moments(param, grad, m, v, one - b1, one - b2)
    power1, power2 = one, one
    for _ in range(t):
        power1, power2 = power1 * b1, power2 * b2
    divisor = np.sqrt(v) / np.sqrt(one - power2) + dtype(EPSILON)
    return param - (lr / (one - power1)) * m / divisor, m, v


def by_interpolation(param, grad, m, v, t, lr):
    dtype = grad.dtype.type
    m = m + dtype(1 - BETA1) * (grad - m)
    v = v + dtype(1 - BETA2) * (grad * grad - v)
    m_hat = m * (1 / (1 - dtype(BETA1) ** t))
    divisor = np.sqrt(v * (1 / (1 - dtype(BETA2) ** t))) + dtype(EPSILON)
    return param - lr * (m_hat / divisor), m, v


ADAMS = [as_published, with_computed_constants, by_interpolation]


def fractions(array: NDArray) -> NDArray[np.object_]:
    """The elements as the rational numbers that they are."""
    exact = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        exact[index] = Fraction(float(array[index]))
    return exact
