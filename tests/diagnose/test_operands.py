"""What an op reads: another buffer, an old one, another order, another place."""

from dataclasses import replace

import numpy as np
import pytest

from .scene import F, Scene, dense, numbers, sgd

OTHERS = {"b2": numbers(10, seed=11), "W2": numbers(20, 10, seed=12), "h": numbers(12, 20, seed=13)}
Z = dense(12, 20, 10, others=OTHERS)
X, W, B = (Z.inputs[part].astype(np.float64) for part in "xWb")


def offset(array: np.ndarray, by: int) -> np.ndarray:
    flat = np.concatenate([array.reshape(-1), np.zeros(64)])
    return flat[by : by + array.size].reshape(array.shape)


def strided(array: np.ndarray, stride: int, step: int = 1) -> np.ndarray:
    flat = np.concatenate([array.reshape(-1), np.zeros(8 * array.size)])
    rows, columns = array.shape
    at = np.arange(rows)[:, None] * stride + step * np.arange(columns)
    return flat[at]


@pytest.mark.parametrize(
    ("actual", "kind", "says"),
    [
        (X @ W + OTHERS["b2"], "wrong_operand", "op reads b2 where b is meant"),
        (X @ OTHERS["W2"] + B, "wrong_operand", "op reads W2 where W is meant"),
        (OTHERS["h"] @ W + B, "wrong_operand", "op reads h where x is meant"),
        (X @ W.reshape(10, 20).T + B, "transposed", "op reads W transposed, as if it were stored"),
        (X @ W.T.reshape(20, 10) + B, "transposed", "the transpose of W as if it were [20, 10]"),
        (np.repeat(X[:1], 12, 0) @ W + B, "row_repeated", "op uses row 0 of x for all rows"),
        (X @ offset(W, 1) + B, "offset", "op reads W 1 element too late"),
        (X @ offset(W, 10) + B, "offset", "op reads W one row too late"),
        (X @ strided(W, 11) + B, "wrong_stride", "rows of W by 11 elements (one too many)"),
        (strided(X, 20, 2) @ W + B, "wrong_stride", "the elements of x by 2 instead of 1"),
        (np.zeros((12, 10)) + B, "operand_missing", "op leaves out"),
    ],
)
def test_what_was_read_is_told(actual: np.ndarray, kind: str, says: str):
    told = Z.first(actual)
    assert told[0] == kind
    assert says in told[1]


@pytest.mark.parametrize(
    "actual",
    [
        X @ W + 1.01 * OTHERS["b2"],
        X @ OTHERS["W2"].T.reshape(20, 10) + B,
        X @ offset(W, 7) + B,
        X @ strided(W, 13) + B,
        X @ np.roll(W, 3, axis=1) + B,
    ],
)
def test_what_was_nearly_read_is_not_told(actual: np.ndarray):
    assert Z.told(actual) == ()


def test_two_inputs_in_each_other_s_place_are_told():
    x, grad = numbers(9, 12, seed=1), numbers(9, 8, seed=2)
    scene = Scene("dense_grad_weight", {"x": x, "grad": grad})
    # Behind grad lies nothing but zeros.
    as_x = np.concatenate([grad.reshape(-1), np.zeros(36, F)]).reshape(9, 12)
    as_grad = x.reshape(-1)[:72].reshape(9, 8)
    wrong = as_x.T @ as_grad
    assert scene.first(wrong) == ("exchanged", "op takes x and grad in each other's place")
    assert scene.told(wrong + 0.01) == ()


def test_of_two_buffers_with_the_same_numbers_the_one_of_that_role_is_named():
    """Momentum in its first step: the velocity of a layer is its gradient still."""
    grad = numbers(10, seed=6)
    inputs = {
        "param": numbers(10, seed=7),
        "grad": numbers(10, seed=8),
        "velocity": np.zeros(10, F),
        "lr": np.asarray(F(0.1)),
        "momentum": np.asarray(F(0.9)),
    }
    scene = Scene("sgd_momentum", inputs, others={"dbias2": grad, "vb2": grad})
    wrong = inputs["param"] - F(0.1) * (F(0.9) * grad + inputs["grad"])
    roles = {"vb2": frozenset({"sgd_momentum.velocity"}), "dbias2": frozenset({"sgd.grad"})}
    assert scene.first(wrong, roles=roles)[1] == "op reads vb2 where velocity is meant"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"changers": {"W": "update_W"}}, "op reads W after update_W has changed it"),
        ({"makers": {"W": "load_W"}}, "op reads W before load_W has made it"),
        ({}, "op reads W after it was changed"),
    ],
)
def test_an_input_that_the_op_found_otherwise_than_the_map_has_it(more, says: str):
    scene = dense(12, 20, 10)
    found = numbers(20, 10, seed=20)
    evidence = scene.evidence((X @ found + B).astype(F))
    others = {**evidence.others, "W": found}
    told = scene.first(X @ found + B, others=others, **more)
    assert told[0] == "order"
    assert says in told[1]
    assert scene.first(X @ (found + F(0.01)) + B, others=others, **more)[0] != "order"


def test_an_input_of_the_step_before_is_told():
    scene = dense(12, 20, 10)
    old = numbers(12, 20, seed=21)
    stale = {**scene.buffers(), "x": old}
    told = scene.first(old @ W + B, stale=stale)
    assert told == ("stale", "op reads x as it was when the step began, left by the step before")


def test_an_operand_that_is_left_out_is_told_before_what_happens_to_be_zero_too():
    scene = sgd(12, 10, others={"dW_of_nothing": np.zeros((12, 10), F)})
    scene = replace(scene, inputs={**scene.inputs, "param": numbers(12, 10, seed=4)})
    inputs = {**scene.inputs, "velocity": numbers(12, 10, seed=3), "momentum": np.asarray(F(0.9))}
    moving = Scene("sgd_momentum", inputs, others=scene.others)
    wrong = inputs["param"] - F(0.01) * inputs["grad"]
    assert moving.first(wrong) == ("operand_missing", "op leaves out velocity")
