"""The judgement: what other comparisons let through is found, and what is right is let through."""

from __future__ import annotations

import numpy as np
import pytest

from nndbg.compare import (
    Element,
    Mode,
    Status,
    Subject,
    Verdict,
    bits,
    judge,
    judge_unchanged,
    missing,
)
from nndbg.reference import FLOAT32, Bounded, summation
from nndbg.reference.bounded import exact

F = np.float32
NAN, INF = np.nan, np.inf
SUBJECT = Subject(step=2, op="dense1", kind="dense", buffer="z1", mode=Mode.LOCAL)
BOUND = 1e-6


def reference(value: object, error: object = BOUND) -> Bounded:
    values = np.asarray(value, np.float64)
    return Bounded(values, np.broadcast_to(np.float64(error), values.shape))


def judged(actual: object, expected: Bounded, before: object = None, dtype: type = F) -> Verdict:
    """The verdict on `actual`; the buffer held 77s before unless said otherwise."""
    array = np.asarray(actual, dtype)
    old = np.full(array.shape, 77, dtype) if before is None else np.asarray(before, dtype)
    return judge(SUBJECT, array, old, expected)


@pytest.fixture
def matrix() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((64, 128)).astype(F)


# What agrees


def test_the_same_numbers_agree(matrix: np.ndarray):
    verdict = judged(matrix, reference(matrix))
    assert verdict.status is Status.AGREE
    assert not verdict.status.is_wrong
    assert (verdict.checked, verdict.bad, verdict.where, verdict.says) == (8192, 0, "", "")
    assert verdict.subject is SUBJECT


@pytest.mark.parametrize("by", [1.0, -1.0], ids=["above", "below"])
def test_an_error_of_the_whole_bound_agrees(by: float):
    # 2**-10 is exact in float32, so the distance is the bound itself.
    verdict = judged([1 + by * 2**-10], reference([1.0], 2**-10))
    assert verdict.status is Status.AGREE
    assert verdict.worst is not None
    assert verdict.worst.share == 1.0


@pytest.mark.parametrize("factor", [1.01, 2.0, 1e6])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_error_beyond_the_bound_diverges(factor: float, sign: int):
    verdict = judged([1 + sign * factor * 2**-10, 5], reference([1.0, 5.0], 2**-10))
    assert (verdict.status, verdict.bad, verdict.where) == (Status.DIVERGED, 1, "z1[0]")
    assert verdict.status.is_wrong
    assert verdict.worst is not None
    assert verdict.worst.index == (0,)
    assert verdict.worst.share == pytest.approx(factor, rel=1e-3)


def test_a_right_value_summed_in_an_unlucky_order_agrees():
    terms = np.full((4001, 1), 2.0**-24, F)
    terms[0] = 1
    total = F(0)
    for term in terms[:, 0]:
        total += term
    assert abs(total - terms.astype(np.float64).sum()) > 1000 * np.spacing(F(1)) / 2
    expected = summation.total(exact(terms), 0, FLOAT32)
    assert judged([total], expected).status is Status.AGREE


def test_zeros_of_both_signs_are_the_same_number():
    verdict = judged([0.0, -0.0], reference([-0.0, 0.0], 0))
    assert verdict.status is Status.AGREE
    assert verdict.worst is not None
    assert verdict.worst.ulps == 0


@pytest.mark.parametrize("value", [INF, -INF])
def test_the_same_infinity_agrees(value: float):
    verdict = judged([value, 1], reference([value, 1], [0, 1e-6]))
    assert (verdict.status, verdict.checked) == (Status.AGREE, 2)


def test_a_scalar_is_judged():
    assert judged(1.0, reference(1.0)).status is Status.AGREE
    wrong = judged(2.0, reference(1.0))
    assert (wrong.status, wrong.bad, wrong.where) == (Status.DIVERGED, 1, "z1")
    assert wrong.worst is not None
    assert wrong.worst.index == ()


