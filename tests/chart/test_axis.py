"""Axes end at round numbers, hold what they are made for and place it in order."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndbg.chart import axis

LOSSES = st.floats(-1.7e308, 1.7e308) | st.floats(0, 10)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1)),
        (0, 2.37, (0, 0.5, 1, 1.5, 2, 2.5)),
        (89.2, 95.1, (88, 90, 92, 94, 96)),
        (0, 0, (-0.6, -0.4, -0.2, 0, 0.2, 0.4, 0.6)),
    ],
)
def test_linear_ticks_are_round(low: float, high: float, ticks: tuple[float, ...]):
    assert axis.linear(low, high).ticks == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("losses", "ticks"),
    [
        ([2.3, 0.3, 0.2], (0.2, 0.5, 1, 2, 5)),
        ([1.0, 1e-3, 1e-4], (1e-4, 1e-3, 1e-2, 1e-1, 1)),
        ([1e30, 2.3, 2.3], (1, 1e6, 1e12, 1e18, 1e24, 1e30)),
    ],
)
def test_losses_that_fall_far_are_logarithmic(losses: list[float], ticks: tuple[float, ...]):
    found = axis.of_losses(losses)
    assert found.is_logarithmic
    assert found.ticks == pytest.approx(ticks)


def test_losses_near_each_other_begin_at_zero():
    found = axis.of_losses([2.3, 1.5, 0.9, math.nan, math.inf])
    assert (found.low, found.high, found.is_logarithmic) == (0, 2.5, False)


def test_no_loss_at_all_still_has_an_axis():
    assert axis.of_losses([math.nan]).ticks[0] == 0


def test_accuracies_never_pass_a_hundred():
    found = axis.of_accuracies([100.0, 100.0])
    assert (found.low, found.high) == (99.5, 100)
    assert axis.of_accuracies([0.0]).low == 0


@given(st.lists(LOSSES, min_size=1, max_size=20))
def test_every_loss_lies_on_its_axis_and_in_order(losses: list[float]):
    found = axis.of_losses(losses)
    places = [found.place(loss) for loss in sorted(losses)]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)
    assert 2 <= len(found.ticks) <= 24
    assert found.low <= found.ticks[0] < found.ticks[-1] <= found.high


@given(st.integers(0, 2**53), st.integers(0, 10**9))
def test_steps_end_where_the_run_ends(first: int, length: int):
    found = axis.of_steps(first, first + length)
    assert all(found.low <= tick <= found.high for tick in found.ticks)
    assert 0 <= found.place(first) <= found.place(first + length) <= 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.5, "0.5"), (2000, "2,000"), (1e6, "1e+06"), (0.0001, "0.0001"), (12.5, "12.5")],
)
def test_ticks_are_short(value: float, text: str):
    assert axis.label(value) == text
