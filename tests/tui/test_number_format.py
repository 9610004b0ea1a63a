"""Numbers in a fixed width."""

import math

import numpy as np
import pytest

from nndbg.tui.number_format import exponent, number_format, share, signed


@pytest.mark.parametrize(
    ("largest", "width", "value", "text"),
    [
        (0.9, 9, 0.5, "0.500000"),
        (0.9, 9, -0.0123456, "-0.012346"),
        (0.9, 9, 1.5e-7, "1.500e-7"),
        (0.9, 9, -1.5e-7, "-1.500e-7"),
        (0.9, 9, 0.0, "0"),
        (0.9, 9, -0.0, "-0"),
        (300.0, 9, 299.5, "299.5000"),
        (3e8, 9, 2.5, "2.500"),
        (3e8, 9, -3e8, "-3.0000e8"),
        (0.004, 8, 0.003, "3.00e-3"),
        (0.004, 8, -0.003, "-3.00e-3"),
        (1.0, 8, math.nan, "nan"),
        (1.0, 8, math.inf, "inf"),
        (1.0, 8, -math.inf, "-inf"),
    ],
)
def test_a_number_is_written_with_the_digits_that_fit(largest, width, value, text):
    written = number_format(largest, width, is_integer=False)(value)
    assert written == text
    assert len(written) <= width


@pytest.mark.parametrize("width", range(8, 13))
def test_no_number_is_wider_than_its_column_or_loses_its_value(width):
    random = np.random.default_rng(3)
    for power in range(-44, 39):
        values = random.uniform(-1, 1, 20) * 10.0**power
        for largest in (float(np.abs(values).max()), 1.0):
            write = number_format(largest, width, is_integer=False)
            for value in values:
                text = write(float(value))
                assert len(text) <= width
                assert float(text) == pytest.approx(value, rel=0.06)


def test_integers_are_written_whole_or_with_an_exponent():
    write = number_format(255, 4, is_integer=True)
    assert [write(v) for v in (0, 7, -128, 255)] == ["0", "7", "-128", "255"]
    assert write(123456) == "1e5"


def test_a_difference_has_its_sign():
    assert signed(1.25e-7, 7) == "+1.2e-7"
    assert signed(-3e-12, 7) == "-3e-12"
    assert signed(0.0, 7) == "0"
    assert signed(math.nan, 7) == "nan"
    assert signed(-math.inf, 7) == "-inf"


def test_exponents_have_no_leading_zeros():
    assert exponent(1e-5, 12) == "1.000000e-5"
    assert exponent(1e30, 4) == "1e30"


@pytest.mark.parametrize(
    ("used", "text"),
    [
        (0.0, "0%"),
        (0.034, "3%"),
        (0.9999, "99%"),
        (1.0001, "101%"),
        (9.5, "950%"),
        (12.3, "×12"),
        (4884.0, "×4884"),
        (30_000_000.0, "×3e7"),
        (1e120, "×1e120"),
        (math.inf, "∞"),
    ],
)
def test_a_share_within_the_bound_never_reads_as_all_of_it(used, text):
    assert share(used) == text
