"""Tiles, rows of a softmax, means of a batch, and what is only nearly right."""

import numpy as np
import pytest

from .scene import F, Scene, dense, numbers

Z = dense(12, 20, 16)
LOGITS = numbers(9, 10) * 3
POWERS = np.exp(LOGITS.astype(np.float64) - LOGITS.max(axis=1, keepdims=True))
OLD = np.random.default_rng(4).dirichlet(np.ones(10), 9).astype(F)
SOFTMAX = Scene("softmax", {"z": LOGITS}, names={"z": "z3", "p": "p"}, before=OLD)


def test_a_tile_that_goes_on_from_the_one_before_is_told():
    wrong = Z.right.copy()
    for first in range(4, 16, 4):
        wrong[:, first : first + 4] += wrong[:, first - 4 : first]
    told = Z.first(wrong)
    assert told[0] == "accumulator_not_cleared"
    assert "the sum 4 columns before is added" in told[1]
    wrong[:, 4:8] += F(0.01)
    assert Z.told(wrong)[0].explains < Z.told(wrong)[0].of


def test_a_sum_of_rows_that_is_not_cleared_is_told():
    going_on = POWERS / np.cumsum(POWERS.sum(axis=1))[:, None]
    assert SOFTMAX.first(going_on)[0] == "accumulator_not_cleared"


def test_a_sum_over_whole_vectors_is_told():
    behind = np.concatenate([OLD.reshape(-1), np.zeros(16)])
    extra = np.array([behind[10 * n + 10 : 10 * n + 12].sum() for n in range(9)])
    told = SOFTMAX.first(POWERS / (POWERS.sum(axis=1) + extra)[:, None])
    assert told[0] == "terms_too_many"
    assert "12 numbers instead of 10: 2 of the next row" in told[1]


def test_rows_with_a_factor_each_are_told_where_nothing_else_explains_them():
    factors = np.random.default_rng(6).random((9, 1)) + 1.5
    told = SOFTMAX.first(SOFTMAX.right * factors)
    assert told[0] == "row_scale"
    assert "does not add up to 1" in told[1]
    garbage = np.random.default_rng(6).dirichlet(np.ones(10), 9)
    assert SOFTMAX.told(garbage) == ()


def loss(rows: int = 12) -> Scene:
    inputs = {"z": numbers(rows, 10), "y": np.arange(rows, dtype=np.uint8) % 10}
    return Scene("cross_entropy", inputs, names={"z": "z3", "loss": "loss"})


LOSSES = np.array(
    [
        float(
            Scene(
                "cross_entropy",
                {p: a[n : n + 1] for p, a in loss().inputs.items()},
            ).expected.value
        )
        for n in range(12)
    ]
)


@pytest.mark.parametrize(
    ("total", "says"),
    [
        (LOSSES[-1], "only the last row counts"),
        (LOSSES[0], "only the first row counts"),
        (LOSSES.sum() - LOSSES[5], "row 5 is missing"),
        (LOSSES[:8].sum(), "the last 4 of 12 rows are missing"),
    ],
)
def test_rows_that_a_mean_lacks_are_named(total: float, says: str):
    told = loss().first(np.asarray(total / 12))
    assert told[0] == "terms_missing"
    assert says in told[1]


def test_a_mean_of_something_else_lacks_no_rows():
    assert loss().told(np.asarray((LOSSES[3] + LOSSES[7] * 0.77) / 12)) == ()


def test_what_is_nearly_right_everywhere_is_inaccurate():
    noise = 1 + 1e-3 * np.random.default_rng(7).standard_normal((9, 10))
    told = SOFTMAX.first(SOFTMAX.right * noise)
    assert told[0] == "inaccurate"
    assert "off by up to 0.003 of its value" in told[1] or "0.002" in told[1]
    assert SOFTMAX.told(SOFTMAX.right * (1 + 0.1 * (noise - 1) / 1e-3)) == ()
