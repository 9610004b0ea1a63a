"""Every rounding of a function is disturbed, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nndbg.own.noise import Noise, is_noisy
from nndbg.reference import FLOAT32

U = FLOAT32.unit
A = np.arange(1.0, 13.0).reshape(3, 4)

ROUNDED: dict[str, Callable[[Any], Any]] = {
    "a sum": lambda a: a + 1,
    "a constant that the format does not hold": lambda a: np.maximum(a, 0.1) * 1.5,
    "a matrix product": lambda a: a @ a.T,
    "a product from the left": lambda a: np.ones((2, 3)) @ a,
    "einsum": lambda a: np.einsum("ij,kj->ik", a, a),
    "dot": lambda a: a.dot(a.T),
    "np.outer": lambda a: np.outer(a[0], a[1]),
    "tensordot": lambda a: np.tensordot(a, a, axes=([1], [1])),
    "a sum over an axis": lambda a: a.sum(axis=0, keepdims=True),
    "a mean": lambda a: a.mean(axis=1),
    "a function": np.exp,
    "an element": lambda a: a[1, 2] * a[0, 0],
    "in place": lambda a: np.multiply(a, a, out=a),
    "of a concatenation": lambda a: np.concatenate([a, a]) / 3,
    "of what is chosen": lambda a: np.where(a > 3, a, 0) + 1,
}
EXACT: dict[str, Callable[[Any], Any]] = {
    "a maximum": lambda a: np.maximum(a, 5),
    "a clip": lambda a: np.clip(a, 2, 7),
    "an infinity": lambda a: np.where(a > 0, -np.inf, a) - a,
    "a transpose": lambda a: a.T.reshape(2, 6),
    "a choice": lambda a: np.where(a > 4, -a, a),
    "the largest": lambda a: a.max(axis=1),
    "an integer": lambda a: a.argmax(axis=1),
}


def runs(function: Callable[[Any], Any]) -> tuple[np.ndarray, list[np.ndarray]]:
    found = [function(Noise(seed, FLOAT32).array(A)) for seed in range(4)]
    for run in found:
        assert is_noisy(run) or np.asarray(run).dtype.kind != "f"
    return np.asarray(function(A.copy())), [np.asarray(run) for run in found]


@pytest.mark.parametrize("name", ROUNDED)
def test_what_rounds_is_disturbed_everywhere_and_by_little(name: str):
    value, found = runs(ROUNDED[name])
    for run in found:
        apart = np.abs(run - value) / np.abs(value)
        assert run.shape == value.shape
        if name != "a constant that the format does not hold":
            assert (apart > 0).all()
        assert apart.max() > 0.1 * U
        assert apart.max() < 40 * U


@pytest.mark.parametrize("name", EXACT)
def test_what_rounds_nothing_is_left_alone(name: str):
    value, found = runs(EXACT[name])
    for run in found:
        assert np.array_equal(run, value)


@pytest.mark.parametrize("function", [lambda a: np.linalg.inv(a[:, :3] + np.eye(3)), np.cumsum])
def test_what_is_not_seen_is_told_by_a_plain_array(function):
    assert not is_noisy(function(Noise(0, FLOAT32).array(A)))
