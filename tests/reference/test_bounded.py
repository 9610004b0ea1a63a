"""Bounded arithmetic: no bound is below the true error, and none is absurd."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nndbg.reference import FLOAT32, FLOAT64, Bounded, bounded, summation
from nndbg.reference.bounded import BoundError, exact

from .inputs import DRAWS
from .programs import (
    DOTS,
    ORDERS,
    dot_by,
    dot_fused,
    flushed,
    fma,
    fractions,
    in_lanes,
    sequential,
)
from .proof import DIGITS, assert_covers, largest_share

U = 2.0**-24
TINY = 2.0**-126
LARGEST = float(np.finfo(np.float32).max)

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
tame = st.floats(width=32, min_value=-(2.0**60), max_value=2.0**60)
shares = st.floats(-1, 1)
errors = st.sampled_from([0.0, 1e-30, 2.0**-24, 0.01, 3.0])
quick = settings(max_examples=150, deadline=None, derandomize=True)


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


def scalar(value: float, error: float = 0.0) -> Bounded:
    return Bounded(np.float64(value), np.float64(error))


def within(number: Bounded, share: float) -> Fraction:
    """A number that lies at `share` of the bound from the value."""
    return Fraction(float(number.value)) + Fraction(share) * Fraction(float(number.error))


def nearest(value: Fraction) -> np.float32:
    """The float32 nearest to `value`: float64 may round twice, so its neighbours are tried too."""
    guess = np.float32(float(value))
    around = [
        guess,
        np.nextafter(guess, np.float32(-np.inf)),
        np.nextafter(guess, np.float32(np.inf)),
    ]
    return min((c for c in around if np.isfinite(c)), key=lambda c: abs(Fraction(float(c)) - value))


# The format


@pytest.mark.parametrize(
    ("n", "expected"), [(0, 0.0), (1, U / (1 - U)), (784, 784 * U / (1 - 784 * U))]
)
def test_gamma_is_nu_over_one_minus_nu(n: int, expected: float):
    assert FLOAT32.gamma(n) == expected


def test_gamma_takes_many_counts_at_once():
    assert FLOAT32.gamma(np.array([0, 3])).tolist() == [0.0, 3 * U / (1 - 3 * U)]


@pytest.mark.parametrize("n", [2**24, 2**24 + 1, 2**40])
def test_a_sum_too_long_for_any_bound_is_refused(n: int):
    with pytest.raises(BoundError, match=rf"{n} roundings are too many for float32"):
        FLOAT32.gamma(n)


def test_the_longest_sum_that_has_a_bound_is_not_refused():
    assert FLOAT32.gamma(2**24 - 1) > 1e7


@pytest.mark.parametrize("fmt", [FLOAT32, FLOAT64])
def test_a_format_is_what_numpy_says_it_is(fmt):
    info = np.finfo(fmt.name)
    assert (fmt.unit, fmt.tiny, fmt.largest) == (info.eps / 2, info.tiny, info.max)


# Numbers as they are


def test_an_exact_number_has_no_error():
    given = np.array([0.0, -1.5, TINY, -TINY, LARGEST], np.float32)
    assert exact(given).error.tolist() == [0.0] * 5
    assert exact(given).value.tolist() == given.tolist()


def test_a_subnormal_may_be_read_as_zero():
    below = np.nextafter(np.float32(TINY), np.float32(0))
    assert exact(np.array([below, -below])).error.tolist() == [below, below]


def test_the_largest_magnitude_is_the_value_and_its_error():
    assert Bounded(np.array([-2.0, 1.0]), np.array([0.5, 0.0])).largest.tolist() == [2.5, 1.0]


def test_a_transpose_takes_its_errors_along():
    turned = Bounded(np.array([[1.0, 2.0]]), np.array([[0.1, 0.2]])).T
    assert turned.shape == (2, 1)
    assert turned.error.tolist() == [[0.1], [0.2]]


# One operation, of numbers that carry errors

OPERATIONS = {
    "add": (bounded.add, lambda a, b: a + b),
    "subtract": (bounded.subtract, lambda a, b: a - b),
    "multiply": (bounded.multiply, lambda a, b: a * b),
    "divide": (bounded.divide, lambda a, b: a / b if b else None),
}


@pytest.mark.parametrize("name", OPERATIONS)
@quick
@given(a=tame, b=tame, ea=errors, eb=errors, sa=shares, sb=shares)
def test_an_operation_on_numbers_anywhere_in_their_bounds_stays_in_its_own(
    name: str, a: float, b: float, ea: float, eb: float, sa: float, sb: float
):
    ours, theirs = OPERATIONS[name]
    x, y = scalar(a, ea), scalar(b, eb)
    true = theirs(within(x, sa), within(y, sb))
    if true is None:
        return
    with np.errstate(all="ignore"):
        expected = ours(x, y, FLOAT32)
        result = nearest(true)
    if not (np.isfinite(expected.error) and np.isfinite(expected.value)):
        return
    for rounded in (result, flushed(result)):
        gap = abs(Fraction(float(rounded)) - Fraction(float(expected.value)))
        assert gap <= Fraction(float(expected.error))


@quick
@given(a=tame, b=tame.filter(lambda b: abs(b) > 2.0**-60))
def test_a_division_may_be_a_product_with_a_rounded_reciprocal(a: float, b: float):
    expected = bounded.divide(exact(a), exact(b), FLOAT32)
    with np.errstate(all="ignore"):
        result = np.float32(a) * (np.float32(1) / np.float32(b))
    if np.isfinite(expected.error):
        assert abs(float(result) - expected.value) <= expected.error


@pytest.mark.parametrize("error", [1.0, 1.5, np.inf])
def test_nothing_is_known_of_a_division_by_what_may_be_zero(error: float):
    assert bounded.divide(scalar(1.0), scalar(1.0, error), FLOAT32).error == np.inf


@pytest.mark.parametrize("dividend", [0.0, 1.0, -2.0])
@pytest.mark.parametrize("error", [0.0, 0.5])
@pytest.mark.parametrize("divisor", [0.0, 0.25])
def test_a_quotient_by_what_may_be_zero_is_a_number_of_unknown_error(dividend, error, divisor):
    quotient = bounded.divide(scalar(dividend, error), scalar(divisor, 0.5), FLOAT32)
    assert np.isfinite(quotient.value)
    assert quotient.error == np.inf


def test_a_quotient_by_what_is_zero_for_certain_is_what_ieee_754_says():
    assert bounded.divide(scalar(1.0), scalar(0.0), FLOAT32).value == np.inf
    assert np.isnan(bounded.divide(scalar(0.0), scalar(0.0), FLOAT32).value)


@pytest.mark.parametrize("operation", [bounded.add, bounded.multiply])
def test_nothing_is_known_of_a_result_that_may_overflow(operation):
    assert operation(scalar(LARGEST), scalar(LARGEST), FLOAT32).error == np.inf
    assert operation(scalar(LARGEST), scalar(LARGEST), FLOAT64).error < LARGEST * 1e290


@pytest.mark.parametrize(
    ("roundings", "ulps"), [(1, 1.0), (2, 2.0), (3, 3.0)], ids=["one", "two", "three"]
)
def test_a_rounding_costs_one_unit_of_the_value_and_no_more(roundings: int, ulps: float):
    own = bounded.rounded(np.float64(1.0), np.float64(0.0), FLOAT32, roundings).error
    assert ulps * U <= own <= ulps * U * 1.000001


def test_a_product_of_two_numbers_below_one_ulp_apart_is_known_to_two_units():
    share = fma(np.float32([1 + 2**-23]), np.float32([1 + 2**-23]), np.float32([0]))
    product = bounded.multiply(exact(1 + 2**-23), exact(1 + 2**-23), FLOAT32)
    assert abs(share[0] - product.value) <= product.error <= 1.0001 * U * product.value


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_passes_through(value: float):
    assert np.array_equal(bounded.add(scalar(value), scalar(1.0), FLOAT32).value, value, True)


def test_a_nan_claims_no_unknown_error():
    assert bounded.add(scalar(np.nan), scalar(1.0), FLOAT32).error == 0


# Sums and products of matrices


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("order", ORDERS, ids=lambda o: o.__name__)
def test_a_sum_in_any_order_is_covered(draw, order):
    for length in (1, 2, 33):
        terms = draw(np.random.default_rng(length), (length, 6))
        result = order(list(terms))
        assert_covers(
            summation.total(exact(terms), 0, FLOAT32), result, fractions(terms).sum(axis=0)
        )


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("dot", DOTS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("biased", [False, True], ids=["plain", "biased"])
def test_a_product_of_matrices_in_any_order_is_covered(draw, dot, biased: bool):
    random = np.random.default_rng(5)
    x, W, bias = (draw(random, shape) for shape in ((3, 21), (21, 4), (4,)))
    true = fractions(x) @ fractions(W)
    expected = summation.dot(exact(x), exact(W), FLOAT32, exact(bias) if biased else None)
    result = dot(x, W, bias if biased else None)
    assert_covers(expected, result, true + fractions(bias) if biased else true)


@pytest.mark.parametrize("biased", [False, True], ids=["plain", "biased"])
def test_a_product_with_no_term_but_zeros_is_known_exactly(biased: bool):
    x, W, bias = np.zeros((2, 5)), np.ones((5, 3)), np.array([0.1, 0.2, 0.3], np.float32)
    expected = summation.dot(exact(x), exact(W), FLOAT32, exact(bias) if biased else None)
    assert (expected.error <= (1.01 * U * 0.31 if biased else 0) + 3 * TINY).all()


def test_a_long_sum_is_covered_where_every_addition_errs_the_same_way():
    # Each 2**-24 is lost against the 1, half an ulp at a time.
    for length in (100, 5000):
        terms = np.full((length, 1), U, np.float32)
        terms[0] = 1
        expected, true = summation.total(exact(terms), 0, FLOAT32), fractions(terms).sum(axis=0)
        assert_covers(expected, sequential(list(terms)), true)
        assert largest_share(expected, sequential(list(terms)), true) > 0.99


def test_a_long_product_is_covered_where_every_addition_errs_the_same_way():
    x = np.full((1, 4000), U, np.float32)
    x[0, 0] = 1
    W = np.ones((4000, 1), np.float32)
    expected, true = summation.dot(exact(x), exact(W), FLOAT32), fractions(x) @ fractions(W)
    for dot in DOTS:
        assert_covers(expected, dot(x, W, None), true)
    assert largest_share(expected, DOTS[0](x, W, None), true) > 0.99


@pytest.mark.parametrize("length", [3000, 20_000])
def test_a_sum_over_many_samples_is_covered(length: int):
    terms = np.random.default_rng(1).random((length, 1), np.float32)
    expected, true = summation.total(exact(terms), 0, FLOAT32), fractions(terms).sum(axis=0)
    for order in ORDERS:
        assert_covers(expected, order(list(terms)), true)


def test_a_bias_costs_a_rounding_more_than_the_product_alone():
    # The product and the sum both lie half way between two numbers, and are rounded down.
    x, b = np.float32([[1 + 2**-12]]), np.float32([U])
    expected, true = summation.dot(exact(x), exact(x), FLOAT32, exact(b)), fractions(x) ** 2 + U
    for dot in DOTS[:2]:
        result = dot(x, x, b)
        assert_covers(expected, result, true)
        assert largest_share(expected, result, true) > 0.99


def test_zeros_among_the_terms_cost_nothing():
    random = np.random.default_rng(2)
    x, W = random.random((1, 1000)), random.random((1000, 1))
    full = summation.dot(exact(x), exact(W), FLOAT32)
    x[0, 100:] = 0
    few, alone = summation.dot(exact(x), exact(W), FLOAT32), x[0, :100] @ W[:100, 0]
    assert few.error <= FLOAT32.gamma(100) * alone * 1.001 + 1e-30
    assert few.error < full.error / 50


@pytest.mark.parametrize("axis", [0, 1, None])
def test_a_sum_along_an_axis_counts_the_terms_of_that_axis(axis: int | None):
    ones = exact(np.ones((4, 9)))
    expected = summation.total(ones, axis, FLOAT32)
    count = {0: 4, 1: 9, None: 36}[axis]
    assert (expected.value == count).all()
    assert np.allclose(expected.error, FLOAT32.gamma(count - 1) * count, rtol=1e-5)


def test_the_sum_of_a_single_term_is_that_term():
    assert summation.total(exact(np.array([[0.7]])), 0, FLOAT32).error < 1e-15


@quick
@given(st.data())
def test_a_product_of_uncertain_matrices_covers_whatever_they_were(data):
    k = data.draw(st.integers(1, 6))
    seed = data.draw(st.integers(0, 10**6))
    random = np.random.default_rng(seed)
    x = Bounded(random.standard_normal((2, k)), random.random((2, k)) * data.draw(errors))
    W = Bounded(random.standard_normal((k, 2)), random.random((k, 2)) * data.draw(errors))
    b = Bounded(random.standard_normal(2), random.random(2) * data.draw(errors))
    expected = summation.dot(x, W, FLOAT32, b)
    # The extremes are where all terms err the same way.
    for sign in (-1, 1):
        far = [
            fractions(n.value) + sign * fractions(np.sign(n.value)) * fractions(n.error)
            for n in (x, W, b)
        ]
        true = far[0] @ far[1] + far[2]
        gap = abs(true - fractions(expected.value))
        assert (gap <= fractions(expected.error)).all()


@quick
@given(st.lists(st.tuples(tame, errors), min_size=1, max_size=8), shares)
def test_a_sum_of_uncertain_terms_covers_whatever_they_were(terms, share: float):
    uncertain = Bounded(np.array([v for v, _ in terms]), np.array([e for _, e in terms]))
    expected = summation.total(uncertain, 0, FLOAT32)
    true = sum(Fraction(v) + Fraction(share) * Fraction(e) for v, e in terms)
    assert abs(Fraction(float(expected.value)) - true) <= Fraction(float(expected.error))


def test_an_uncertain_zero_is_a_term_like_any_other():
    certain = summation.total(exact(np.array([1.0, 0.0, 1.0])), 0, FLOAT32)
    uncertain = summation.total(
        Bounded(np.array([1.0, 0.0, 1.0]), np.array([0, 1e-3, 0])), 0, FLOAT32
    )
    assert uncertain.error > certain.error + 1e-3 + U * 2


def test_a_sum_of_which_a_part_may_overflow_is_unknown():
    terms = np.array([[LARGEST, 1.0], [LARGEST, 1.0], [-LARGEST, 1.0]])
    assert summation.total(exact(terms), 0, FLOAT32).error[0] == np.inf
    assert summation.total(exact(terms), 0, FLOAT32).error[1] < 1e-6
    products = summation.dot(
        exact(np.float64([[2.0**100]])), exact(np.float64([[2.0**30]])), FLOAT32
    )
    assert products.error == np.inf


@pytest.mark.parametrize("draw", DRAWS[:3], ids=lambda d: d.__name__)
def test_float64_programs_have_bounds_too(draw):
    random = np.random.default_rng(3)
    x, W = (draw(random, s).astype(np.float64) / 3 for s in ((2, 40), (40, 3)))
    expected = summation.dot(exact(x, FLOAT64), exact(W, FLOAT64), FLOAT64)
    result = sequential([x[:, k, None] * W[None, k] for k in range(40)])
    assert_covers(expected, result, fractions(x) @ fractions(W))
    assert (expected.error <= 1e-13 * (np.abs(x) @ np.abs(W)) + 1e-300).all()


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("lanes", [1, 4, 8, 16, 64])
def test_a_sum_over_so_many_accumulators_is_covered_by_its_tighter_bound(draw, lanes: int):
    for length in (1, 5, 40, 130):
        terms = draw(np.random.default_rng(length), (length, 4))
        true = fractions(terms).sum(axis=0)
        expected = summation.total(exact(terms), 0, FLOAT32, accumulators=lanes)
        assert_covers(expected, in_lanes(lanes)(list(terms)), true)
        x, W = draw(np.random.default_rng(1), (2, length)), terms
        product = summation.dot(exact(x), exact(W), FLOAT32, accumulators=lanes)
        assert_covers(product, dot_fused(lanes)(x, W, None), fractions(x) @ fractions(W))
        assert_covers(product, dot_by(in_lanes(lanes))(x, W, None), fractions(x) @ fractions(W))


@pytest.mark.parametrize("backwards", [False, True])
def test_the_tighter_bound_is_used_up_where_all_roundings_add_up(backwards: bool):
    # Each partial sum loses all its terms but the first, half an ulp at a time.
    lanes, each = 8, 500
    terms = np.full((lanes * each, 1), U, np.float32)
    terms[:lanes] = 1
    partial = [sequential(list(terms[lane::lanes])) for lane in range(lanes)]
    result = sequential(partial[::-1] if backwards else partial)
    expected = summation.total(exact(terms), 0, FLOAT32, accumulators=lanes)
    true = fractions(terms).sum(axis=0)
    assert_covers(expected, result, true)
    assert largest_share(expected, result, true) > 0.9


@pytest.mark.parametrize(
    ("length", "zeros", "accumulators", "roundings"),
    [
        (784, 0, 0, 783),
        (784, 0, 1, 783),
        (784, 0, 16, 48 + 15),
        (784, 0, 783, 1 + 782),
        (784, 0, 10_000, 783),
        (100, 90, 16, 9),
        (100, 98, 4, 1),
        (64, 0, 8, 7 + 7),
    ],
)
def test_the_roundings_of_a_split_sum_are_those_within_and_between(
    length: int, zeros: int, accumulators: int, roundings: int
):
    ones = np.ones(length)
    ones[length - zeros :] = 0
    expected = summation.total(exact(ones), 0, FLOAT32, accumulators=accumulators)
    allowed = FLOAT32.gamma(roundings) * (length - zeros)
    assert allowed <= expected.error <= allowed * (1 + 1e-5)


def test_zeros_may_lie_so_that_all_other_terms_fall_to_one_accumulator():
    terms = np.zeros((64, 1), np.float32)
    terms[::8, 0] = [1, U, U, U, U, U, U, U]
    expected = summation.total(exact(terms), 0, FLOAT32, accumulators=8)
    true = fractions(terms).sum(axis=0)
    assert_covers(expected, in_lanes(8)(list(terms)), true)
    assert largest_share(expected, in_lanes(8)(list(terms)), true) > 0.9


@quick
@given(v=st.floats(0, 1e30), e=st.floats(0, 1e30), share=shares)
def test_a_root_of_an_uncertain_number_is_covered(v: float, e: float, share: float):
    expected = bounded.square_root(scalar(v, e), FLOAT32)
    with mpmath.workdps(DIGITS):
        at = within(scalar(v, e), share)
        true = mpmath.sqrt(max(mpmath.mpf(at.numerator) / at.denominator, 0))
        for result in (np.float32(float(true)), flushed(np.float32(float(true)))):
            assert abs(float(result) - expected.value) <= expected.error


# Functions


@pytest.mark.parametrize("ulps", [0.5, 1.5, 4])
@quick
@given(a=st.floats(-120, 88, width=32), error=errors, share=shares)
def test_an_exponential_of_the_stated_accuracy_is_covered(
    ulps: float, a: float, error: float, share: float
):
    argument = scalar(a, error)
    expected = bounded.exponential(argument, ulps, FLOAT32)
    with mpmath.workdps(DIGITS):
        at = within(argument, share)
        true = mpmath.exp(mpmath.mpf(at.numerator) / at.denominator)
        if not np.isfinite(expected.error) or true > LARGEST:
            return
        for result in off_by(np.float32(float(true)), ulps):
            assert abs(float(result) - expected.value) <= expected.error
        assert abs(true - mpmath.mpf(float(expected.value))) <= mpmath.mpf(float(expected.error))


@pytest.mark.parametrize("ulps", [0.5, 1.5, 4])
@quick
@given(
    a=st.one_of(st.floats(2.0**-100, 2.0**100, width=32), st.floats(0.9990234375, 1.0009765625)),
    relative=st.sampled_from([0.0, 2.0**-24, 0.01, 0.99]),
    share=shares,
)
def test_a_logarithm_of_the_stated_accuracy_is_covered(
    ulps: float, a: float, relative: float, share: float
):
    argument = scalar(a, a * relative)
    expected = bounded.logarithm(argument, ulps, FLOAT32)
    with mpmath.workdps(DIGITS):
        at = within(argument, share)
        true = mpmath.log(mpmath.mpf(at.numerator) / at.denominator)
        for result in off_by(np.float32(float(true)), ulps):
            assert abs(float(result) - expected.value) <= expected.error
        assert abs(true - mpmath.mpf(float(expected.value))) <= mpmath.mpf(float(expected.error))


def off_by(rounded: np.float32, ulps: float) -> list[np.float32]:
    """The farthest results of a routine that is accurate to `ulps`, half of one being rounding."""
    results = [rounded, flushed(rounded)]
    for direction in (-np.inf, np.inf):
        result = rounded
        for _ in range(int(ulps - 0.5)):
            result = np.nextafter(result, np.float32(direction))
        results.append(result)
    return results


def test_the_bound_of_an_exponential_is_what_its_accuracy_says():
    # Just above 1 an ulp is two units of the value.
    error = bounded.exponential(scalar(2.0**-30), 1, FLOAT32).error
    assert 2 * U <= error <= 2.001 * U


@pytest.mark.parametrize("relative", [1.0, 2.0])
def test_nothing_is_known_of_the_logarithm_of_what_may_be_zero(relative: float):
    assert bounded.logarithm(scalar(3.0, 3.0 * relative), 1, FLOAT32).error == np.inf


def test_an_exponential_that_may_overflow_is_unknown():
    assert bounded.exponential(scalar(89.0), 1, FLOAT32).error == np.inf
    assert bounded.exponential(scalar(80.0, 10.0), 1, FLOAT32).error == np.inf
    assert bounded.exponential(scalar(80.0), 1, FLOAT32).error < np.exp(80) * 1e-6


@quick
@given(st.lists(st.tuples(tame, errors), min_size=1, max_size=5), st.lists(shares, min_size=5))
def test_the_largest_of_uncertain_numbers_is_covered_whichever_it_is(numbers, at):
    row = Bounded(np.array([[v for v, _ in numbers]]), np.array([[e for _, e in numbers]]))
    expected = bounded.maximum(row, axis=1)
    true = max(
        Fraction(v) + Fraction(s) * Fraction(e) for (v, e), s in zip(numbers, at, strict=False)
    )
    assert expected.shape == (1, 1)
    assert abs(Fraction(expected.value[0, 0]) - true) <= Fraction(expected.error[0, 0])


@pytest.mark.parametrize("share", [2.0, 1.01])
def test_an_error_beyond_the_bound_of_a_tight_case_is_beyond_it(share: float):
    terms = exact(np.array([[1.0], [U]]))
    expected = summation.total(terms, 0, FLOAT32)
    assert share * U > expected.error >= U