def test_an_infinity_that_the_reference_reached_by_overflow_is_compared_all_the_same():
    expected = reference([INF, 1, 2], [INF, 1e-6, 1e-6])
    assert judged([INF, 1, 2], expected).status is Status.AGREE
    verdict = judged([5, 1, 2], expected)
    assert (verdict.status, verdict.checked, verdict.where) == (Status.DIVERGED, 3, "z1[0]")


# The traps: what looks alike by one figure


def test_a_transposed_tensor_of_equal_mean_diverges():
    square = np.random.default_rng(1).standard_normal((64, 64)).astype(F)
    verdict = judged(square.T, reference(square))
    assert square.T.mean() == pytest.approx(square.mean())
    assert verdict.status is Status.DIVERGED
    assert verdict.bad == 64 * 63


def test_a_gradient_scaled_by_two_diverges_though_its_cosine_is_one(matrix: np.ndarray):
    verdict = judged(2 * matrix, reference(matrix))
    assert verdict.status is Status.DIVERGED
    assert verdict.where == "z1[:, :]"
    assert verdict.distance is not None
    assert verdict.distance.cosine == pytest.approx(1, abs=1e-12)


def test_a_constant_of_the_right_mean_diverges(matrix: np.ndarray):
    assert judged(np.full_like(matrix, matrix.mean()), reference(matrix)).status is Status.DIVERGED


def test_a_constant_tensor_agrees_with_itself_and_with_no_other_constant():
    assert judged(np.full((4, 4), 3.0), reference(np.full((4, 4), 3.0))).status is Status.AGREE
    assert judged(np.full((4, 4), 3.1), reference(np.full((4, 4), 3.0))).bad == 16


def test_one_wrong_element_of_100352_is_found():
    right = np.random.default_rng(2).standard_normal((784, 128)).astype(F)
    wrong = right.copy()
    wrong[500, 77] = np.nextafter(wrong[500, 77], F(INF))
    verdict = judged(wrong, reference(right, 0))
    assert (verdict.status, verdict.checked, verdict.bad) == (Status.DIVERGED, 100_352, 1)
    assert verdict.where == "z1[500, 77]"
    assert verdict.worst is not None
    assert (verdict.worst.index, verdict.worst.ulps) == ((500, 77), 1)


@pytest.mark.parametrize("actual", [INF, -INF, NAN, 1.0])
@pytest.mark.parametrize("expected", [INF, -INF, NAN])
def test_only_the_same_infinity_agrees_with_what_is_not_finite(actual: float, expected: float):
    verdict = judged([actual], reference([expected], 0))
    assert (verdict.status is Status.AGREE) == (actual == expected)
    assert verdict.checked == 1


@pytest.mark.parametrize("actual", [INF, -INF, NAN])
def test_what_is_not_finite_agrees_with_no_number(actual: float):
    verdict = judged([1, actual], reference([1, 1]))
    assert (verdict.status, verdict.bad, verdict.where) == (Status.NONFINITE, 1, "z1[1]")
    assert verdict.status.is_wrong
    assert verdict.worst is not None
    assert verdict.worst.index == (1,)
    assert verdict.worst.share == INF
    assert verdict.worst.ulps is None


def test_a_nan_agrees_not_even_with_a_nan():
    verdict = judged([NAN, NAN], reference([NAN, NAN], 0))
    assert (verdict.status, verdict.bad) == (Status.NONFINITE, 2)


def test_no_elements_are_no_comparison():
    with pytest.raises(ValueError, match="z1 has no elements to compare"):
        judged(np.zeros((0, 4)), reference(np.zeros((0, 4))))


@pytest.mark.parametrize("shape", [(4,), (1, 4), (2, 2), (5,)])
def test_another_shape_is_no_comparison(shape: tuple[int, ...]):
    actual = np.zeros((4, 1))
    with pytest.raises(ValueError, match=r"z1 is \(4, 1\), its reference"):
        judged(actual, reference(np.zeros(shape)))


# Statuses


