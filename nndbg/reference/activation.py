"""Activation functions and their gradients, element by element or along a row."""

from __future__ import annotations

import numpy as np

from nndbg.reference import bounded
from nndbg.reference.bounded import FLOAT64, Bounded, Format
from nndbg.reference.kinds import kind

# exp(-_VANISHED) is zero in every format.
_VANISHED = 4096.0


@kind("z[..] -> h[..]")
def relu(z: Bounded, *, fmt: Format) -> Bounded:
    """Return max(z, 0), which rounds nothing and never enlarges an error."""
    return Bounded(np.maximum(z.value, 0), z.error)


@kind("grad[..] z[..] -> dz[..]")
def relu_grad(grad: Bounded, z: Bounded, *, fmt: Format) -> Bounded:
    """Return grad where z > 0 and 0 elsewhere; either, where the sign of z is not known."""
    passes = z.value > 0
    value = np.where(passes, grad.value, 0.0)
    if grad.is_exact and z.is_exact:
        return Bounded(value, grad.error)
    error = np.where(passes, grad.error, 0.0)
    open_choice = (np.abs(z.value) <= z.error) & (z.error > 0)
    return Bounded(value, np.where(open_choice, grad.largest, error))


@kind("z[n,c] -> p[n,c]")
def softmax(z: Bounded, *, fmt: Format, exp_ulps: float = 4) -> Bounded:
    """Return exp(z - max z) / sum exp(z - max z) along each row.

    The relative errors of a power (what rounding its argument makes of it, and that of exp), of the
    sum, and of the quotient, which may be a product with a reciprocal. The bound also covers a
    program that leaves out the maximum, as long as no power overflows and the largest of each row
    is a normal number: it makes the same roundings less one.
    """
    powers = Powers(z, exp_ulps, fmt)
    value = powers.value / powers.sums
    own = powers.error + powers.sums_error + 2 * powers.unit
    relative = bounded.compounded(own)
    if not z.is_exact:
        # A row may move by its largest error, and the element by its own.
        moved = np.expm1(z.error + z.error.max(axis=1, keepdims=True))
        relative = relative + moved * (1 + relative)
    bound = value * relative + 3 * fmt.tiny
    if not bound.max(initial=0.0) < np.inf:
        bound = np.where(np.isnan(value), 0.0, np.where(np.isnan(bound), np.inf, bound))
    return Bounded(value, bound)


class Powers:
    """exp(z - max z) along each row of z, and the relative errors of a program's powers and sums.

    Arrays are [n, c] or [n, 1]. `unit` is a rounding of the program and one of ours. What the
    arguments' roundings do to a sum is their mean, weighted with the powers, and that is never more
    than u log c: the mean of max - z under softmax is at most the entropy of it.
    """

    def __init__(self, z: Bounded, exp_ulps: float, fmt: Format) -> None:
        classes = z.shape[1]
        self.unit = fmt.unit + FLOAT64.unit
        self.most = z.value.max(axis=1, keepdims=True)
        self.gap = self.most - z.value
        self.value = np.exp(-self.gap)
        self.sums = self.value.sum(axis=1, keepdims=True)
        # Beyond that a power is zero whatever its argument.
        rounded = np.minimum(self.gap + 2 * z.error, _VANISHED) * self.unit
        self.error = rounded + bounded.accuracy(exp_ulps, fmt)
        mean = self.unit * np.log(classes)
        if z.is_exact:
            mean = (rounded * self.value).sum(axis=1, keepdims=True) / self.sums
        adding = fmt.gamma(classes - 1) + FLOAT64.gamma(classes - 1)
        self.sums_error = mean + bounded.accuracy(exp_ulps, fmt) + adding + classes * fmt.tiny


@kind("h[..] mask[..] -> out[..]")
def dropout(h: Bounded, mask: Bounded, *, fmt: Format) -> Bounded:
    """Return h mask, forward or, with a gradient in place of h, backward."""
    return bounded.multiply(h, mask, fmt)
