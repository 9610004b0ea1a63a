"""The fully connected layer, z = x W + b, forward and backward.

x is [n, i], W is [i, o], b is [o]; gradients of the loss have the shape of what they belong to.
`accumulators` says over how many partial sums the program spreads each sum, 0 that it may add in
any order. An accumulating op adds its sum to what its output held, as a bias is added.
"""

from __future__ import annotations

from nndbg.reference import summation
from nndbg.reference.bounded import Bounded, Format
from nndbg.reference.kinds import kind
from nndbg.reference.update import sgd


@kind("x[n,i] W[i,o] b[o] -> z[n,o]")
def dense(x: Bounded, W: Bounded, b: Bounded, *, fmt: Format, accumulators: float = 0) -> Bounded:
    """Return z = x W + b."""
    return summation.dot(x, W, fmt, b, accumulators)


@kind("x[n,i] grad[n,o] -> dW[i,o]")
def dense_grad_weight(
    x: Bounded, grad: Bounded, *, fmt: Format, accumulators: float = 0
) -> Bounded:
    """Return dL/dW = x^T grad, where grad is dL/dz."""
    return summation.dot(x.T, grad, fmt, accumulators=accumulators)


@kind("x[n,i] grad[n,o] dW[i,o] -> dW[i,o]")
def dense_grad_weight_accumulate(
    x: Bounded, grad: Bounded, dW: Bounded, *, fmt: Format, accumulators: float = 0
) -> Bounded:
    """Return dW + x^T grad."""
    return summation.dot(x.T, grad, fmt, dW, accumulators)


@kind("grad[n,o] -> db[o]")
def dense_grad_bias(grad: Bounded, *, fmt: Format, accumulators: float = 0) -> Bounded:
    """Return dL/db: grad summed over the samples."""
    return summation.total(grad, 0, fmt, accumulators=accumulators)


@kind("grad[n,o] db[o] -> db[o]")
def dense_grad_bias_accumulate(
    grad: Bounded, db: Bounded, *, fmt: Format, accumulators: float = 0
) -> Bounded:
    """Return db + grad summed over the samples."""
    return summation.total(grad, 0, fmt, db, accumulators)


@kind("grad[n,o] W[i,o] -> dx[n,i]")
def dense_grad_input(grad: Bounded, W: Bounded, *, fmt: Format, accumulators: float = 0) -> Bounded:
    """Return dL/dx = grad W^T."""
    return summation.dot(grad, W.T, fmt, accumulators=accumulators)


@kind("grad[n,o] W[i,o] dx[n,i] -> dx[n,i]")
def dense_grad_input_accumulate(
    grad: Bounded, W: Bounded, dx: Bounded, *, fmt: Format, accumulators: float = 0
) -> Bounded:
    """Return dx + grad W^T."""
    return summation.dot(grad, W.T, fmt, dx, accumulators)


@kind("x[n,i] grad[n,o] param[i,o] lr[] -> param[i,o]")
def dense_grad_weight_sgd(
    x: Bounded,
    grad: Bounded,
    param: Bounded,
    lr: Bounded,
    *,
    fmt: Format,
    accumulators: float = 0,
) -> Bounded:
    """Return W - lr x^T grad: the gradient and its update in one, with no dW in memory."""
    return sgd(param, dense_grad_weight(x, grad, fmt=fmt, accumulators=accumulators), lr, fmt=fmt)
