"""Estimates that sound programs stay within, whatever their order, and that wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nndbg.own.sampling import Operand, ResultError, sample
from nndbg.reference import FLOAT32, FLOAT64

NAMES = ("h", "p", "dW")
Array = np.ndarray
Sum = Callable[[Array], Array]


def step(x: Any, W: Any, V: Any, y: Any) -> dict[str, Any]:
    """A hidden layer, softmax, and the gradient of the first weights."""
    h = np.maximum(x @ W, 0)
    z = h @ V
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    d = (p - np.eye(p.shape[1])[y]) / len(x)
    return {"h": h, "p": p, "dW": x.T @ ((d @ V.T) * (h > 0))}


class Tensor:
    """What PyTorch's tensors have: no arithmetic that NumPy sees, and a way back."""

    def __init__(self, array: Array) -> None:
        self.array = np.asarray(array).view(np.ndarray)

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> Array:
        return self.array


def as_tensors(x: Any, W: Any, V: Any, y: Any) -> dict[str, Any]:
    """The same, computed where no arithmetic is seen."""
    plain = [Tensor(a).array for a in (x, W, V)]
    return {name: Tensor(array) for name, array in step(*plain, y).items()}


def forwards(terms: Array) -> Array:
    total = np.zeros(terms.shape[:-1], terms.dtype)
    for k in range(terms.shape[-1]):
        total = total + terms[..., k]
    return total


def backwards(terms: Array) -> Array:
    return forwards(terms[..., ::-1])


def in_lanes(terms: Array) -> Array:
    return forwards(np.stack([forwards(terms[..., k::8]) for k in range(8)], axis=-1))


def program(add: Sum, x: Array, W: Array, V: Array, y: Array, fault: str = "") -> dict[str, Array]:
    """The step in the arrays' own format, as a program may do it: no maximum, sums in any order."""

    def product(a: Array, b: Array) -> Array:
        return add(a[:, None, :] * b.T[None, :, :])

    z1 = product(x, W)
    if fault == "a term is missing":
        z1[:, -1] -= x[:, 3] * W[3, -1]
    h = np.maximum(z1, 0)
    e = np.exp(product(h, V))
    p = e / add(e)[:, None]
    if fault == "not normalised":
        p = p * np.float32(1.00002)
    d = (p - np.eye(p.shape[1], dtype=x.dtype)[y]) / x.dtype.type(len(x))
    through = h if fault == "the derivative is another" else h > 0
    return {"h": h, "p": p, "dW": product(x.T.copy(), product(d, V.T) * through)}


def drawn(seed: int, dtype: type = np.float32) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    x = random.random((16, 96)) * (random.random((16, 96)) < 0.4)
    return {
        "x": x.astype(dtype),
        "W": random.normal(0, 0.15, (96, 24)).astype(dtype),
        "V": random.normal(0, 0.3, (24, 5)).astype(dtype),
        "y": random.integers(0, 5, 16),
    }


def shares(function: Any, seed: int, add: Sum, fault: str = "") -> dict[str, float]:
    dtype = np.float64 if add is in_lanes and seed else np.float32
    arrays = drawn(seed, dtype)
    fmt = FLOAT64 if dtype is np.float64 else FLOAT32
    expected = sample(function, {n: Operand(a) for n, a in arrays.items()}, {}, NAMES, fmt)
    actual = program(add, **arrays, fault=fault)
    return {
        name: float(np.max(np.abs(actual[name] - e.value) / e.error))
        for name, e in expected.items()
    }


@pytest.mark.parametrize("function", [step, as_tensors])
@pytest.mark.parametrize("add", [forwards, backwards, in_lanes])
def test_a_sound_program_stays_within_the_estimate_in_any_order(function: Any, add: Sum):
    for seed in range(3):
        assert max(shares(function, seed, add).values()) < 0.5


@pytest.mark.parametrize("function", [step, as_tensors])
@pytest.mark.parametrize(
    ("fault", "first"),
    [
        ("a term is missing", "h"),
        ("not normalised", "p"),
        ("the derivative is another", "dW"),
    ],
)
def test_a_wrong_program_does_not(function: Any, fault: str, first: str):
    found = shares(function, 0, forwards, fault)
    assert found[first] > 1
    assert all(found[name] < 0.5 for name in NAMES[: NAMES.index(first)])


def one(function: Any, *results: str, **arrays: Any) -> Any:
    operands = {name: Operand(np.asarray(array)) for name, array in arrays.items()}
    return sample(function, operands, {}, results or ("out",), FLOAT32)


def test_what_is_copied_is_exact_and_what_is_zero_stays_zero():
    found = one(lambda z: np.maximum(z, 0), z=np.array([-1.0, 2.5], np.float32))["out"]
    assert found.value.tolist() == [0, 2.5]
    assert (found.error == FLOAT32.tiny).all()


def test_integers_are_whole_and_unknown_where_runs_differ():
    z = np.array([[1, 2, 3], [5, 5 + 1e-7, 0]], np.float64)
    found = one(lambda z: (z * 1).argmax(axis=1), z=z)["out"]
    assert found.integers is not None
    assert found.integers[0] == 2
    assert found.error.tolist() == [0, np.inf]


def test_an_operand_that_is_not_known_exactly_moves_the_result():
    operand = Operand(np.array([4.0]), np.array([0.5]))
    found = sample(lambda x: 2 * x, {"x": operand}, {}, ("out",), FLOAT32)
    assert found["out"].error[0] > 1


def test_a_function_that_overflows_in_some_runs_is_unknown_there():
    found = one(lambda z: np.exp(z) + 0, z=np.array([1.0, 88.8], np.float32))["out"]
    assert np.isfinite(found.error[0])
    assert np.isinf(found.error[1])


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda z: None, "returns nothing for out"),
        (lambda z: "three", "a str for out"),
        (lambda z: [[1], [1, 2]], "returns no array for out"),
        (lambda z: (z, z), "returns 2 arrays, and 1 are wanted"),
        (lambda z: {"other": z}, "returns no out: it has other"),
        (lambda z: z * 1j, "of type complex128 for out"),
        (lambda z, seen=[]: seen.append(1) or z + len(seen), "when it is called again"),
    ],
)
def test_what_is_no_reference_is_told(function: Any, says: str):
    with pytest.raises(ResultError, match=says):
        one(function, z=np.ones(3, np.float32))


def test_several_results_come_as_a_dictionary_or_a_tuple_in_order():
    z = np.ones(2, np.float32)
    assert one(lambda z: (z, z + 1), "a", "b", z=z)["b"].value.tolist() == [2, 2]
    with pytest.raises(ResultError, match="a dictionary is wanted with a, b"):
        one(lambda z: z, "a", "b", z=z)
