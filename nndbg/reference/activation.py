"""Activation functions and their gradients, element by element or along a row."""

from __future__ import annotations

import numpy as np

from nndbg.reference import bounded
from nndbg.reference.bounded import FLOAT64, Array, Bounded, Format, constant
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


@kind("z[..] -> h[..]")
def leaky_relu(z: Bounded, *, fmt: Format, slope: float = 0.01) -> Bounded:
    """Return z where z > 0 and slope z elsewhere: a product with a constant that may be rounded."""
    scaled = bounded.multiply(z, *constant(slope, fmt))
    steepest = max(1.0, abs(slope))
    own = scaled.error + (steepest - abs(slope)) * z.error
    positive = z.value > 0
    return Bounded(
        np.where(positive, z.value, scaled.value),
        np.where(positive & (z.value > z.error), z.error, own),
    )


@kind("grad[..] z[..] -> dz[..]")
def leaky_relu_grad(grad: Bounded, z: Bounded, *, fmt: Format, slope: float = 0.01) -> Bounded:
    """Return grad where z > 0 and slope grad elsewhere; either, where the sign is not known."""
    scaled = bounded.multiply(grad, *constant(slope, fmt))
    positive = z.value > 0
    value = np.where(positive, grad.value, scaled.value)
    error = np.where(positive, grad.error, scaled.error)
    open_choice = (np.abs(z.value) <= z.error) & (z.error > 0)
    either = np.abs(grad.value - scaled.value) + np.maximum(grad.error, scaled.error)
    return Bounded(value, np.where(open_choice, either, error))


@kind("z[..] -> h[..]")
def sigmoid(z: Bounded, *, fmt: Format, exp_ulps: float = 4) -> Bounded:
    """Return 1 / (1 + exp(-z)), or exp(z) / (1 + exp(z)).

    A relative error r of the power becomes (1 - h) r; the sum is one rounding, the quotient two. A
    power that overflows makes 0 of what is below the smallest normal number. The slope of h is at
    most 1/4, and that of log h at most 1. 1/2 + tanh(z / 2) / 2 is not covered where z is far below
    0: it has no correct digit there.
    """
    value = 1 / (1 + np.exp(-z.value))
    # exp(-|z|) loses no digit of what is small, as 1 - h would.
    rest = 1 / (1 + np.exp(z.value)) if z.is_exact else 1.0
    unit = fmt.unit + FLOAT64.unit
    relative = bounded.compounded(rest * bounded.accuracy(exp_ulps, fmt) + 3 * unit)
    inherited = np.minimum(z.error / 4, value * np.expm1(z.error))
    bound = (inherited + (value + inherited) * relative) * bounded.SLACK + 3 * fmt.tiny
    return Bounded(value, np.where(np.isnan(value), 0.0, bound))


@kind("grad[..] h[..] -> dz[..]")
def sigmoid_grad(grad: Bounded, h: Bounded, *, fmt: Format) -> Bounded:
    """Return grad h (1 - h), of the activation h, however it is multiplied out."""
    slope = h.value * (1 - h.value)
    inherited = np.abs(1 - 2 * h.value) * h.error + h.error**2
    return _times_slope(grad, h, slope, inherited, h.largest + h.largest**2, fmt)


@kind("z[..] -> h[..]")
def tanh(z: Bounded, *, fmt: Format, tanh_ulps: float = 4, exp_ulps: float = 0) -> Bounded:
    """Return tanh(z).

    With `exp_ulps` the program makes it of powers of that accuracy, such as (e - 1) / (e + 1) or
    1 - 2 / (e + 1) with e = exp(2 z): their errors are relative to 1 and not to tanh. A relative
    error r of e makes r (1 - h^2) / 2 of h, and r of each of exp(z) and exp(-z) no more than 2 r;
    the sum, the quotient and the difference are rounded, of numbers up to 2.
    """
    value = np.tanh(z.value)
    relative = bounded.accuracy(tanh_ulps, fmt)
    absolute = 0.0
    if exp_ulps > 0:
        absolute = 2 * bounded.accuracy(exp_ulps, fmt) + 7 * (fmt.unit + FLOAT64.unit)
    inherited = np.minimum(z.error, 2.0)
    bound = inherited + np.minimum(np.abs(value) + inherited, 1) * relative
    bound = (bound + bounded.compounded(absolute)) * bounded.SLACK + 2 * fmt.tiny
    return Bounded(value, np.where(np.isnan(value), 0.0, bound))


@kind("grad[..] h[..] -> dz[..]")
def tanh_grad(grad: Bounded, h: Bounded, *, fmt: Format) -> Bounded:
    """Return grad (1 - h^2), of the activation h, however it is multiplied out."""
    slope = (1 - h.value) * (1 + h.value)
    inherited = 2 * np.abs(h.value) * h.error + h.error**2
    return _times_slope(grad, h, slope, inherited, 1 + h.largest**2, fmt)


def _times_slope(
    grad: Bounded, h: Bounded, slope: Array, inherited: Array, terms: Array, fmt: Format
) -> Bounded:
    """Return grad times a slope that is a difference; `terms` is the sum of what is subtracted.

    Multiplied out in any way, no term has more than three products and a difference behind it.
    """
    value = grad.value * slope
    relative = fmt.gamma(4) + FLOAT64.gamma(4)
    inherited = grad.error * np.abs(slope) + grad.largest * inherited
    magnitude = grad.largest * terms
    # What is flushed to zero before the last product is multiplied by the other factors.
    flushed = fmt.tiny * (2 + 2 * grad.largest) * (2 + h.largest)
    bound = (inherited + relative * (magnitude + inherited) + flushed) * bounded.SLACK
    return bounded.unless_overflowing(Bounded(value, bound), magnitude, fmt)


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
        mean = np.full(self.sums.shape, self.unit * np.log(classes))
        if z.is_exact:
            mean = (rounded * self.value).sum(axis=1, keepdims=True) / self.sums
        adding = fmt.gamma(classes - 1) + FLOAT64.gamma(classes - 1)
        self.sums_error = mean + bounded.accuracy(exp_ulps, fmt) + adding + classes * fmt.tiny


@kind("h[..] mask[..] -> out[..]")
def dropout(h: Bounded, mask: Bounded, *, fmt: Format) -> Bounded:
    """Return h mask, forward or, with a gradient in place of h, backward."""
    return bounded.multiply(h, mask, fmt)
