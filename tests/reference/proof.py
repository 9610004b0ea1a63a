"""Holds a bound against exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
from numpy.typing import NDArray

from nndbg.reference import Bounded

Exact = Fraction | mpmath.mpf
# exp and log are exact to this many decimal digits; float64 has 16.
DIGITS = 60


def assert_covers(expected: Bounded, result: NDArray, exact: NDArray[np.object_]) -> None:
    """The program's `result` and the reference itself lie within the bound of `exact`.

    `result` also lies within the bound of the reference, which is what a verdict looks at.
    """
    assert result.dtype in (np.float32, np.float64)
    assert expected.shape == result.shape == exact.shape
    assert not np.isnan(expected.error).any()
    assert (expected.error >= 0).all()
    for index in np.ndindex(result.shape):
        bound = float(expected.error[index])
        if bound == np.inf:
            continue
        actual, value = float(result[index]), float(expected.value[index])
        bound, true = number(bound, exact[index]), exact[index]
        told = f"at {index}: program {actual!r}, reference {value!r}, exact {float(true)!r}"
        assert abs(number(actual, true) - true) <= bound, told
        assert abs(number(value, true) - true) <= bound, told
        assert abs(number(actual, true) - number(value, true)) <= bound, told


def number(value: float, like: Exact) -> Exact:
    """`value` as the kind of exact number that `like` is."""
    return Fraction(value) if isinstance(like, Fraction) else mpmath.mpf(value)


def largest_share(expected: Bounded, result: NDArray, exact: NDArray[np.object_]) -> float:
    """The share of its bound that the true error of `result` uses, where it uses most."""
    return max(
        float(abs(number(float(result[i]), exact[i]) - exact[i]) / Fraction(expected.error[i]))
        for i in np.ndindex(result.shape)
    )