def test_a_buffer_that_is_wrong_and_as_it_was_is_unwritten():
    verdict = judged([1, 2, 3], reference([4, 5, 6]), before=[1, 2, 3])
    assert (verdict.status, verdict.bad) == (Status.UNWRITTEN, 3)
    assert verdict.says == "dense1 left z1 as it was"
    assert verdict.status.is_wrong


def test_a_buffer_that_is_right_and_as_it_was_agrees():
    assert judged([1, 2], reference([1, 2]), before=[1, 2]).status is Status.AGREE


def test_a_buffer_that_is_wrong_and_changed_in_one_bit_was_written():
    assert judged([0.0, 9], reference([5, 5]), before=[-0.0, 9]).status is Status.DIVERGED


def test_an_old_nan_that_stays_is_unwritten():
    assert judged([NAN], reference([1]), before=[NAN]).status is Status.UNWRITTEN


def test_a_number_beside_a_nan_that_was_to_be_is_nonfinite_only_by_the_wrong_elements():
    # The infinity is right; only the finite element is wrong.
    verdict = judged([INF, 2], reference([INF, 1], [0, 1e-6]))
    assert (verdict.status, verdict.bad) == (Status.DIVERGED, 1)


def test_where_float32_overflows_nothing_is_checked():
    verdict = judged([INF, 1, 2], reference([1e39, 1, 2], [INF, 1e-6, 1e-6]))
    assert (verdict.status, verdict.checked, verdict.bad) == (Status.UNCHECKED, 2, 0)
    assert not verdict.status.is_wrong
    assert verdict.says == "for 1 elements nothing can be proved: float32 overflows"
    assert verdict.worst is not None
    assert verdict.worst.index != (0,)


def test_what_is_wrong_beside_what_is_unknown_is_wrong():
    verdict = judged([INF, 1, 3], reference([1e39, 1, 2], [INF, 1e-6, 1e-6]))
    assert (verdict.status, verdict.checked, verdict.bad) == (Status.DIVERGED, 2, 1)
    assert verdict.worst is not None
    assert verdict.worst.index == (2,)


@pytest.mark.parametrize("unknown", [NAN, INF])
@pytest.mark.parametrize("actual", [1.0, 1e6])
def test_a_bound_that_is_no_number_proves_nothing(unknown: float, actual: float):
    verdict = judged([actual, 2], reference([1, 2], [unknown, 1e-6]))
    assert (verdict.status, verdict.checked, verdict.bad) == (Status.UNCHECKED, 1, 0)
    beside = judged([actual, 3], reference([1, 2], [unknown, 1e-6]))
    assert (beside.status, beside.bad, beside.where) == (Status.DIVERGED, 1, "z1[1]")


def test_whole_numbers_agree_with_no_bound_that_is_no_number():
    expected = Bounded(np.ones(2), np.array([NAN, 0]), np.array([1, 1]))
    verdict = judged([1, 1], expected, dtype=np.int32)
    assert (verdict.status, verdict.checked, verdict.bad) == (Status.UNCHECKED, 1, 0)


def test_where_nothing_is_known_there_is_no_worst_element():
    verdict = judged([1, 2], reference([1, 2], INF))
    assert (verdict.status, verdict.checked, verdict.worst) == (Status.UNCHECKED, 0, None)


@pytest.mark.parametrize(
    ("blind", "status"),
    [(0, Status.AGREE), (5, Status.AGREE), (6, Status.UNCHECKED), (10, Status.UNCHECKED)],
)
def test_a_bound_as_large_as_most_values_says_nothing(blind: int, status: Status):
    errors = np.full(10, 1e-6)
    errors[:blind] = 1.0
    verdict = judged(np.ones(10), reference(np.ones(10), errors))
    assert verdict.status is status
    assert ("zeros would agree" in verdict.says) == (status is Status.UNCHECKED)


def test_zeros_that_are_known_to_be_zero_agree():
    assert judged(np.zeros(4), reference(np.zeros(4), 1e-30)).status is Status.AGREE
    assert judged([0, 0, 0, 1], reference([0, 0, 0, 1], 1e-6)).status is Status.AGREE


