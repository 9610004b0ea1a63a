"""The update of parameters: one product and one subtraction, fused or not."""

from __future__ import annotations

import numpy as np
import pytest

from nndbg.reference import FLOAT32, KINDS

from .inputs import DRAWS
from .programs import flushed, fma, fractions
from .proof import assert_covers, largest_share

LR = np.float32(0.01)


def rounded(param, grad, lr):
    return param - lr * grad


def fused(param, grad, lr):
    return fma(np.broadcast_to(-lr, grad.shape), grad, param)


def flushing(param, grad, lr):
    return flushed(flushed(param) - flushed(lr * flushed(grad)))


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("update", [rounded, fused, flushing])
def test_an_update_is_covered(draw, update):
    random = np.random.default_rng(41)
    param, grad = draw(random, (9, 8)), draw(random, (9, 8))
    operands = {"param": param, "grad": grad, "lr": np.asarray(LR)}
    expected = KINDS["sgd"].compute(operands, FLOAT32, {})["param"]
    exact = fractions(param) - fractions(grad) * fractions(np.asarray(LR))[()]
    assert_covers(expected, update(param, grad, LR), exact)


def test_the_bound_of_an_update_is_nearly_used_up_by_correct_ones():
    random = np.random.default_rng(1)
    param, grad = (random.standard_normal(20_000).astype(np.float32) for _ in range(2))
    operands = {"param": param, "grad": grad, "lr": np.asarray(LR)}
    expected = KINDS["sgd"].compute(operands, FLOAT32, {})["param"]
    exact = fractions(param) - fractions(grad) * fractions(np.asarray(LR))[()]
    assert 0.8 < largest_share(expected, rounded(param, grad, LR), exact) <= 1


@pytest.mark.parametrize("wrong", [0.0, -1.0, 2.0, 1.001])
def test_an_update_with_another_learning_rate_is_beyond_the_bound(wrong: float):
    param, grad = np.float32([0.5, -0.25]), np.float32([0.125, 3.0])
    operands = {"param": param, "grad": grad, "lr": np.asarray(LR)}
    expected = KINDS["sgd"].compute(operands, FLOAT32, {})["param"]
    result = param - LR * np.float32(wrong) * grad
    assert (np.abs(result - expected.value) > expected.error).all()
