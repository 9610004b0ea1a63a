"""The updates of parameters: a product and a sum each, fused or not."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from nndbg.reference import FLOAT32, FLOAT64, KINDS

from .inputs import DRAWS
from .programs import ADAMS, BETA1, BETA2, EPSILON, flushed, fma, fractions, moments
from .proof import DIGITS, assert_covers, largest_share

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


# Adam

FORMATS = {np.float32: FLOAT32, np.float64: FLOAT64}


def state(draw, dtype: type) -> dict[str, np.ndarray]:
    random = np.random.default_rng(45)
    arrays = {name: draw(random, (6, 5)) for name in ("param", "grad", "m", "v")}
    arrays["v"] = np.abs(arrays["v"])
    return {name: array.astype(dtype) for name, array in arrays.items()}


def exact_adam(param, grad, m, v, t: int, lr: float) -> tuple:
    """What Adam makes of one element, by mpmath."""
    param, grad, m, v, b1, b2, lr = (
        mpmath.mpf(float(a)) for a in (param, grad, m, v, BETA1, BETA2, lr)
    )
    m = b1 * m + (1 - b1) * grad
    v = b2 * v + (1 - b2) * grad**2
    root = mpmath.sqrt(v / (1 - b2**t))
    return param - lr * m / (1 - b1**t) / (root + mpmath.mpf(EPSILON)), m, v


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("draw", [d for d in DRAWS if d.__name__ != "of_huge_range"])
@pytest.mark.parametrize("update", ADAMS)
@pytest.mark.parametrize("t", [1, 2, 100])
def test_adam_is_covered_however_it_is_computed(t: int, update, draw, dtype: type):
    arrays, lr = state(draw, dtype), dtype(0.001)
    with np.errstate(all="ignore"):
        results = update(*arrays.values(), t, lr)
    expected = KINDS["adam"].compute(
        {**arrays, "lr": np.asarray(lr), "step": np.asarray(t)}, FORMATS[dtype], {}
    )
    exact = [np.empty((6, 5), object) for _ in range(3)]
    with mpmath.workdps(DIGITS):
        for index in np.ndindex(6, 5):
            numbers = exact_adam(*(a[index] for a in arrays.values()), t, float(lr))
            for array, number in zip(exact, numbers, strict=True):
                array[index] = number
        for name, result, true in zip(("param", "m", "v"), results, exact, strict=True):
            assert result.dtype == dtype
            assert_covers(expected[name], result, true)


@pytest.mark.parametrize(("step", "first"), [(1, 1), (0, 0), (8, 8)])
@pytest.mark.parametrize("dtype", [np.int64, np.uint32, np.float32])
def test_the_first_update_of_adam_is_where_its_count_begins(step: int, first: int, dtype: type):
    arrays = {name: np.float32([0.5]) for name in ("param", "grad")}
    arrays |= {name: np.float32([0]) for name in ("m", "v")}
    operands = {**arrays, "lr": np.asarray(LR), "step": np.asarray(step, dtype)}
    param = KINDS["adam"].compute(operands, FLOAT32, {"first": first})["param"]
    # At first m / sqrt(v) is the sign of the gradient.
    assert param.value == pytest.approx([0.49], rel=1e-6)
    # 1 - beta2 of a rounded beta2 is off by a thousand units, at worst.
    assert param.error < 3000 * 2.0**-24 * LR


@pytest.mark.parametrize("fault", ["no correction", "another step", "epsilon inside"])
def test_a_faulty_adam_is_beyond_the_bound(fault: str):
    numbers = {"param": 0.5, "grad": 1e-5, "m": 2e-5, "v": 1e-10}
    arrays = {name: np.float32([number]) for name, number in numbers.items()}
    operands = {**arrays, "lr": np.asarray(LR), "step": np.asarray(5)}
    expected = KINDS["adam"].compute(operands, FLOAT32, {})["param"]
    m, v = moments(*arrays.values(), np.float32(0.1), np.float32(0.001))
    t = 4 if fault == "another step" else 5
    d1, d2 = (1, 1) if fault == "no correction" else (1 - 0.9**t, 1 - 0.999**t)
    root = np.sqrt(v / d2 + 1e-8) if fault == "epsilon inside" else np.sqrt(v / d2) + 1e-8
    wrong = 0.5 - 0.01 * (m / d1) / root
    assert abs(wrong - expected.value) > 5 * expected.error
