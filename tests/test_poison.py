"""Poison: what it is made of, where it may be put, and that it keeps its name in arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from nndbg.layermap import LayerMap, parse_map
from nndbg.poison import dead_at_the_beginning, dead_before, marks, numbered, pattern


@pytest.fixture
def small(fake) -> LayerMap:
    return fake([]).layer_map


def poison(number: int, dtype: str, count: int = 3) -> np.ndarray:
    return np.frombuffer(pattern(number, np.dtype(dtype).itemsize) * count, dtype)


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
@pytest.mark.parametrize("number", [0, 1, 77, 4095])
def test_poison_names_its_buffer(dtype: str, number: int):
    array = poison(number, dtype)
    assert np.isnan(array).all()
    found = marks(array)
    assert (found.numbers == number).all()
    assert not found.quiet.any()


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_arithmetic_makes_poison_quiet_and_keeps_its_name(dtype: str):
    with np.errstate(invalid="ignore"):
        computed = poison(9, dtype) * np.array([2.0, -1.0, 0.0], dtype) + np.ones(3, dtype)
    found = marks(computed)
    assert (found.numbers == 9).all()
    assert found.quiet.all()


@pytest.mark.parametrize(("one", "other"), [("<f4", "<f8"), ("<f8", "<f4")])
def test_a_conversion_keeps_the_name(one: str, other: str):
    with np.errstate(invalid="ignore"):
        assert (marks(poison(1234, one).astype(other)).numbers == 1234).all()


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_numbers_and_other_nans_are_no_poison(dtype: str):
    array = np.array([0.0, -0.0, 1.5, np.inf, -np.inf, np.nan, -np.nan, 1e-40], dtype)
    assert (marks(array).numbers == -1).all()
    assert not marks(array).quiet.any()


def test_only_floating_point_buffers_at_symbols_are_poisoned(small: LayerMap):
    names = set(small.buffers) - {"table", "index", "g"}
    assert numbered(small).keys() == names
    assert len(set(numbered(small).values())) == len(names)


def test_what_is_written_before_it_is_read_is_dead_when_the_step_begins(small: LayerMap):
    assert dead_at_the_beginning(small.ops) == {"x", "z", "h", "dz", "dx", "dW"}
    assert "W" not in dead_at_the_beginning(small.ops)


def test_an_output_is_dead_when_its_op_begins(small: LayerMap):
    ops = {op.name: op for op in small.ops}
    assert dead_before(ops["dense"], small.ops, {"load"}) == {"z"}


def test_an_output_that_is_also_an_input_is_not_dead(small: LayerMap):
    ops = {op.name: op for op in small.ops}
    assert dead_before(ops["update"], small.ops, set(ops) - {"update"}) == set()


def test_an_output_that_is_made_is_not_dead(small: LayerMap):
    ops = {op.name: op for op in small.ops}
    assert dead_before(ops["dense"], small.ops, {"load", "dense"}) == set()


def test_an_output_that_an_earlier_op_is_still_to_read_is_not_dead(fake):
    text = (
        fake([])
        .text.replace('in   = { z = "z" }', 'in   = { z = "dx" }')
        .replace('shape = ["n", "i"] }\ndW', 'shape = ["n", "o"] }\ndW')
    )
    text = text[: text.index('[[ops]]\nname = "dx"')] + text[text.index('[[ops]]\nname = "dW"') :]
    text += (
        '[[ops]]\nname = "last"\nkind = "relu"\nin = { z = "h" }\nout = "dx"\ndone = "enter:e"\n'
    )
    ops = parse_map(text, "small.toml").ops
    assert dead_before(ops[-1], ops, {"load", "dense"}) == set()
    assert dead_before(ops[-1], ops, {"load", "dense", "relu"}) == {"dx"}
