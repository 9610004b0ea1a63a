"""Activations: ReLU rounds nothing, softmax is covered however it is computed."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from nndbg.reference import FLOAT32, KINDS, Bounded

from .inputs import DRAWS
from .programs import ORDERS, fractions
from .proof import DIGITS, assert_covers

NAN = float("nan")


def relu(z: np.ndarray | Bounded) -> Bounded:
    return KINDS["relu"].compute({"z": z}, FLOAT32, {})["h"]


def relu_grad(grad: np.ndarray | Bounded, z: np.ndarray | Bounded) -> Bounded:
    return KINDS["relu_grad"].compute({"grad": grad, "z": z}, FLOAT32, {})["dz"]


@pytest.mark.parametrize(
    ("z", "h"),
    [(2.5, 2.5), (-2.5, 0.0), (0.0, 0.0), (-0.0, 0.0), (np.inf, np.inf), (-np.inf, 0.0)],
)
def test_relu_is_the_number_or_zero_without_error(z: float, h: float):
    result = relu(np.float32([z]))
    assert result.value.tolist() == [h]
    assert result.error.tolist() == [0.0]


def test_relu_keeps_what_is_no_number():
    assert np.isnan(relu(np.float32([NAN])).value).all()


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
def test_relu_of_any_numbers_is_covered(draw):
    z = draw(np.random.default_rng(3), (7, 5))
    exact = np.maximum(fractions(z), 0)
    assert_covers(relu(z), np.maximum(z, np.float32(0)), exact)


@pytest.mark.parametrize("value", [-1.0, -0.1, 0.0, 0.1, 1.0])
def test_relu_of_an_uncertain_number_covers_whatever_it_was(value: float):
    h = relu(Bounded(np.float64([value]), np.float64([0.5])))
    for z in np.linspace(value - 0.5, value + 0.5, 21):
        assert abs(max(z, 0.0) - h.value[0]) <= h.error[0]


@pytest.mark.parametrize(
    ("grad", "z", "dz"),
    [
        (3.0, 1.0, 3.0),
        (3.0, -1.0, 0.0),
        (3.0, 0.0, 0.0),
        (3.0, -0.0, 0.0),
        (-3.0, 1e-30, -3.0),
        (-3.0, -1e-30, 0.0),
        (np.inf, -1.0, 0.0),
    ],
)
def test_the_gradient_passes_where_the_number_was_above_zero(grad: float, z: float, dz: float):
    result = relu_grad(np.float32([grad]), np.float32([z]))
    assert result.value.tolist() == [dz]
    assert result.error.tolist() == [0.0]


def test_a_gradient_passes_or_not_where_a_subnormal_may_be_read_as_zero():
    result = relu_grad(np.float32([3.0, -3.0]), np.float32([1e-40, 1e-40]))
    assert (np.abs(np.float64([3, -3]) - result.value) <= result.error).all()
    assert (np.abs(result.value) <= result.error).all()


@pytest.mark.parametrize("z", [-0.4, 0.4])
def test_a_gradient_passes_or_not_where_the_sign_is_uncertain(z: float):
    result = relu_grad(
        Bounded(np.float64([2.0]), np.float64([0.1])), Bounded(np.float64([z]), np.float64([0.5]))
    )
    for dz in (0.0, 1.9, 2.1):
        assert abs(dz - result.value[0]) <= result.error[0]
    assert result.error[0] <= 2.1


@pytest.mark.parametrize("z", [-0.6, 0.6])
def test_a_gradient_is_certain_where_the_sign_is(z: float):
    result = relu_grad(
        Bounded(np.float64([2.0]), np.float64([0.1])), Bounded(np.float64([z]), np.float64([0.5]))
    )
    assert (result.value[0], result.error[0]) == ((2.0, 0.1) if z > 0 else (0.0, 0.0))


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
def test_dropout_is_covered(draw):
    random = np.random.default_rng(6)
    h, mask = draw(random, (5, 6)), np.float32(1.25) * random.integers(0, 2, (5, 6), np.int8)
    out = KINDS["dropout"].compute({"h": h, "mask": mask.astype(np.float32)}, FLOAT32, {})["out"]
    assert_covers(out, h * mask.astype(np.float32), fractions(h) * fractions(mask))


# Softmax

LOGITS = {
    "usual": lambda r: r.standard_normal((6, 10)) * 3,
    "confident": lambda r: r.standard_normal((6, 10)) * 25,
    "equal": lambda r: np.full((6, 10), r.standard_normal()),
    "two classes": lambda r: r.standard_normal((6, 2)),
    "one class": lambda r: r.standard_normal((6, 1)),
    "many classes": lambda r: r.standard_normal((2, 300)),
    "all zero": lambda r: np.zeros((2, 10)),
}


def exponentials(z: np.ndarray, off: int) -> np.ndarray:
    """exp(z) rounded, then moved by so many places, now up and now down."""
    powers = np.exp(z.astype(np.float64)).astype(np.float32)
    for _ in range(off):
        direction = np.where(np.arange(powers.size).reshape(powers.shape) % 2, np.inf, -np.inf)
        powers = np.nextafter(powers, direction.astype(np.float32))
    return np.maximum(powers, np.float32(0))


def exact_softmax(z: np.ndarray) -> np.ndarray:
    with mpmath.workdps(DIGITS):
        powers = np.array([[mpmath.exp(float(a)) for a in row] for row in z])
        return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("logits", LOGITS)
@pytest.mark.parametrize("off", [0, 3], ids=["rounded exp", "exp of 3.5 ulps"])
@pytest.mark.parametrize("shifted", [True, False], ids=["less the maximum", "as it is"])
@pytest.mark.parametrize("by", ["division", "reciprocal"])
def test_softmax_however_computed_is_covered(logits: str, off: int, shifted: bool, by: str):
    z = LOGITS[logits](np.random.default_rng(8)).astype(np.float32)
    exact = exact_softmax(z)
    expected = KINDS["softmax"].compute({"z": z}, FLOAT32, {"exp_ulps": off + 0.5})["p"]
    for order in ORDERS:
        powers = exponentials(z - z.max(axis=1, keepdims=True) if shifted else z, off)
        sums = order(list(powers.T))[:, None]
        p = powers / sums if by == "division" else powers * (np.float32(1) / sums)
        with mpmath.workdps(DIGITS):
            assert_covers(expected, p, exact)


def test_the_bound_of_softmax_is_some_units_of_its_last_place():
    z = np.random.default_rng(9).standard_normal((64, 10)).astype(np.float32)
    p = KINDS["softmax"].compute({"z": z}, FLOAT32, {"exp_ulps": 1})["p"]
    assert (p.error <= 30 * 2.0**-24 * p.value).all()
    assert (p.error >= 2 * 2.0**-24 * p.value).all()


def test_a_less_accurate_exp_is_allowed_more():
    z = np.float32([[0.5, -0.5]])
    tight, loose = (
        KINDS["softmax"].compute({"z": z}, FLOAT32, {"exp_ulps": ulps})["p"] for ulps in (1, 100)
    )
    assert (loose.error > 20 * tight.error).all()


def test_the_softmax_of_very_unlike_logits_is_one_and_zeros():
    p = KINDS["softmax"].compute({"z": np.float32([[300, -300]])}, FLOAT32, {})["p"]
    assert np.allclose(p.value, [[1, 0]])
    assert (p.error < 2e-6).all()
