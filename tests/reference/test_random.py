"""Random numbers as a program draws them: the generator by its published outputs, then its uses."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from nndbg.reference import FLOAT32, KINDS
from nndbg.reference.random import splitmix64

from .proof import DIGITS, assert_covers

# The first outputs for the seed 1234567, as implementations of SplitMix64 publish them.
PUBLISHED = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]
STATES = [0, 1, 1234567, 2**63, 2**64 - 1]


def generator(state: int) -> Iterator[int]:
    """SplitMix64 word by word, in Python's integers."""
    while True:
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        yield z ^ (z >> 31)


def units(state: int) -> Iterator[Fraction]:
    """Draws as fractions of 1: the upper 24 bits."""
    return (Fraction(word >> 40, 2**24) for word in generator(state))


def state_after(state: int, draws: int) -> int:
    return (state + draws * 0x9E3779B97F4A7C15) % 2**64


def word(state: int) -> np.ndarray:
    return np.array(state, np.uint64)


def test_the_generator_draws_what_is_published():
    assert splitmix64(1234567, 5)[0].tolist() == PUBLISHED


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("count", [0, 1, 7])
def test_the_generator_draws_word_by_word_and_knows_its_state(state: int, count: int):
    words = generator(state)
    drawn, after = splitmix64(state, count)
    assert drawn.tolist() == [next(words) for _ in range(count)]
    assert after == state_after(state, count)
    assert splitmix64(after, 1)[0][0] == next(words)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_a_shuffle_is_the_one_of_fisher_and_yates(state: int, count: int):
    order = np.arange(count, dtype=np.uint32)[::-1].copy()
    expected, words = order.tolist(), generator(state)
    for i in range(count - 1, 0, -1):
        j = next(words) * (i + 1) // 2**64
        expected[i], expected[j] = expected[j], expected[i]
    results = KINDS["shuffle"].compute({"order": order, "state": word(state)}, FLOAT32, {})
    assert results["order"].value.tolist() == expected
    assert int(results["state"].integers) == state_after(state, count - 1)


def test_the_order_of_the_file_counts_up():
    order = np.array([3, 3, 3], np.uint32)
    result = KINDS["sequence"].compute({"order": order}, FLOAT32, {})["order"]
    assert result.value.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("kind", "square"), [("glorot_uniform", Fraction(6, 8)), ("he_uniform", Fraction(6, 5))]
)
@pytest.mark.parametrize("state", STATES)
def test_initial_weights_are_drawn_row_by_row_and_covered(kind: str, square, state: int):
    drawn = units(state)
    twice = np.array([2 * next(drawn) - 1 for _ in range(15)], object).reshape(5, 3)
    results = KINDS[kind].compute(
        {"W": np.full((5, 3), np.nan, np.float32), "state": word(state)}, FLOAT32, {}
    )
    limit = np.sqrt(np.float32(6) / np.float32(6 / square))
    program = twice.astype(np.float32) * limit
    with mpmath.workdps(DIGITS):
        root = mpmath.sqrt(mpmath.mpf(square.numerator) / square.denominator)
        exact = np.empty((5, 3), object)
        for index in np.ndindex(5, 3):
            exact[index] = root * twice[index].numerator / twice[index].denominator
        assert_covers(results["W"], program, exact)
    assert (results["W"].error <= 3.001 * 2.0**-24 * np.abs(results["W"].value) + 1e-37).all()
    assert int(results["state"].integers) == state_after(state, 15)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("state", STATES)
def test_a_dropout_mask_is_zero_where_a_draw_is_below_the_rate(rate: float, state: int):
    given = np.float32(rate)
    drawn = units(state)
    kept = np.array([next(drawn) >= Fraction(float(given)) for _ in range(40)]).reshape(4, 10)
    operands = {
        "mask": np.full((4, 10), np.nan, np.float32),
        "state": word(state),
        "rate": np.asarray(given),
    }
    results = KINDS["dropout_mask"].compute(operands, FLOAT32, {})
    program = np.where(kept, np.float32(1) / (np.float32(1) - given), np.float32(0))
    scale = 1 / (1 - Fraction(float(given)))
    exact = np.array([[scale * int(k) for k in row] for row in kept], object)
    assert_covers(results["mask"], program, exact)
    assert (results["mask"].error[~kept] == 0).all()
    assert int(results["state"].integers) == state_after(state, 40)


def test_a_draw_that_equals_the_rate_is_kept():
    (draw,) = (next(units(1)) for _ in range(1))
    operands = {
        "mask": np.zeros(1, np.float32),
        "state": word(1),
        "rate": np.asarray(np.float32(draw)),
    }
    mask = KINDS["dropout_mask"].compute(operands, FLOAT32, {})["mask"]
    assert mask.value[0] > 0
