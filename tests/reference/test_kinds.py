"""How a kind is declared: its signature, its parameters, what its operands become."""

from __future__ import annotations

import numpy as np
import pytest

from nndbg.reference import FLOAT32, KINDS, Bounded
from nndbg.reference.kinds import kind, operand


@pytest.fixture
def declared():
    """A kind of two outputs that exists for one test."""

    @kind("a[n,k] t[n] -> twice[n,k] label[n]")
    def doubled(a: Bounded, t: np.ndarray, *, fmt, power: float = 1) -> tuple[Bounded, Bounded]:
        del fmt
        return Bounded(a.value * 2**power, a.error), Bounded(t.astype(float), np.zeros(t.shape))

    yield KINDS["doubled"]
    del KINDS["doubled"]


def test_a_signature_becomes_parts_and_axes(declared):
    assert [str(p) for p in declared.inputs] == ["a[n,k]", "t[n]"]
    assert [str(p) for p in declared.outputs] == ["twice[n,k]", "label[n]"]
    assert declared.inputs[0].axes == ("n", "k")


def test_parameters_come_with_their_defaults(declared):
    assert dict(declared.parameters) == {"power": 1}


def test_several_outputs_go_by_their_names(declared):
    a, t = np.float32([[1, 2]]), np.uint8([7])
    results = declared.compute({"a": a, "t": t}, FLOAT32, {"power": 2})
    assert results["twice"].value.tolist() == [[4, 8]]
    assert results["label"].value.tolist() == [7]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_point_operands_become_exact_numbers(dtype):
    taken = operand(np.array([1.5], dtype), FLOAT32)
    assert isinstance(taken, Bounded)
    assert (taken.value.tolist(), taken.error.tolist()) == ([1.5], [0.0])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.uint32])
def test_integer_operands_stay_as_they_are(dtype):
    given = np.array([1], dtype)
    assert operand(given, FLOAT32) is given


def test_bounded_operands_stay_as_they_are():
    given = Bounded(np.zeros(2), np.ones(2))
    assert operand(given, FLOAT32) is given


def test_every_kind_is_named_for_its_function():
    assert all(name == k.name == k.function.__name__ for name, k in KINDS.items())
