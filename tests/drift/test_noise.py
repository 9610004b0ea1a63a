"""Noise is as large as what float32 really does, and is lost where float32 loses it."""

from __future__ import annotations

import numpy as np
import pytest

from nndbg.drift.noise import NoisyRun
from nndbg.layermap import Op, parse_map
from nndbg.reference import FLOAT32

MAP = """\
[program]
name = "one"
step = "enter:step"

[sizes]
n = 40
k = {k}

[buffers]
x  = {{ dtype = "f32", shape = ["n", "k"] }}
W  = {{ dtype = "f32", shape = ["k", 5] }}
b  = {{ dtype = "f32", shape = [5] }}
z  = {{ dtype = "f32", shape = ["n", 5] }}
dW = {{ dtype = "f32", shape = ["k", 5] }}
lr = {{ dtype = "f32", shape = [] }}

[[ops]]
name = "dense"
kind = "dense"
in   = {{ x = "x", W = "W", b = "b" }}
out  = "z"
done = "enter:dense"

[[ops]]
name = "update"
kind = "sgd"
in   = {{ param = "W", grad = "dW", lr = "lr" }}
out  = "W"
done = "enter:update"
"""


def run(k: int, op: str) -> tuple[NoisyRun, Op]:
    layer_map = parse_map(MAP.format(k=k), "one.toml")
    found = layer_map.op(op)
    assert found is not None
    return NoisyRun(layer_map, np.random.default_rng(5)), found


def left_to_right(x: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x W + b with every product and every sum rounded to float32, one term after the other."""
    z = np.broadcast_to(b, (len(x), W.shape[1])).copy()
    for term in range(x.shape[1]):
        z += x[:, term, None] * W[term]
    return z


@pytest.mark.parametrize("k", [1, 8, 64, 784])
@pytest.mark.parametrize("signs", [1, -1])
def test_a_plain_float32_sum_errs_no_more_than_the_noise_and_not_far_less(k: int, signs: int):
    random = np.random.default_rng(k)
    x = random.random((40, k), np.float32)
    W = random.random((k, 5), np.float32) - (0.5 if signs < 0 else 0)
    b = random.random(5, np.float32)
    exact = x.astype(float) @ W.astype(float) + b.astype(float)
    noisy, op = run(k, "dense")
    made = noisy.follow(op, {"x": x, "W": W, "b": b}, FLOAT32)["z"]
    real = np.linalg.norm(left_to_right(x, W, b) - exact)
    drawn = np.linalg.norm(made.value - exact)
    assert real < 1.5 * drawn
    # Terms of both signs err by a random walk's share of that: sqrt(k) less.
    assert drawn < 8 * real * (np.sqrt(k) if signs < 0 else 1)


def test_what_it_makes_are_numbers_of_the_format():
    noisy, op = run(8, "dense")
    random = np.random.default_rng(1)
    x, W, b = (random.random(s, np.float32) for s in ((40, 8), (8, 5), (5,)))
    made = noisy.follow(op, {"x": x, "W": W, "b": b}, FLOAT32)["z"].value
    assert np.array_equal(made, made.astype(np.float32))
    assert not np.array_equal(made, x.astype(float) @ W + b)


def test_an_update_too_small_to_be_stored_is_lost_as_it_is_in_the_program():
    noisy, op = run(8, "update")
    W, lr = np.ones((8, 5), np.float32), np.array(1e-5, np.float32)
    given = {"param": W, "grad": np.full((8, 5), 1e-3, np.float32), "lr": lr}
    for _ in range(100):
        made = noisy.follow(op, noisy.chain.operands(op, given), FLOAT32)["W"]
    assert np.array_equal(made.value, W)


def test_a_sum_that_overflows_has_noise_without_limit():
    noisy, op = run(8, "dense")
    x, W, b = np.full((40, 8), 3e38, np.float32), np.ones((8, 5), np.float32), np.zeros(5)
    made = noisy.follow(op, {"x": x, "W": W, "b": b.astype(np.float32)}, FLOAT32)["z"]
    assert not np.isfinite(made.value).any()
