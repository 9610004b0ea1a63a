"""Cross-entropy and its gradient: covered through either formula, NaN for a label without class."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from nndbg.reference import FLOAT32, KINDS, Bounded

from .inputs import normal
from .programs import ORDERS, Sum, fractions
from .proof import DIGITS, assert_covers
from .test_activation import exact_softmax, exponentials

LOGITS = {
    "usual": lambda r: r.standard_normal((7, 10)) * 3,
    "confident": lambda r: r.standard_normal((7, 10)) * 12,
    "equal": lambda r: np.full((7, 10), r.standard_normal()),
    "two classes": lambda r: r.standard_normal((7, 2)),
    "one sample": lambda r: r.standard_normal((1, 10)),
    "sure of the right class": lambda r: np.eye(7) * 20 - 10,
    "large": lambda r: r.standard_normal((7, 10)) * 3 + 40,
    "one large sample": lambda r: r.standard_normal((1, 10)) * 3 + 60,
    "large and equal": lambda r: np.full((1, 10), 80.3),
}


def draw(logits: str) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(21)
    z = LOGITS[logits](random).astype(np.float32)
    y = np.arange(len(z)) if "right" in logits else random.integers(0, z.shape[1], len(z))
    return z, y.astype(np.uint8)


def logarithm(x: np.ndarray, off: int) -> np.ndarray:
    result = np.log(x.astype(np.float64)).astype(np.float32)
    for _ in range(off):
        result = np.nextafter(result, np.float32(np.inf))
    return result


def loss_from_logits(z: np.ndarray, y: np.ndarray, order: Sum, off: int) -> np.ndarray:
    most = z.max(axis=1)
    sums = order(list(exponentials(z - most[:, None], off).T))
    return logarithm(sums, off) - (z[np.arange(len(z)), y] - most)


def loss_from_p(z: np.ndarray, y: np.ndarray, order: Sum, off: int) -> np.ndarray:
    powers = exponentials(z - z.max(axis=1, keepdims=True), off)
    p = powers / order(list(powers.T))[:, None]
    return -logarithm(p[np.arange(len(z)), y], off)


def loss_without_maximum(z: np.ndarray, y: np.ndarray, order: Sum, off: int) -> np.ndarray:
    return logarithm(order(list(exponentials(z, off).T)), off) - z[np.arange(len(z)), y]


def loss_from_log_sum_exp(z: np.ndarray, y: np.ndarray, order: Sum, off: int) -> np.ndarray:
    most = z.max(axis=1)
    sums = order(list(exponentials(z - most[:, None], off).T))
    return (most + logarithm(sums, off)) - z[np.arange(len(z)), y]


LOSSES = [loss_from_logits, loss_from_p, loss_without_maximum, loss_from_log_sum_exp]


@pytest.mark.parametrize("logits", LOGITS)
@pytest.mark.parametrize("losses", LOSSES)
@pytest.mark.parametrize("off", [0, 3], ids=["rounded", "off by 3"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda o: o.__name__)
def test_the_loss_by_either_formula_is_covered(logits: str, losses, off: int, order: Sum):
    z, y = draw(logits)
    parameters = {"exp_ulps": off + 0.5, "log_ulps": off + 0.5}
    expected = KINDS["cross_entropy"].compute({"z": z, "y": y}, FLOAT32, parameters)["loss"]
    each = losses(z, y, order, off)
    total = order([np.float32([loss]) for loss in each])[0]
    with mpmath.workdps(DIGITS):
        true = -sum(map(mpmath.log, exact_softmax(z)[np.arange(len(z)), y])) / len(z)
        exact = np.empty((), object)
        exact[()] = true
        for result in (total / np.float32(len(z)), total * np.float32(1 / len(z))):
            assert_covers(expected, np.asarray(result), exact)


def test_the_bound_of_the_loss_is_some_units_of_the_loss():
    z, y = draw("usual")
    loss = KINDS["cross_entropy"].compute({"z": z, "y": y}, FLOAT32, {})["loss"]
    assert loss.error <= 100 * 2.0**-24 * loss.value


@pytest.mark.parametrize("fault", ["sum for mean", "a sample left out", "base two"])
def test_a_faulty_loss_is_beyond_the_bound(fault: str):
    z, y = draw("usual")
    loss = KINDS["cross_entropy"].compute({"z": z, "y": y}, FLOAT32, {})["loss"]
    each = loss_from_logits(z, y, ORDERS[0], 0)
    wrong = {
        "sum for mean": each.sum(),
        "a sample left out": each[1:].sum() / len(each),
        "base two": each.mean() / np.log(2),
    }[fault]
    assert abs(wrong - loss.value) > 100 * loss.error


@pytest.mark.parametrize("off", [1, 0.25])
def test_a_less_accurate_log_is_allowed_more(off: float):
    z, y = draw("usual")
    tight, loose = (
        KINDS["cross_entropy"].compute({"z": z, "y": y}, FLOAT32, {"log_ulps": ulps})["loss"]
        for ulps in (off, 100)
    )
    assert loose.error > 5 * tight.error


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.int8])
@pytest.mark.parametrize("label", [10, 100, -1])
def test_a_label_that_names_no_class_makes_the_loss_no_number(dtype, label: int):
    if label < 0 and dtype is np.uint8:
        label = 255
    z = np.zeros((2, 10), np.float32)
    loss = KINDS["cross_entropy"].compute({"z": z, "y": np.array([3, label], dtype)}, FLOAT32, {})[
        "loss"
    ]
    assert np.isnan(loss.value)


@pytest.mark.parametrize("by", ["division", "reciprocal"])
@pytest.mark.parametrize("samples", [1, 7, 64])
def test_the_gradient_of_the_loss_is_covered(samples: int, by: str):
    random = np.random.default_rng(31)
    p = random.random((samples, 10), np.float32)
    p[0] = np.float32([2.0**-130, 0, 1, np.nextafter(np.float32(1), np.float32(0))] + [0.1] * 6)
    y = random.integers(0, 10, samples)
    y[0] = 3
    kind = KINDS["softmax_cross_entropy_grad"]
    expected = kind.compute({"p": p, "y": y}, FLOAT32, {})["grad"]
    difference = p - np.eye(10, dtype=np.float32)[y]
    n = np.float32(samples)
    result = difference / n if by == "division" else difference * (np.float32(1) / n)
    exact = (fractions(p) - fractions(np.eye(10)[y])) / samples
    assert_covers(expected, result, exact)
    assert (expected.error <= 4 * 2.0**-24 * np.abs(expected.value) + 1e-37).all()


def test_the_gradient_of_a_label_that_names_no_class_is_no_number_in_its_row_alone():
    p = np.full((3, 4), 0.25, np.float32)
    grad = KINDS["softmax_cross_entropy_grad"].compute(
        {"p": p, "y": np.uint8([0, 4, 1])}, FLOAT32, {}
    )["grad"]
    assert np.isnan(grad.value).all(axis=1).tolist() == [False, True, False]
    assert np.isfinite(grad.value[[0, 2]]).all()


def test_an_uncertain_softmax_gives_an_uncertain_gradient():
    random = np.random.default_rng(2)
    p = Bounded(normal(random, (4, 3)).astype(np.float64), np.full((4, 3), 0.5))
    y = np.zeros(4, np.uint8)
    grad = KINDS["softmax_cross_entropy_grad"].compute({"p": p, "y": y}, FLOAT32, {})["grad"]
    assert (grad.error >= 0.5 / 4).all()
    assert (grad.error <= 0.5 / 4 * 1.001).all()


@pytest.mark.parametrize("logits", LOGITS)
@pytest.mark.parametrize("error", [1e-7, 0.01, 1.0])
def test_the_loss_and_softmax_of_uncertain_logits_cover_whatever_they_were(logits, error: float):
    z, y = draw(logits)
    random = np.random.default_rng(22)
    errors = random.random(z.shape) * error
    uncertain = Bounded(z.astype(np.float64), errors)
    loss = KINDS["cross_entropy"].compute({"z": uncertain, "y": y}, FLOAT32, {"exp_ulps": 0.5})
    p = KINDS["softmax"].compute({"z": uncertain}, FLOAT32, {"exp_ulps": 0.5})
    chosen = np.arange(z.shape[1]) == y[:, None]
    # At the extremes all logits move for the label or against it.
    for sign in (np.where(chosen, 1, -1), np.where(chosen, -1, 1), random.choice([-1, 1], z.shape)):
        moved = (z + sign * errors).astype(np.float32)
        moved = np.clip(moved, z - errors, z + errors)
        with mpmath.workdps(DIGITS):
            true = exact_softmax(moved)
            gap = np.abs(true - p["p"].value)
            assert (gap <= p["p"].error).all()
            true = -sum(map(mpmath.log, true[np.arange(len(z)), y])) / len(z)
            assert abs(true - loss["loss"].value) <= loss["loss"].error
        programs = exponentials(moved - moved.max(axis=1, keepdims=True), 0).astype(np.float32)
        result = programs / programs.sum(axis=1, keepdims=True)
        assert (np.abs(result - p["p"].value) <= p["p"].error).all()
    assert loss["loss"].error < 2.1 * error + 1e-4
