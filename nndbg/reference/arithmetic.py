"""Sums, products and multiples of arrays, element by element."""

from __future__ import annotations

from nndbg.reference import bounded
from nndbg.reference.bounded import Bounded, Format, constant
from nndbg.reference.kinds import kind


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
