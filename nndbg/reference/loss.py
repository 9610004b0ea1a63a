"""Cross-entropy after softmax, and its gradient with respect to the logits.

Labels y are integers, one a sample; a label that names no class has no loss, and its row is NaN.
"""

from __future__ import annotations

import numpy as np

from nndbg.reference import bounded
from nndbg.reference.activation import shifted_exponentials
from nndbg.reference.bounded import Array, Bounded, Format, exact
from nndbg.reference.kinds import Integers, kind


@kind("z[n,c] y[n] -> loss[]")
def cross_entropy(
    z: Bounded, y: Integers, *, fmt: Format, exp_ulps: float = 4, log_ulps: float = 4
) -> Bounded:
    """Return the mean over the samples of log(sum exp(z - max)) - (z[y] - max).

    The two terms are not negative, so the roundings of each stay below those of their sum. A
    program that takes -log of a computed p[y] instead rounds at other places: the relative errors
    of exp, sum and quotient turn into absolute ones under the logarithm, and are added here.
    """
    samples = z.shape[0]
    chosen = _one_hot(y, z.shape[1])
    gap = bounded.subtract(bounded.maximum(z, axis=1), z, fmt)
    own = Bounded((chosen * gap.value).sum(axis=1), (np.nan_to_num(chosen) * gap.error).sum(axis=1))
    sums = bounded.total(shifted_exponentials(z, exp_ulps, fmt), 1, fmt)
    losses = bounded.add(bounded.logarithm(sums, log_ulps, fmt), own, fmt)
    through_p = 2 * (exp_ulps + 2) * fmt.unit + own.error + 2 * log_ulps * fmt.unit * own.largest
    losses = Bounded(losses.value, losses.error + through_p)
    return bounded.divide(bounded.total(losses, None, fmt), exact(float(samples)), fmt)


@kind("p[n,c] y[n] -> grad[n,c]")
def softmax_cross_entropy_grad(p: Bounded, y: Integers, *, fmt: Format) -> Bounded:
    """Return dL/dz = (p - onehot(y)) / n for the mean over n samples."""
    difference = bounded.subtract(p, exact(_one_hot(y, p.shape[1])), fmt)
    return bounded.divide(difference, exact(float(p.shape[0])), fmt)


def _one_hot(y: Integers, classes: int) -> Array:
    """Return [n, classes] with a one at each label, and a row of NaN for a label beyond them."""
    rows: Array = (y[:, None] == np.arange(classes)).astype(np.float64)
    rows[(y < 0) | (y >= classes)] = np.nan
    return rows