def test_a_wrong_element_under_a_loose_bound_is_still_wrong():
    assert judged(np.full(4, 9.0), reference(np.ones(4), 1.0)).status is Status.DIVERGED


# Figures


@pytest.mark.parametrize(
    ("actual", "expected", "ulps"),
    [
        (1.0, 1.0, 0),
        (np.nextafter(F(1), F(2)), 1.0, 1),
        (np.nextafter(F(1), F(0)), 1.0, 1),
        (2.0, 1.0, 2**23),
        (1.0, -1.0, 2 * 0x3F800000),
        (-0.0, 0.0, 0),
        (2.0**-149, 0.0, 1),
        (2.0**-149, -(2.0**-149), 2),
        (0.125, 0.25, 2**23),
        (1.0, 1.0 + 2.0**-40, 0),
    ],
)
def test_the_distance_in_ulps_counts_the_numbers_between(actual, expected: float, ulps: int):
    worst = judged([actual], reference([expected], 1e-300)).worst
    assert worst is not None
    assert worst.ulps == ulps


@pytest.mark.parametrize("expected", [INF, NAN, 1e39])
def test_there_are_no_ulps_to_what_is_no_float32(expected: float):
    worst = judged([1.0], reference([expected], 0)).worst
    assert worst is not None
    assert worst.ulps is None


def test_ulps_of_float64_are_float64_s():
    worst = judged([1 + 2.0**-52], reference([1.0], 0), dtype=np.float64).worst
    assert worst is not None
    assert worst.ulps == 1


def test_the_worst_element_uses_most_of_its_bound_not_most_distance():
    verdict = judged([10.5, 1.01], reference([10, 1], [1, 0.001]))
    assert verdict.worst is not None
    assert verdict.worst.index == (1,)
    assert verdict.worst.actual == pytest.approx(1.01)
    assert (verdict.worst.expected, verdict.worst.bound) == (1.0, 0.001)


@pytest.mark.parametrize(
    ("actual", "expected", "bound", "share"),
    [
        (1.0, 1.0, 0.0, 0.0),
        (1.5, 1.0, 1.0, 0.5),
        (1.0, 1.5, 0.25, 2.0),
        (1.5, 1.0, 0.0, INF),
        (NAN, 1.0, 1.0, INF),
        (INF, 1.0, 1.0, INF),
        (INF, INF, 0.0, 0.0),
    ],
)
def test_the_share_of_the_bound(actual: float, expected: float, bound: float, share: float):
    assert Element((0,), actual, expected, bound, None).share == share


def test_distances_are_of_the_elements_that_are_numbers():
    distance = judged([1.5, 3, NAN], reference([1, 3, 3])).distance
    assert distance is not None
    assert (distance.largest, distance.mean) == (0.5, 0.25)
    assert judged([NAN], reference([1])).distance is None


@pytest.mark.parametrize(
    ("actual", "expected", "cosine"),
    [([1, 0], [0, 1], 0.0), ([1, 1], [-1, -1], -1.0), ([0, 0], [0, 0], 1.0), ([0, 0], [1, 1], 0.0)],
)
def test_the_cosine_is_the_one_of_the_angle(actual, expected, cosine: float):
    distance = judged(actual, reference(expected)).distance
    assert distance is not None
    assert distance.cosine == pytest.approx(cosine)


@pytest.mark.parametrize("shape", [(), (7,), (64, 128), (3, 4, 5)])
@pytest.mark.parametrize("error", [0.0, 1e-6, 10.0])
def test_what_agrees_is_judged_as_anything_is(shape, error: float, monkeypatch):
    random = np.random.default_rng(3)
    value = random.standard_normal(shape).astype(F) * (random.random(shape) < 0.7)
    actual = (value * (1 + min(error, 2e-7))).astype(F)
    expected = reference(value.astype(np.float64), error)
    short = judged(actual, expected)
    monkeypatch.setattr("nndbg.compare._agreement", lambda *_: None)
    long = judged(actual, expected)
    assert (short.status, short.worst, short.says) == (long.status, long.worst, long.says)
    assert (short.checked, short.bad, short.where) == (long.checked, long.bad, long.where)
    assert short.distance is not None and long.distance is not None
    assert short.distance.largest == long.distance.largest
    assert short.distance.mean == pytest.approx(long.distance.mean, rel=1e-14)
    assert short.distance.cosine == pytest.approx(long.distance.cosine, rel=1e-14)


