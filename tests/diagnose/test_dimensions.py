"""Sizes of a call that are another one's."""

import numpy as np

from .scene import dense

Z = dense(12, 20, 10)
X, W, B = (Z.inputs[part].astype(np.float64) for part in "xWb")


def called(rows: int, inputs: int, outputs: int) -> np.ndarray:
    """What z holds after a call with these sizes, in place of 12, 20 and 10."""

    def laid(array: np.ndarray, *shape: int) -> np.ndarray:
        flat = np.concatenate([array.reshape(-1), np.zeros(16)])
        return flat[: int(np.prod(shape))].reshape(shape)

    made = laid(X, rows, inputs) @ laid(W, inputs, outputs) + laid(B, outputs)
    z = np.zeros(120)
    z[: min(made.size, 120)] = made.reshape(-1)[:120]
    return z.reshape(12, 10)


SHAPES = {"x": ("batch", "in"), "W": ("in", "out"), "b": ("out",)}


def test_a_size_that_is_another_is_named_with_both():
    told = Z.first(called(12, 10, 10), shapes=SHAPES)
    assert told == ("wrong_size", "op takes 10 (out) for in (20)")
    told = Z.first(called(12, 19, 10), shapes=SHAPES)
    assert told == ("wrong_size", "op takes 19 (one too few) for in (20)")


def test_two_sizes_in_each_other_s_place_are_named():
    # W[20, 10] read as [10, 20] after x as [12, 10], and z stored with rows of 20.
    flat = np.concatenate([B, np.zeros(10)])
    made = X.reshape(-1)[:120].reshape(12, 10) @ W.reshape(10, 20) + flat
    told = Z.first(made.reshape(-1)[:120].reshape(12, 10), shapes=SHAPES)
    assert told[0] == "dimensions_swapped"
    assert "in (20) and out (10) are in each other's place" in told[1]


def test_a_size_that_nobody_would_write_is_not_named():
    assert Z.first(called(12, 17, 10), shapes=SHAPES) == ("", "")
