"""The update of parameters from their gradients."""

from __future__ import annotations

from nndbg.reference import bounded
from nndbg.reference.bounded import Bounded, Format
from nndbg.reference.kinds import kind


@kind("param[..] grad[..] lr[] -> param[..]")
def sgd(param: Bounded, grad: Bounded, lr: Bounded, *, fmt: Format) -> Bounded:
    """Return param - lr grad: stochastic gradient descent."""
    return bounded.multiply_add(param, bounded.negative(lr), grad, fmt)


@kind("param[..] grad[..] velocity[..] lr[] momentum[] -> param[..] velocity[..]")
def sgd_momentum(
    param: Bounded,
    grad: Bounded,
    velocity: Bounded,
    lr: Bounded,
    momentum: Bounded,
    *,
    fmt: Format,
) -> tuple[Bounded, Bounded]:
    """Return param - lr v and v, with v = momentum velocity + grad.

    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning",
    ICML 2013, in the form in which the learning rate stays outside of the velocity.
    """
    v = bounded.multiply_add(grad, momentum, velocity, fmt)
    return sgd(param, v, lr, fmt=fmt), v


@kind("grad[..] param[..] decay[] -> grad[..]")
def weight_decay(grad: Bounded, param: Bounded, decay: Bounded, *, fmt: Format) -> Bounded:
    """Return grad + decay param: the gradient of the loss with decay / 2 |param|^2 added."""
    return bounded.multiply_add(grad, decay, param, fmt)
