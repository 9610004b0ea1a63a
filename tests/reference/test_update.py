"""The updates of parameters: a product and a sum each, fused or not."""

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


# Momentum and weight decay

MOMENTUM = np.float32(0.9)


def scaled_sum(way, a, scale, b):
    """a + scale b in one of the ways above."""
    return way(a, b, -scale)


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("update", [rounded, fused, flushing])
def test_an_update_with_momentum_is_covered_and_so_is_its_velocity(draw, update):
    random = np.random.default_rng(43)
    param, grad, velocity = (draw(random, (6, 5)) for _ in range(3))
    operands = {
        "param": param,
        "grad": grad,
        "velocity": velocity,
        "lr": np.asarray(LR),
        "momentum": np.asarray(MOMENTUM),
    }
    results = KINDS["sgd_momentum"].compute(operands, FLOAT32, {})
    lr, momentum = (fractions(np.asarray(n))[()] for n in (LR, MOMENTUM))
    exact = fractions(velocity) * momentum + fractions(grad)
    v = scaled_sum(update, grad, MOMENTUM, velocity)
    assert_covers(results["velocity"], v, exact)
    assert_covers(results["param"], update(param, v, LR), fractions(param) - exact * lr)


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("update", [rounded, fused, flushing])
def test_weight_decay_is_covered(draw, update):
    random = np.random.default_rng(44)
    param, grad = draw(random, (6, 5)), draw(random, (6, 5))
    operands = {"param": param, "grad": grad, "decay": np.asarray(LR)}
    expected = KINDS["weight_decay"].compute(operands, FLOAT32, {})["grad"]
    exact = fractions(grad) + fractions(param) * fractions(np.asarray(LR))[()]
    assert_covers(expected, scaled_sum(update, grad, LR, param), exact)


def test_momentum_with_the_velocity_of_the_step_before_is_beyond_the_bound():
    operands = {
        "param": np.float32([1.0]),
        "grad": np.float32([0.5]),
        "velocity": np.float32([0.25]),
        "lr": np.asarray(LR),
        "momentum": np.asarray(MOMENTUM),
    }
    results = KINDS["sgd_momentum"].compute(operands, FLOAT32, {})
    assert abs(1 - 0.01 * 0.25 - results["param"].value[0]) > results["param"].error[0]