def test_infinities_that_are_to_be_there_are_not_unknown():
    verdict = judged([INF, -INF, INF, 1], reference([INF, -INF, INF, 1], [INF, INF, INF, 1e-6]))
    assert verdict.status is Status.AGREE


# Integers


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint32, np.int64])
def test_integer_buffers_agree_exactly_or_not_at_all(dtype: type):
    assert judged([1, 2, 3], reference([1, 2, 3], 0), dtype=dtype).status is Status.AGREE
    verdict = judged([1, 2, 4], reference([1, 2, 3], 0), dtype=dtype)
    assert (verdict.status, verdict.bad, verdict.where) == (Status.DIVERGED, 1, "z1[2]")
    assert verdict.worst is not None
    assert verdict.worst.ulps is None


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_an_integer_where_no_label_exists_is_wrong(dtype: type):
    assert judged([1, 2], reference([1, NAN], 0), dtype=dtype).where == "z1[1]"


# Other verdicts


def test_a_change_of_a_buffer_that_is_no_output_diverges():
    verdict = judge_unchanged(SUBJECT, F([[1, 2], [3, 5]]), F([[1, 2], [3, 4]]), "told")
    assert (verdict.status, verdict.checked, verdict.bad) == (Status.DIVERGED, 4, 1)
    assert verdict.where == "z1[1, 1]"
    assert verdict.says == "told"
    assert verdict.worst is not None
    assert (verdict.worst.actual, verdict.worst.expected) == (5.0, 4.0)
    assert verdict.worst.index == (1, 1)


@pytest.mark.parametrize(
    ("old", "new"), [(0.0, -0.0), (NAN, 1.0), (1.0, NAN), (1.0, np.nextafter(F(1), F(2)))]
)
def test_every_changed_bit_of_such_a_buffer_counts(old: float, new: float):
    assert judge_unchanged(SUBJECT, F([new, 3]), F([old, 3]), "told").bad == 1


def test_a_changed_scalar_that_is_no_output_diverges():
    verdict = judge_unchanged(SUBJECT, np.asarray(F(2)), np.asarray(F(1)), "told")
    assert (verdict.where, verdict.bad) == ("z1", 1)


def test_an_op_that_was_never_complete_left_all_elements_unwritten():
    verdict = missing(SUBJECT, 512)
    assert (verdict.status, verdict.checked, verdict.bad) == (Status.UNWRITTEN, 512, 512)
    assert verdict.says == "the boundary of dense1 was never reached in step 2"
    assert (verdict.worst, verdict.distance) == (None, None)


@pytest.mark.parametrize(
    ("dtype", "width"), [(np.float32, 4), (np.float64, 8), (np.uint8, 1), (np.int16, 2)]
)
def test_bits_are_unsigned_integers_of_the_same_width(dtype: type, width: int):
    assert bits(np.zeros(3, dtype)).dtype == np.dtype(f"u{width}")
    assert bits(np.array([-0.0], np.float32)).tolist() == [0x80000000]


def test_of_an_integer_that_may_be_another_nothing_is_known():
    expected = Bounded(np.float64([1, 2]), np.float64([0, INF]), np.int64([1, 2]))
    verdict = judged([1, 7], expected, dtype=np.int64)
    assert (verdict.status, verdict.checked, verdict.bad) == (Status.UNCHECKED, 1, 0)
    assert verdict.says == "for 1 elements nothing can be proved: others may be as large"
    assert judged([3, 7], expected, dtype=np.int64).bad == 1
