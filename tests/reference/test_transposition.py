"""Matrices that are stored the other way round: the same numbers, elsewhere in memory."""

from __future__ import annotations

import numpy as np
import pytest

from nndbg.reference import FLOAT32, KINDS
from nndbg.reference.fusion import fuse
from nndbg.reference.transposition import TranspositionError, transpose

random = np.random.default_rng(3)
X = random.standard_normal((2, 3)).astype(np.float32)
GRAD = random.standard_normal((2, 4)).astype(np.float32)
W = random.standard_normal((3, 4)).astype(np.float32)
B = random.standard_normal(4).astype(np.float32)
DW = random.standard_normal((3, 4)).astype(np.float32)


def test_a_layer_takes_its_weights_with_the_axes_that_they_have_in_memory():
    dense = transpose(KINDS["dense"], {"W"}, ())
    plain = KINDS["dense"].compute({"x": X, "W": W, "b": B}, FLOAT32, {"accumulators": 0})["z"]
    turned = dense.compute({"x": X, "W": W.T, "b": B}, FLOAT32, {"accumulators": 0})["z"]
    assert " ".join(map(str, dense.inputs)) == "x[n,i] W[o,i] b[o]"
    assert np.array_equal(turned.value, plain.value)
    assert np.array_equal(turned.error, plain.error)


def test_a_gradient_is_read_and_given_the_other_way_round():
    kind = KINDS["dense_grad_weight_accumulate"]
    parts = {"x": X, "grad": GRAD, "dW": DW}
    plain = kind.compute(parts, FLOAT32, {"accumulators": 0})["dW"]
    turned = transpose(kind, {"dW"}, {"dW"})
    found = turned.compute({**parts, "dW": DW.T}, FLOAT32, {"accumulators": 0})["dW"]
    assert [part.axes for part in turned.outputs] == [("o", "i")]
    assert np.array_equal(found.value, plain.value.T)


def test_of_an_update_each_part_may_be_stored_in_its_own_way():
    kind = transpose(KINDS["sgd"], {"grad"}, ())
    assert [part.axes for part in kind.inputs] == [("row", "column"), ("column", "row"), ()]
    lr = np.asarray(0.5, np.float32)
    plain = KINDS["sgd"].compute({"param": W, "grad": DW, "lr": lr}, FLOAT32, {})["param"]
    found = kind.compute({"param": W, "grad": DW.T, "lr": lr}, FLOAT32, {})["param"]
    assert np.array_equal(found.value, plain.value)


def test_a_fused_op_takes_them_too():
    kind = transpose(fuse([KINDS["dense_grad_input"], KINDS["relu_grad"]]), {"W"}, ())
    found = kind.compute({"grad": GRAD, "W": W.T, "z": X}, FLOAT32, {"accumulators": 0})["dz"]
    assert np.allclose(found.value, np.where(X > 0, GRAD @ W.T, 0), atol=1e-6)


@pytest.mark.parametrize("name", ["he_uniform", "glorot_uniform"])
def test_what_is_drawn_is_drawn_in_the_order_of_memory(name: str):
    state = np.asarray(7, np.uint64)
    plain = KINDS[name].compute({"W": W, "state": state}, FLOAT32, {})
    turned = transpose(KINDS[name], {"W"}, {"W"}).compute({"W": W.T, "state": state}, FLOAT32, {})
    assert turned["W"].shape == (4, 3)
    # As many inputs and outputs, so the limits are the same; and so are the draws.
    assert np.array_equal(turned["W"].value.ravel(), plain["W"].value.ravel())
    assert np.array_equal(turned["W"].error.ravel(), plain["W"].error.ravel())
    assert turned["state"].integers == plain["state"].integers


def test_integers_stay_what_they_are():
    kind = transpose(KINDS["fill"], {"out"}, {"out"})
    found = kind.compute({"out": np.ones((2, 3), np.int32)}, FLOAT32, {"value": 7})["out"]
    assert found.integers is not None
    assert found.integers.tolist() == [[7, 7, 7], [7, 7, 7]]


@pytest.mark.parametrize(("name", "part"), [("dense", "b"), ("gather", "table")])
def test_what_is_no_matrix_has_no_transpose(name: str, part: str):
    with pytest.raises(TranspositionError, match="is no matrix"):
        transpose(KINDS[name], {part}, ())
