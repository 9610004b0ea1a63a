"""The update of parameters from their gradients."""

from __future__ import annotations

import numpy as np

from nndbg.reference import bounded
from nndbg.reference.bounded import Bounded, Format, exact
from nndbg.reference.kinds import Integers, kind


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


@kind("param[..] grad[..] m[..] v[..] lr[] step[] -> param[..] m[..] v[..]")
def adam(
    param: Bounded,
    grad: Bounded,
    m: Bounded,
    v: Bounded,
    lr: Bounded,
    step: Bounded | Integers,
    *,
    fmt: Format,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    first: float = 1,
    pow_ulps: float = 1,
) -> tuple[Bounded, Bounded, Bounded]:
    """Return param - lr m' / (1 - beta1^t) / (sqrt(v' / (1 - beta2^t)) + epsilon), m' and v'.

    m' = beta1 m + (1 - beta1) grad, and v' the same of grad^2. t counts the updates from 1; `first`
    is what `step` holds at the first. The constants may be rounded, 1 - beta may be computed of a
    rounded beta, and beta^t by a power of `pow_ulps` or by repeated products. Source: Kingma and
    Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.
    """
    count = float(step.value if isinstance(step, Bounded) else step) - first + 1
    mean = _moving(m, grad, beta1, fmt)
    square = _moving(v, bounded.multiply(grad, grad, fmt), beta2, fmt)
    m_hat = bounded.divide(mean, _bias(beta1, count, pow_ulps, fmt), fmt)
    v_hat = bounded.divide(square, _bias(beta2, count, pow_ulps, fmt), fmt)
    # sqrt(v') / sqrt(1 - beta2^t) is rounded twice more than sqrt(v' / (1 - beta2^t)).
    root = bounded.square_root(v_hat, fmt, roundings=3)
    divisor = bounded.add(root, _constant(epsilon, fmt), fmt)
    change = bounded.divide(bounded.multiply(lr, m_hat, fmt), divisor, fmt)
    return bounded.subtract(param, change, fmt), mean, square


def _moving(old: Bounded, new: Bounded, beta: float, fmt: Format) -> Bounded:
    """Return beta old + (1 - beta) new, or old + (1 - beta) (new - old)."""
    rest = Bounded(np.asarray(1 - beta), np.asarray(fmt.unit * (1 + abs(1 - beta))))
    kept = bounded.multiply(_constant(beta, fmt), old, fmt)
    return bounded.add(kept, bounded.multiply(rest, new, fmt), fmt)


def _bias(beta: float, count: float, pow_ulps: float, fmt: Format) -> Bounded:
    """Return 1 - beta^count: a rounded beta moves its power by count u, as do as many products."""
    power = np.asarray(beta**count)
    relative = np.expm1(2 * count * fmt.unit) + bounded.accuracy(pow_ulps, fmt)
    return bounded.subtract(exact(1.0), Bounded(power, power * relative), fmt)


def _constant(number: float, fmt: Format) -> Bounded:
    """Return a constant that the program has rounded."""
    return Bounded(np.asarray(number), np.asarray(abs(number) * fmt.unit))
