"""Activation functions and their gradients, element by element or along a row."""

from __future__ import annotations

import numpy as np

from nndbg.reference import bounded
from nndbg.reference.bounded import Bounded, Format
from nndbg.reference.kinds import kind


@kind("z[..] -> h[..]")
def relu(z: Bounded, *, fmt: Format) -> Bounded:
    """Return max(z, 0), which rounds nothing and never enlarges an error."""
    return Bounded(np.maximum(z.value, 0), z.error)


@kind("grad[..] z[..] -> dz[..]")
def relu_grad(grad: Bounded, z: Bounded, *, fmt: Format) -> Bounded:
    """Return grad where z > 0 and 0 elsewhere; either, where the sign of z is not known."""
    value = np.where(z.value > 0, grad.value, 0.0)
    undecided = np.abs(z.value) <= z.error
    open_choice = undecided & (z.error > 0)
    error = np.where(z.value > 0, grad.error, 0.0)
    return Bounded(value, np.where(open_choice, grad.largest, error))


@kind("z[n,c] -> p[n,c]")
def softmax(z: Bounded, *, fmt: Format, exp_ulps: float = 4) -> Bounded:
    """Return exp(z - max z) / sum exp(z - max z) along each row.

    The bound also covers a program that leaves out the maximum, as long as nothing overflows:
    it makes the same roundings less one.
    """
    powers = shifted_exponentials(z, exp_ulps, fmt)
    sums = bounded.total(powers, 1, fmt)
    return bounded.divide(powers, Bounded(sums.value[:, None], sums.error[:, None]), fmt)


def shifted_exponentials(z: Bounded, exp_ulps: float, fmt: Format) -> Bounded:
    """Return exp(z - max z) along each row of z, of shape [n, c]."""
    return bounded.exponential(bounded.subtract(z, bounded.maximum(z, axis=1), fmt), exp_ulps, fmt)


@kind("h[..] mask[..] -> out[..]")
def dropout(h: Bounded, mask: Bounded, *, fmt: Format) -> Bounded:
    """Return h mask, forward or, with a gradient in place of h, backward."""
    return bounded.multiply(h, mask, fmt)
