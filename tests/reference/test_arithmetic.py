"""Element by element: one rounding, and one of a constant that the format cannot hold."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from nndbg.reference import FLOAT32, FLOAT64, KINDS

from .inputs import DRAWS
from .programs import flushed, fractions
from .proof import assert_covers, largest_share

FORMATS = {np.float32: FLOAT32, np.float64: FLOAT64}


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("kind", ["add", "multiply", "scale_by"])
def test_two_numbers_are_covered(kind: str, dtype: type, draw):
    random = np.random.default_rng(51)
    a, b = draw(random, (6, 7)).astype(dtype), draw(random, (6, 7)).astype(dtype)
    if kind == "scale_by":
        b = b[0, 0]
    names = [part.name for part in KINDS[kind].inputs]
    operands = dict(zip(names, (a, np.asarray(b)), strict=True))
    (expected,) = KINDS[kind].compute(operands, FORMATS[dtype], {}).values()
    result = a + b if kind == "add" else a * b
    other = fractions(np.asarray(b))
    other = other[()] if kind == "scale_by" else other
    exact = fractions(a) + other if kind == "add" else fractions(a) * other
    assert_covers(expected, result, exact)
    if dtype is np.float32:
        assert_covers(expected, flushed(result), exact)


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.5, 0.1, 1 / 3, 1 / 255])
@pytest.mark.parametrize("draw", DRAWS[:3], ids=lambda d: d.__name__)
def test_a_multiple_is_covered_whether_the_factor_is_rounded_or_not(draw, factor: float):
    a = draw(np.random.default_rng(52), (50,))
    expected = KINDS["scale"].compute({"a": a}, FLOAT32, {"factor": factor})["out"]
    exact = fractions(a) * Fraction(factor)
    assert_covers(expected, a * np.float32(factor), exact)
    assert_covers(expected, (a.astype(np.float64) * factor).astype(np.float32), exact)


def test_the_bound_of_a_sum_is_nearly_used_up():
    random = np.random.default_rng(1)
    a, b = (random.random(5000).astype(np.float32) for _ in range(2))
    expected = KINDS["add"].compute({"a": a, "b": b}, FLOAT32, {})["sum"]
    assert 0.9 < largest_share(expected, a + b, fractions(a) + fractions(b)) <= 1


@pytest.mark.parametrize("value", [0.0, -1.5, 0.1])
def test_what_is_filled_holds_the_value_whatever_was_there(value: float):
    before = np.asarray([np.nan, np.inf, 3.0], np.float32)
    expected = KINDS["fill"].compute({"out": before}, FLOAT32, {"value": value})["out"]
    assert_covers(expected, np.full(3, value, np.float32), fractions(np.full(3, value)))
    assert np.abs(expected.value - value).max() <= FLOAT32.unit * abs(value)


def test_integers_are_filled_too():
    expected = KINDS["fill"].compute({"out": np.arange(3, dtype=np.uint8)}, FLOAT32, {"value": 9})
    assert expected["out"].integers.tolist() == [9, 9, 9]
