"""The update of parameters from their gradients."""

from __future__ import annotations

from nndbg.reference import bounded
from nndbg.reference.bounded import Bounded, Format
from nndbg.reference.kinds import kind


@kind("param[..] grad[..] lr[] -> param[..]")
def sgd(param: Bounded, grad: Bounded, lr: Bounded, *, fmt: Format) -> Bounded:
    """Return param - lr grad: stochastic gradient descent."""
    return bounded.subtract(param, bounded.multiply(lr, grad, fmt), fmt)
