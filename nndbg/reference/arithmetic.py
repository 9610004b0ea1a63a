"""Sums, products and multiples of arrays, element by element."""

from __future__ import annotations

import numpy as np

from nndbg.reference import bounded
from nndbg.reference.bounded import Bounded, Format, constant
from nndbg.reference.kinds import Integers, kind


@kind("a[..] b[..] -> sum[..]")
def add(a: Bounded, b: Bounded, *, fmt: Format) -> Bounded:
    """Return a + b, rounded once."""
    return bounded.add(a, b, fmt)


@kind("a[..] b[..] -> product[..]")
def multiply(a: Bounded, b: Bounded, *, fmt: Format) -> Bounded:
    """Return a b, rounded once."""
    return bounded.multiply(a, b, fmt)


@kind("a[..] -> out[..]")
def scale(a: Bounded, *, fmt: Format, factor: float = 1) -> Bounded:
    """Return factor a: one rounding, and one of a factor that the format cannot hold."""
    return a if factor == 1 else bounded.multiply(a, *constant(factor, fmt))


@kind("a[..] factor[] -> out[..]")
def scale_by(a: Bounded, factor: Bounded, *, fmt: Format) -> Bounded:
    """Return factor a, the factor a number of the program, rounded once."""
    return bounded.multiply(a, factor, fmt)


@kind("out[..] -> out[..]", unread={"out"})
def fill(out: Bounded | Integers, *, fmt: Format, value: float = 0) -> Bounded | Integers:
    """Return `value` everywhere: exact, or rounded once where the format cannot hold it."""
    if not isinstance(out, Bounded):
        return np.full(out.shape, int(value), out.dtype)
    number, _, roundings = constant(value, fmt)
    error = (roundings - 1) * fmt.unit * abs(value)
    return Bounded(np.full(out.shape, number.value), np.full(out.shape, error))
