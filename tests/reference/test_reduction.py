"""Sums and means by every way to add, and which element is the largest."""

from __future__ import annotations

import numpy as np
import pytest

from nndbg.reference import FLOAT32, FLOAT64, KINDS, Bounded

from .inputs import DRAWS
from .programs import ORDERS, fractions, in_lanes, pairwise, sequential
from .proof import assert_covers

AXES = {"": 0, "row_": 1, "_all": None}


def named(kind: str, way: str) -> str:
    return way + kind if way.endswith("_") else kind + way


def terms(a: np.ndarray, axis: int | None) -> list[np.ndarray]:
    return list(a.reshape(-1, 1)) if axis is None else list(np.moveaxis(a, axis, 0))


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("order", ORDERS, ids=lambda o: o.__name__)
@pytest.mark.parametrize("way", AXES)
def test_a_sum_or_a_mean_in_any_order_is_covered(way: str, order, draw):
    a, axis = draw(np.random.default_rng(61), (9, 12)), AXES[way]
    total = order(terms(a, axis))
    exact = np.asarray(fractions(a).sum(axis=axis))
    count = a.size // exact.size
    (expected,) = KINDS[named("sum", way)].compute({"a": a}, FLOAT32, {}).values()
    assert_covers(expected, total.reshape(exact.shape), exact)
    (expected,) = KINDS[named("mean", way)].compute({"a": a}, FLOAT32, {}).values()
    n = np.float32(count)
    each = order([term * (np.float32(1) / n) for term in terms(a, axis)])
    for result in (total / n, total * (np.float32(1) / n), each):
        assert_covers(expected, result.reshape(exact.shape), np.asarray(exact / count))


@pytest.mark.parametrize("order", [sequential, pairwise], ids=lambda o: o.__name__)
@pytest.mark.parametrize("way", AXES)
def test_float64_programs_are_covered_too(way: str, order):
    a, axis = np.random.default_rng(62).standard_normal((9, 12)) / 3, AXES[way]
    exact = np.asarray(fractions(a).sum(axis=axis))
    (expected,) = KINDS[named("sum", way)].compute({"a": a}, FLOAT64, {}).values()
    assert_covers(expected, order(terms(a, axis)).reshape(exact.shape), exact)
    assert (expected.error < 1e-12).all()


@pytest.mark.parametrize("way", AXES)
def test_stated_accumulators_make_a_sum_s_bound_tighter(way: str):
    a, axis = np.random.default_rng(63).random((160, 160), np.float32), AXES[way]
    kind = KINDS[named("sum", way)]
    (loose,), (tight,) = (
        kind.compute({"a": a}, FLOAT32, {"accumulators": n}).values() for n in (0, 16)
    )
    assert (tight.error < loose.error / 5).all()
    exact = np.asarray(fractions(a).sum(axis=axis))
    assert_covers(tight, in_lanes(16)(terms(a, axis)).reshape(exact.shape), exact)


def argmax(a: np.ndarray | Bounded) -> Bounded:
    return KINDS["argmax"].compute({"a": a}, FLOAT32, {})["index"]


@pytest.mark.parametrize(
    ("row", "index"), [([1, 3, 2], 1), ([-1, -3, -2], 0), ([5], 0), ([-np.inf, 0, -1], 1)]
)
def test_the_largest_is_found(row: list[float], index: int):
    found = argmax(np.float32([row]))
    assert found.integers is not None
    assert (found.integers.tolist(), found.error.tolist()) == ([index], [0])


@pytest.mark.parametrize("row", [[1, 3, 3], [0.0, -0.0], [1, np.nan], [np.nan, np.nan, 1]])
def test_which_of_equals_is_taken_is_not_known(row: list[float]):
    assert argmax(np.float32([row])).error.tolist() == [np.inf]


@pytest.mark.parametrize(("error", "known"), [(0.4, True), (0.6, False)])
def test_which_is_the_largest_is_not_known_where_the_errors_overlap(error: float, known: bool):
    row = Bounded(np.float64([[1.0, 2.0]]), np.full((1, 2), error))
    assert (argmax(row).error == (0 if known else np.inf)).all()


def test_a_subnormal_may_be_no_larger_than_zero():
    assert argmax(np.float32([[0.0, 1e-40]])).error.tolist() == [np.inf]
