"""The batch: rows of a table, scaled by a constant that may itself be rounded."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from nndbg.reference import FLOAT32, KINDS, Bounded

from .programs import fractions
from .proof import assert_covers

PIXELS = np.arange(256, dtype=np.uint8).reshape(64, 4)


def gather(table, index, **parameters) -> Bounded:
    return KINDS["gather"].compute(
        {"table": table, "index": np.asarray(index)}, FLOAT32, parameters
    )["out"]


def test_rows_come_in_the_order_of_the_index():
    assert gather(PIXELS, [2, 0, 2]).value.tolist() == [
        [8, 9, 10, 11],
        [0, 1, 2, 3],
        [8, 9, 10, 11],
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64])
def test_rows_as_they_are_have_no_error(dtype):
    assert not gather(PIXELS.astype(dtype), np.arange(64)).error.any()


@pytest.mark.parametrize("shape", [(5,), (5, 2), (5, 2, 3)])
def test_a_table_may_have_any_number_of_axes(shape: tuple[int, ...]):
    assert gather(np.zeros(shape, np.uint8), [4, 0]).shape == (2, *shape[1:])


@pytest.mark.parametrize("by", ["division", "product", "float64"])
@pytest.mark.parametrize("scale", [1 / 255, 1 / 256, 1 / 3, 0.1])
def test_a_scale_by_any_arithmetic_is_covered(scale: float, by: str):
    factor = Fraction(scale)
    match by:
        case "division":
            result = PIXELS.astype(np.float32) / np.float32(1 / factor)
        case "product":
            result = PIXELS.astype(np.float32) * np.float32(factor)
        case "float64":
            result = (PIXELS * float(factor)).astype(np.float32)
    expected = gather(PIXELS, np.arange(64), scale=scale)
    assert_covers(expected, result, fractions(PIXELS) * factor)
    assert (expected.error <= 2.001 * 2.0**-24 * expected.value + 1e-37).all()


@pytest.mark.parametrize("index", [-1, 64, 2**31 - 1, -(2**31)])
def test_an_index_beyond_the_table_has_no_value_in_its_row_alone(index: int):
    rows = gather(PIXELS, np.int32([1, index, 63]), scale=1 / 255)
    assert np.isnan(rows.value).all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize("index", [0, 63])
def test_the_first_and_the_last_row_are_in_the_table(index: int):
    assert gather(PIXELS, [index]).value.tolist() == [PIXELS[index].tolist()]


def test_a_wrong_pixel_is_beyond_the_bound():
    expected = gather(PIXELS, np.arange(64), scale=1 / 255)
    assert (np.abs((PIXELS.astype(np.float64) + 1) / 255 - expected.value) > expected.error).all()
    assert (np.abs(PIXELS / 256 - expected.value)[PIXELS > 0] > expected.error[PIXELS > 0]).all()


def test_an_uncertain_table_gives_uncertain_rows():
    table = Bounded(np.float64([[1.0], [2.0]]), np.float64([[0.5], [0.25]]))
    assert gather(table, [1, 0]).error.tolist() == [[0.25], [0.5]]
