"""Columns stand for all of their steps and for no others."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from nndbg.plot import curve
from nndbg.plot.metrics import Epoch, Metrics, Step


def steps(*losses: float) -> list[Step]:
    return [Step(at, 1, at, loss) for at, loss in enumerate(losses)]


def test_few_steps_have_a_column_each():
    found = curve.columns(steps(3, 2, 1), 10)
    assert [(c.at, c.low, c.mean, c.high) for c in found] == [
        (0, 3, 3, 3),
        (1, 2, 2, 2),
        (2, 1, 1, 1),
    ]


def test_many_steps_share_columns_and_none_is_lost():
    found = curve.columns(steps(*range(1000)), 7)
    assert len(found) == 7
    assert found[0].low == 0
    assert found[-1].high == 999
    assert all(a.high + 1 == b.low for a, b in pairwise(found))
    assert all(c.low < c.mean < c.high for c in found)


def test_losses_that_are_not_finite_are_left_out_of_their_column():
    (column,) = curve.columns(steps(1, math.nan, 3, math.inf), 1)
    assert (column.low, column.mean, column.high) == (1, 2, 3)


def test_large_losses_do_not_overflow():
    (column,) = curve.columns(steps(1.7e308, 1.7e308), 1)
    assert column.mean == pytest.approx(1.7e308)


def test_columns_without_a_loss_part_the_line():
    found = curve.columns(steps(1, 2, math.nan, 3, math.nan), 5)
    assert [[c.mean for c in run] for run in curve.known_runs(found)] == [[1, 2], [3]]
    assert curve.known_runs(curve.columns(steps(math.nan), 1)) == []
    assert curve.columns([], 5) == []


def test_the_first_loss_that_is_not_finite_is_told():
    run = Metrics("m", steps=tuple(steps(1, math.inf, math.nan)))
    assert curve.first_nonfinite(run) == "The loss is inf first in step 1, epoch 1."
    run = Metrics("m", epochs=(Epoch(None, 4, math.nan),))
    assert curve.first_nonfinite(run) == "The loss is nan first in epoch 4."
    assert curve.first_nonfinite(Metrics("m", steps=tuple(steps(1)))) == ""


def test_the_run_spans_its_steps_or_else_its_epochs():
    epochs = (Epoch(None, 1, 0.5), Epoch(None, 5, 0.4))
    assert curve.span(Metrics("m", steps=tuple(steps(1, 2, 3)), epochs=epochs)) == (0, 2)
    assert curve.span(Metrics("m", epochs=epochs)) == (1, 5)
    assert curve.place_of(epochs[1]) == 5
    assert curve.place_of(Epoch(99, 1, 0.5)) == 99


@pytest.mark.parametrize(
    ("count", "every", "words"),
    [
        (0, 1, "means of epochs"),
        (10, 1, "every step"),
        (10, 100, "every 100th step"),
        (94, 100, "means of 3, every 100th step"),
        (9380, 1, "means of 94 steps"),
    ],
)
def test_what_a_column_stands_for_is_said(count: int, every: int, words: str):
    run = Metrics("m", steps=tuple(Step(n * every, 1, n * every, 1.0) for n in range(count)))
    assert curve.in_words(run, 100) == words


def test_steps_without_a_rhythm_are_said_to_be_some():
    run = Metrics("m", steps=tuple(Step(at, 1, at, 1.0) for at in (0, 1, 5)))
    assert curve.in_words(run, 100) == "every written step"


def test_noisy_batches_are_gathered_where_there_are_enough():
    assert len(curve.columns(steps(*range(32)), 1000)) == 32
    assert len(curve.columns(steps(*range(94)), 1000)) == 32
    assert len(curve.columns(steps(*range(800)), 1000)) == 100
