"""Sums of products: which terms are missing, doubled, exchanged, or too many."""

import numpy as np
import pytest

from .scene import F, Scene, dense, numbers

Z = dense(12, 20, 10)
X, W, B = (Z.inputs[part].astype(np.float64) for part in "xWb")


def but(*terms: int) -> np.ndarray:
    """z without these terms."""
    kept = np.ones(20)
    for k in terms:
        kept[k] -= 1
    return (X * kept) @ W + B


PAIRED = X[:, [*range(5), 6, 5, *range(7, 20)]] @ W + B


@pytest.mark.parametrize(
    ("actual", "kind", "says"),
    [
        (but(19), "term_missing", "the term k=19 is missing"),
        (but(0), "term_missing", "the term k=0 is missing"),
        (2 * but() - but(7), "term_doubled", "the term k=7 is added twice"),
        (but(7, 7), "term_sign", "the term k=7 is subtracted"),
        (but(*range(16, 20)), "terms_missing", "k=16 to 19, are missing: the tail, 20 mod 16"),
        (but(18, 19), "terms_missing", "the last 2 terms, k=18 to 19"),
        (but(0, 1, 2), "terms_missing", "the first 3 terms, k=0 to 2"),
        (but(*range(4, 8)), "terms_missing", "k=4 to 7 are missing: a block of 4"),
        (2 * but() - but(*range(8, 16)), "terms_doubled", "k=8 to 15 are added twice"),
        (but(*range(1, 20, 4)), "terms_missing", "every 4th term from k=1 on is missing"),
        (but(*range(1, 20, 2)), "terms_missing", "every second term from k=1 on is missing"),
        (PAIRED, "terms_exchanged", "k=5 and k=6 of x and W"),
        (X @ W, "bias_missing", "leaves out b"),
        (X @ W + 2 * B, "scale", "b is taken 2 times"),
    ],
)
def test_the_terms_are_named(actual: np.ndarray, kind: str, says: str):
    told = Z.first(actual)
    assert told[0] == kind
    assert says in told[1]


@pytest.mark.parametrize(
    "actual",
    [
        0.5 * but(19) + 0.5 * but(),
        but(19) + 1e-3,
        but(3, 8, 17),
        X @ W + 0.9371 * np.roll(B, 3),
    ],
    ids=["half a term", "a term and an offset", "terms without an order", "another bias"],
)
def test_terms_that_are_not_missing_are_not_named(actual: np.ndarray):
    kinds = [d.kind for d in Z.told(actual)]
    assert not [k for k in kinds if k.startswith("term")], kinds
    assert "bias_missing" not in kinds


def test_a_gradient_sums_over_the_samples():
    x, grad = numbers(9, 12, seed=1), numbers(9, 7, seed=2)
    scene = Scene("dense_grad_weight", {"x": x, "grad": grad})
    assert scene.first(x[:-1].T @ grad[:-1]) == ("term_missing", "the term n=8 is missing")
    assert scene.first(x[:8].T @ grad[:8] + x[:1].T @ grad[:1])[0] != "term_missing"


def test_the_gradient_of_a_bias_is_a_sum_too():
    grad = numbers(37, 10)
    scene = Scene("dense_grad_bias", {"grad": grad})
    told = scene.first(grad[:32].sum(axis=0))
    assert told[0] == "terms_missing"
    assert "n=32 to 36, are missing: the tail, 37 mod 16" in told[1] or "37 mod 8" in told[1]


def test_an_update_that_makes_its_gradient_takes_the_rate_into_account():
    inputs = {
        "x": numbers(9, 12, seed=1),
        "grad": numbers(9, 7, seed=2),
        "param": numbers(12, 7, seed=3),
        "lr": np.asarray(F(0.1)),
    }
    scene = Scene("dense_grad_weight_sgd", inputs, names={"param": "W"})
    part = inputs["x"][1:].T @ inputs["grad"][1:]
    told = scene.first(inputs["param"] - F(0.1) * part)
    assert told == ("term_missing", "the term n=0 is missing")


def test_a_sum_that_runs_past_the_end_of_its_rows_is_told():
    grad, weights = numbers(9, 10, seed=1), numbers(12, 10, seed=2)
    scene = Scene("dense_grad_input", {"grad": grad, "W": weights})
    wide = np.zeros((9, 12)), np.zeros((12, 12))
    for rows, array in zip(wide, (grad, weights), strict=True):
        flat = np.concatenate([array.reshape(-1), np.zeros(2)])
        for n, row in enumerate(rows):
            row[:] = flat[10 * n : 10 * n + 12]
    told = scene.first(wide[0] @ wide[1].T)
    assert told[0] == "terms_too_many"
    assert "12 terms instead of 10: 2 past the end of grad and W" in told[1]
    assert scene.first(wide[0] @ wide[1].T + 0.01)[0] != "terms_too_many"
