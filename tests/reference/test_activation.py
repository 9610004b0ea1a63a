"""Activations: ReLU rounds nothing, softmax is covered however it is computed."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from nndbg.reference import FLOAT32, FLOAT64, KINDS, Bounded

from .inputs import DRAWS
from .programs import ORDERS, flushed, fma, fractions
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


# Leaky ReLU, sigmoid, tanh

FORMATS = {np.float32: FLOAT32, np.float64: FLOAT64}
SLOPES = [0.01, 0.25, 1.0, 2.0, -0.5]
ARGUMENTS = {
    "usual": lambda r: r.standard_normal(60) * 3,
    "large": lambda r: r.standard_normal(60) * 60,
    "small": lambda r: r.standard_normal(60) * 1e-4,
    "tiny": lambda r: r.standard_normal(60) * 2.0**-124,
    "limits": lambda r: np.float64(
        [0, -0.0, 87, -87, 88.5, -88.5, -104, 104, 1e4, -1e4, 2.0**-126]
    ),
}


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("slope", SLOPES)
def test_a_leaky_relu_and_its_gradient_are_covered(slope: float, draw):
    random = np.random.default_rng(71)
    z, grad = draw(random, (6, 7)), draw(random, (6, 7))
    factor = Fraction(slope)
    h = KINDS["leaky_relu"].compute({"z": z}, FLOAT32, {"slope": slope})["h"]
    dz = KINDS["leaky_relu_grad"].compute({"grad": grad, "z": z}, FLOAT32, {"slope": slope})["dz"]
    for flush in (np.asarray, flushed):
        seen = flush(z)
        result = flush(np.where(seen > 0, seen, seen * np.float32(slope)))
        assert_covers(h, result, np.where(z > 0, fractions(z), fractions(z) * factor))
        given = flush(grad)
        result = flush(np.where(seen > 0, given, given * np.float32(slope)))
        assert (abs(fractions(result) - fractions(dz.value)) <= fractions(dz.error)).all()


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("value", [-1.0, -0.1, 0.0, 0.1, 1.0])
def test_a_leaky_relu_of_an_uncertain_number_covers_whatever_it_was(value: float, slope: float):
    z = Bounded(np.float64([value]), np.float64([0.5]))
    h = KINDS["leaky_relu"].compute({"z": z}, FLOAT32, {"slope": slope})["h"]
    grad = Bounded(np.float64([3.0]), np.float64([0.25]))
    dz = KINDS["leaky_relu_grad"].compute({"grad": grad, "z": z}, FLOAT32, {"slope": slope})["dz"]
    for at in np.linspace(value - 0.5, value + 0.5, 21):
        assert abs((at if at > 0 else slope * at) - h.value[0]) <= h.error[0]
        for g in (2.75, 3.25):
            assert abs((g if at > 0 else slope * g) - dz.value[0]) <= dz.error[0]


def moved(powers: np.ndarray, off: int) -> np.ndarray:
    """Results of a routine that is off by so many places, now up and now down."""
    for _ in range(off):
        direction = np.where(np.arange(powers.size) % 2, np.inf, -np.inf)
        powers = np.nextafter(powers, direction.astype(powers.dtype))
    return powers


def rounded_to(dtype: type, function, z: np.ndarray, off: int) -> np.ndarray:
    """An mpmath function of float numbers, rounded once and moved by `off` places."""
    with mpmath.workdps(DIGITS):
        return moved(
            np.array([float(function(mpmath.mpf(float(a)))) for a in z]).astype(dtype), off
        )


def by_mpmath(function, z: np.ndarray) -> np.ndarray:
    exact = np.empty(z.shape, object)
    with mpmath.workdps(DIGITS):
        exact[:] = [function(mpmath.mpf(float(a))) for a in z]
    return exact


def exact_sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize("off", [0, 3])
def test_a_sigmoid_by_either_formula_is_covered(off: int, arguments: str, dtype: type):
    z = ARGUMENTS[arguments](np.random.default_rng(72)).astype(dtype)
    one = dtype(1)
    expected = KINDS["sigmoid"].compute({"z": z}, FORMATS[dtype], {"exp_ulps": off + 0.5})["h"]
    with np.errstate(all="ignore"):
        down, up = rounded_to(dtype, mpmath.exp, -z, off), rounded_to(dtype, mpmath.exp, z, off)
        down, up = np.maximum(down, 0), np.maximum(up, 0)
        results = [one / (one + down), np.where(z > 0, one / (one + down), up / (one + up))]
    with mpmath.workdps(DIGITS):
        for result in results:
            assert_covers(expected, result.astype(dtype), by_mpmath(exact_sigmoid, z))


def test_a_sigmoid_far_below_zero_is_known_to_some_ulps():
    z = np.float32([-3, -30, -80])
    h = KINDS["sigmoid"].compute({"z": z}, FLOAT32, {"exp_ulps": 1})["h"]
    assert (h.error < 12 * 2.0**-24 * h.value + 4 * 2.0**-126).all()


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize("off", [0, 3])
def test_a_tanh_of_the_stated_accuracy_is_covered(off: int, arguments: str, dtype: type):
    z = ARGUMENTS[arguments](np.random.default_rng(73)).astype(dtype)
    expected = KINDS["tanh"].compute({"z": z}, FORMATS[dtype], {"tanh_ulps": off + 0.5})["h"]
    with mpmath.workdps(DIGITS):
        result = rounded_to(dtype, mpmath.tanh, z, off)
        assert_covers(expected, result, by_mpmath(mpmath.tanh, z))


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("arguments", ["usual", "small", "tiny"])
@pytest.mark.parametrize("off", [0, 3])
def test_a_tanh_made_of_powers_is_covered(off: int, arguments: str, dtype: type):
    z = ARGUMENTS[arguments](np.random.default_rng(74)).astype(dtype)
    parameters = {"tanh_ulps": 0.5, "exp_ulps": off + 0.5}
    expected = KINDS["tanh"].compute({"z": z}, FORMATS[dtype], parameters)["h"]
    one, two = dtype(1), dtype(2)
    e = rounded_to(dtype, mpmath.exp, 2 * z, off)
    up, down = rounded_to(dtype, mpmath.exp, z, off), rounded_to(dtype, mpmath.exp, -z, off)
    results = [
        (e - one) / (e + one),
        one - two / (e + one),
        one - two * (one / (e + one)),
        (up - down) / (up + down),
    ]
    with mpmath.workdps(DIGITS):
        for result in results:
            assert_covers(expected, result, by_mpmath(mpmath.tanh, z))


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
@pytest.mark.parametrize("value", [-20.0, -1.0, 0.0, 0.3, 5.0])
@pytest.mark.parametrize("error", [1e-6, 0.1, 2.0])
def test_an_activation_of_an_uncertain_number_covers_whatever_it_was(kind, value, error):
    z = Bounded(np.float64([value]), np.float64([error]))
    h = KINDS[kind].compute({"z": z}, FLOAT32, {})["h"]
    for at in np.linspace(value - error, value + error, 9):
        true = np.tanh(at) if kind == "tanh" else 1 / (1 + np.exp(-at))
        assert abs(true - h.value[0]) <= h.error[0]


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("kind", ["sigmoid_grad", "tanh_grad"])
def test_the_gradient_of_an_activation_is_covered_however_it_is_multiplied_out(kind: str, draw):
    random = np.random.default_rng(75)
    grad, h = draw(random, (8, 9)), random.random((8, 9), np.float32)
    h[0] = np.float32([0, 1, 1 - 2**-24, 2**-24, 2**-130, 0.5, 1 - 2**-12, 2**-64, 2**-126])
    if kind == "tanh_grad":
        h *= random.choice(np.float32([-1, 1]), h.shape)
    expected = KINDS[kind].compute({"grad": grad, "h": h}, FLOAT32, {})["dz"]
    one, g, a = np.float32(1), fractions(grad), fractions(h)
    if kind == "sigmoid_grad":
        exact = g * a * (1 - a)
        ways = [
            lambda f, g, h: f(f(g * h) * f(one - h)),
            lambda f, g, h: f(g * f(h * f(one - h))),
            lambda f, g, h: f(g * f(h - f(h * h))),
            lambda f, g, h: f(f(g * h) - f(f(g * h) * h)),
        ]
    else:
        exact = g * (1 - a * a)
        ways = [
            lambda f, g, h: f(g * f(one - f(h * h))),
            lambda f, g, h: f(g * f(f(one - h) * f(one + h))),
            lambda f, g, h: f(g - f(g * f(h * h))),
            lambda f, g, h: f(g - f(f(g * h) * h)),
            lambda f, g, h: f(g * fma(-h, h, np.broadcast_to(one, h.shape))),
        ]
    for way in ways:
        for flush in (np.asarray, flushed):
            with np.errstate(all="ignore"):
                assert_covers(expected, way(flush, flush(grad), flush(h)), exact)


@pytest.mark.parametrize("kind", ["sigmoid_grad", "tanh_grad"])
def test_the_gradient_of_an_uncertain_activation_covers_whatever_it_was(kind: str):
    grad, h = (Bounded(np.float64([v]), np.float64([0.125])) for v in (2.0, 0.5))
    dz = KINDS[kind].compute({"grad": grad, "h": h}, FLOAT32, {})["dz"]
    for g in (1.875, 2.125):
        for a in np.linspace(0.375, 0.625, 9):
            true = g * a * (1 - a) if kind == "sigmoid_grad" else g * (1 - a * a)
            assert abs(true - dz.value[0]) <= dz.error[0]
