"""Cross-entropy after softmax, and its gradient with respect to the logits.

Labels y are integers, one a sample; a label that names no class has no loss, and its row is NaN.
"""

from __future__ import annotations

import numpy as np

from nndbg.reference import bounded
from nndbg.reference.activation import Powers
from nndbg.reference.bounded import FLOAT64, Array, Bounded, Format
from nndbg.reference.kinds import Integers, kind


@kind("z[n,c] y[n] -> loss[]")
def cross_entropy(
    z: Bounded, y: Integers, *, fmt: Format, exp_ulps: float = 4, log_ulps: float = 4
) -> Bounded:
    """Return the mean over the samples of log(sum exp(z - max)) - (z[y] - max).

    The bound covers log(sum exp(z - max)) + max - z[y] in any order, log(sum exp(z)) - z[y] as long
    as no power overflows and the largest is normal, and -log p[y] as long as p[y] is normal. By
    each of them, what is computed before the logarithm has relative errors that are absolute ones
    behind it. The logarithm itself and the two additions err relatively to numbers that are no
    larger than the loss or |log sum exp(z)|.
    """
    powers = Powers(z, exp_ulps, fmt)
    errors = z.error.max(axis=1) + _at_labels(z.error, y)
    gap, logarithm = _at_labels(powers.gap, y), np.log(powers.sums[:, 0])
    losses = logarithm + gap
    through_p = _at_labels(powers.error, y) + powers.sums_error[:, 0] + 2 * powers.unit
    errors += bounded.compounded(through_p)
    most = np.maximum(losses, np.abs(powers.most[:, 0] + logarithm)) + errors
    errors += most * bounded.compounded(bounded.accuracy(log_ulps, fmt) + 2 * powers.unit)
    samples = len(losses)
    # The sum, and a division or a product with a reciprocal.
    own = fmt.gamma(samples + 1) + FLOAT64.gamma(samples + 1)
    bound = (errors.sum() + own * (losses + errors).sum()) / samples
    bound = bound * bounded.SLACK + 6 * fmt.tiny
    value = np.asarray(losses.sum() / samples)
    if np.isnan(value):
        return Bounded(value, np.zeros(()))
    return Bounded(value, np.asarray(bound if most.sum() < fmt.largest else np.inf))


@kind("p[n,c] y[n] -> grad[n,c]")
def softmax_cross_entropy_grad(p: Bounded, y: Integers, *, fmt: Format) -> Bounded:
    """Return dL/dz = (p - onehot(y)) / n for the mean over n samples.

    Three roundings: of the difference, and of a division or a product with a reciprocal.
    """
    samples, classes = p.shape
    difference = p.value.copy()
    inside = (y >= 0) & (y < classes)
    if inside.all():
        difference[np.arange(samples), y] -= 1
    else:
        difference[inside, y[inside]] -= 1
        difference[~inside] = np.nan
    error = None if p.is_exact else p.error / samples
    return bounded.rounded(difference / samples, error, fmt, 3)


def _at_labels(a: Array, y: Integers) -> Array:
    """Return of each row of [n, c] what is at its label; NaN for a label beyond the classes."""
    inside = (y >= 0) & (y < a.shape[1])
    chosen = a[np.arange(len(y)), np.where(inside, y, 0)]
    return chosen if inside.all() else np.where(inside, chosen, np.nan)
