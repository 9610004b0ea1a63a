"""The fully connected layer: forward and backward, by every way to add."""

from __future__ import annotations

import numpy as np
import pytest

from nndbg.reference import FLOAT32, KINDS, Bounded

from .inputs import DRAWS
from .programs import DOTS, ORDERS, dot_fused, fractions
from .proof import assert_covers

SAMPLES, INPUTS, OUTPUTS = 5, 19, 4

OPERANDS = {
    "dense": {"x": (SAMPLES, INPUTS), "W": (INPUTS, OUTPUTS), "b": (OUTPUTS,)},
    "dense_grad_weight": {"x": (SAMPLES, INPUTS), "grad": (SAMPLES, OUTPUTS)},
    "dense_grad_input": {"grad": (SAMPLES, OUTPUTS), "W": (INPUTS, OUTPUTS)},
}


def factors(kind: str, operands: dict) -> tuple:
    """The two matrices of which the kind is the product, and the bias."""
    match kind:
        case "dense":
            return operands["x"], operands["W"], operands["b"]
        case "dense_grad_weight":
            return operands["x"].T, operands["grad"], None
        case "dense_grad_input":
            return operands["grad"], operands["W"].T, None


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("dot", DOTS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("kind", OPERANDS)
def test_a_layer_computed_in_any_order_is_covered(kind: str, dot, draw):
    random = np.random.default_rng(11)
    operands = {name: draw(random, shape) for name, shape in OPERANDS[kind].items()}
    left, right, bias = factors(kind, operands)
    (output,) = KINDS[kind].outputs
    expected = KINDS[kind].compute(operands, FLOAT32, {})[output.name]
    exact = fractions(left) @ fractions(right)
    assert_covers(
        expected, dot(left, right, bias), exact if bias is None else exact + fractions(bias)
    )


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("order", ORDERS, ids=lambda o: o.__name__)
def test_the_gradient_of_a_bias_is_covered_in_any_order(order, draw):
    grad = draw(np.random.default_rng(12), (64, 3))
    expected = KINDS["dense_grad_bias"].compute({"grad": grad}, FLOAT32, {})["db"]
    assert_covers(expected, order(list(grad)), fractions(grad).sum(axis=0))


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("dot", DOTS, ids=lambda d: d.__name__)
def test_a_gradient_that_updates_at_once_is_covered(dot, draw):
    random = np.random.default_rng(13)
    shapes = {"x": (SAMPLES, INPUTS), "grad": (SAMPLES, OUTPUTS), "param": (INPUTS, OUTPUTS)}
    operands = {name: draw(random, shape) for name, shape in shapes.items()}
    lr = np.float32(0.01)
    kind = KINDS["dense_grad_weight_sgd"]
    expected = kind.compute({**operands, "lr": np.asarray(lr)}, FLOAT32, {})["param"]
    x, grad, param = operands.values()
    exact = fractions(param) - (fractions(x.T) @ fractions(grad)) * fractions(np.asarray(lr))[()]
    assert_covers(expected, param - lr * dot(x.T, grad, None), exact)


ACCUMULATING = {
    "dense_grad_weight_accumulate": {
        "x": (SAMPLES, INPUTS),
        "grad": (SAMPLES, OUTPUTS),
        "dW": (INPUTS, OUTPUTS),
    },
    "dense_grad_input_accumulate": {
        "grad": (SAMPLES, OUTPUTS),
        "W": (INPUTS, OUTPUTS),
        "dx": (SAMPLES, INPUTS),
    },
}


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("dot", DOTS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("kind", ACCUMULATING)
def test_a_gradient_that_is_added_to_what_was_there_is_covered(kind: str, dot, draw):
    random = np.random.default_rng(14)
    operands = {name: draw(random, shape) for name, shape in ACCUMULATING[kind].items()}
    first, second, held = operands.values()
    left, right = (first.T, second) if "weight" in kind else (first, second.T)
    (expected,) = KINDS[kind].compute(operands, FLOAT32, {}).values()
    exact = fractions(left) @ fractions(right) + fractions(held)
    for result in (dot(left, right, held), held + dot(left, right, None)):
        assert_covers(expected, result, exact)


@pytest.mark.parametrize("draw", DRAWS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("order", ORDERS, ids=lambda o: o.__name__)
def test_a_bias_gradient_that_is_added_to_what_was_there_is_covered(order, draw):
    random = np.random.default_rng(15)
    grad, db = draw(random, (64, 3)), draw(random, (3,))
    kind = KINDS["dense_grad_bias_accumulate"]
    expected = kind.compute({"grad": grad, "db": db}, FLOAT32, {})["db"]
    exact = fractions(grad).sum(axis=0) + fractions(db)
    for result in (db + order(list(grad)), order([db, *grad])):
        assert_covers(expected, result, exact)


@pytest.mark.parametrize("kind", [*OPERANDS, *ACCUMULATING])
@pytest.mark.parametrize("lanes", [4, 16])
def test_stated_accumulators_make_a_tighter_bound_that_covers(kind: str, lanes: int):
    random = np.random.default_rng(16)
    long = {SAMPLES: 200, INPUTS: 300, OUTPUTS: 160}
    shapes = {**OPERANDS, **ACCUMULATING}[kind]
    operands = {
        name: random.random([long[extent] for extent in shape], np.float32)
        for name, shape in shapes.items()
    }
    (loose,), (tight,) = (
        KINDS[kind].compute(operands, FLOAT32, {"accumulators": n}).values() for n in (0, lanes)
    )
    assert (tight.error < loose.error / 2).all()
    first, second, *held = operands.values()
    left = first.T if "weight" in kind else first
    right = second.T if "input" in kind else second
    result = dot_fused(lanes)(left[:3], right[:, :2], None)
    exact = fractions(left[:3]) @ fractions(right[:, :2])
    if held:
        part = held[0][:2] if held[0].ndim == 1 else held[0][:3, :2]
        result, exact = result + part, exact + fractions(part)
    assert_covers(Bounded(tight.value[:3, :2], tight.error[:3, :2]), result, exact)


def test_a_layer_of_exact_sums_is_known_to_its_roundings():
    # 0.5 + 0.25 * 2: all exact, so only the roundings of two terms are allowed for.
    x, W, b = np.float32([[0.25]]), np.float32([[2.0]]), np.float32([0.5])
    z = KINDS["dense"].compute({"x": x, "W": W, "b": b}, FLOAT32, {})["z"]
    assert z.value.tolist() == [[1.0]]
    assert 0 < z.error[0, 0] <= 2.001 * 2.0**-24


@pytest.mark.parametrize("fault", ["a term left out", "two columns swapped", "bias left out"])
def test_a_fault_of_one_term_is_far_beyond_the_bound_of_mnist_s_first_layer(fault: str):
    random = np.random.default_rng(4)
    x = (random.integers(0, 256, (64, 784)) / 255).astype(np.float32)
    x[random.random(x.shape) < 0.8] = 0
    W = (random.standard_normal((784, 128)) * 0.05).astype(np.float32)
    b = random.standard_normal(128).astype(np.float32) * np.float32(0.01)
    z = KINDS["dense"].compute({"x": x, "W": W, "b": b}, FLOAT32, {})["z"]
    good = x @ W + b
    assert (np.abs(good - z.value) <= z.error).all()
    bad = good.copy()
    match fault:
        case "a term left out":
            k = int(np.argmax(x[0] != 0))
            bad[0] -= x[0, k] * W[k]
        case "two columns swapped":
            bad[:, [3, 5]] = bad[:, [5, 3]]
        case "bias left out":
            bad -= b
    wrong = np.abs(bad - z.value) > z.error
    touched = bad != good
    assert wrong[touched].mean() > 0.98
    assert not wrong[~touched].any()
