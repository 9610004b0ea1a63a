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
    # W and b are read on past their ends: zeros lie there, and b behind W.
    as_w = np.concatenate([W.reshape(-1), np.zeros(24), B, np.zeros(6)]).reshape(20, 12)
    made = X[:10] @ as_w + np.concatenate([B, np.zeros(2)])
    told = Z.first(made.reshape(12, 10), shapes=SHAPES)
    assert told[0] == "dimensions_swapped"
    assert "batch (12) and out (10) are in each other's place" in told[1]


def test_a_result_that_would_be_longer_is_looked_for_behind_the_buffer():
    """11 outputs of each row look like 10 of a longer row, but for what lies behind them."""
    as_w = np.concatenate([W.reshape(-1), np.zeros(20)]).reshape(20, 11)
    made = (X @ as_w + np.concatenate([B, np.zeros(1)])).astype(np.float32).reshape(-1)
    wrong = made[:120].reshape(12, 10)
    assert Z.first(wrong, shapes=SHAPES)[0] != "wrong_size"
    evidence = Z.evidence(wrong)
    after = bytearray(evidence.after[0x1000])
    at = evidence.addresses["z"] - 0x1000
    after[at : at + made.nbytes] = made.tobytes()
    told = Z.first(wrong, shapes=SHAPES, after={0x1000: memoryview(bytes(after))})
    assert told == ("wrong_size", "op takes 11 (one too many) for out (10)")


def test_a_size_that_nobody_would_write_is_not_named():
    assert Z.first(called(12, 17, 10), shapes=SHAPES) == ("", "")
