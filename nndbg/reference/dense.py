"""The fully connected layer, z = x W + b, forward and backward.

x is [n, i], W is [i, o], b is [o]; gradients of the loss have the shape of what they belong to.
"""

from __future__ import annotations

from nndbg.reference import bounded
from nndbg.reference.bounded import Bounded, Format
from nndbg.reference.kinds import kind
from nndbg.reference.update import sgd


@kind("x[n,i] W[i,o] b[o] -> z[n,o]")
def dense(x: Bounded, W: Bounded, b: Bounded, *, fmt: Format) -> Bounded:
    """Return z = x W + b."""
    return bounded.dot(x, W, fmt, bias=b)


@kind("x[n,i] grad[n,o] -> dW[i,o]")
def dense_grad_weight(x: Bounded, grad: Bounded, *, fmt: Format) -> Bounded:
    """Return dL/dW = x^T grad, where grad is dL/dz."""
    return bounded.dot(x.T, grad, fmt)


@kind("grad[n,o] -> db[o]")
def dense_grad_bias(grad: Bounded, *, fmt: Format) -> Bounded:
    """Return dL/db: grad summed over the samples."""
    return bounded.total(grad, 0, fmt)


@kind("grad[n,o] W[i,o] -> dx[n,i]")
def dense_grad_input(grad: Bounded, W: Bounded, *, fmt: Format) -> Bounded:
    """Return dL/dx = grad W^T."""
    return bounded.dot(grad, W.T, fmt)


@kind("x[n,i] grad[n,o] param[i,o] lr[] -> param[i,o]")
def dense_grad_weight_sgd(
    x: Bounded, grad: Bounded, param: Bounded, lr: Bounded, *, fmt: Format
) -> Bounded:
    """Return W - lr x^T grad: the gradient and its update in one, with no dW in memory."""
    return sgd(param, dense_grad_weight(x, grad, fmt=fmt), lr, fmt=fmt)
