"""The reference that goes on from its own outputs: what it takes, what it keeps, what it admits."""

from __future__ import annotations

import numpy as np
import pytest

from nndbg.chain import Chain, evaluate, format_of
from nndbg.layermap import parse_map
from nndbg.reference import FLOAT32, Bounded


@pytest.fixture
def layer_map(fake):
    return fake([]).layer_map


def bounded(value: object, error: object) -> Bounded:
    return Bounded(np.asarray(value, np.float64), np.asarray(error, np.float64))


def test_it_begins_with_the_program_s_numbers_and_goes_on_with_its_own(layer_map):
    chain, relu = Chain(layer_map), layer_map.op("relu")
    z = np.array([[1.0, -2.0]], np.float32)
    assert chain.operands(relu, {"z": z})["z"] is z
    chain.keep({"z": bounded([[3.0, -4.0]], [[0.5, 0.5]])})
    made = chain.follow(relu, {"z": z})["h"]
    assert (made.value.tolist(), made.error.tolist()) == ([[3.0, 0.0]], [[0.5, 0.5]])
    assert chain.get("h") is made


def test_a_buffer_of_another_shape_is_another_array(layer_map):
    chain = Chain(layer_map)
    chain.keep({"z": bounded([[3.0, -4.0]], [[0.0, 0.0]])})
    two_rows = np.ones((2, 2), np.float32)
    assert chain.operands(layer_map.op("relu"), {"z": two_rows})["z"] is two_rows


def test_integers_are_always_the_program_s(layer_map):
    chain = Chain(layer_map)
    chain.keep({"index": Bounded(np.zeros(2), np.zeros(2), np.zeros(2, np.uint8))})
    assert chain.get("index") is None


def test_where_one_element_is_unknown_every_output_is(layer_map):
    # Inf times zero is no number, and would be taken for an error of zero.
    unknown = bounded([[1.0, 1.0]], [[np.inf, 0.0]])
    operands = {"grad": unknown, "W": np.zeros((3, 2), np.float32)}
    made = evaluate(layer_map.op("dx"), operands, FLOAT32)["dx"]
    assert np.isinf(made.error).all()
    assert made.value.tolist() == [[0.0, 0.0, 0.0]]


def test_an_op_computes_in_the_format_of_its_outputs(fake):
    text = fake([]).text.replace('h  = { dtype = "f32"', 'h  = { dtype = "f64"')
    layer_map = parse_map(text, "small.toml")
    relu, dense = layer_map.op("relu"), layer_map.op("dense")
    assert relu is not None
    assert dense is not None
    assert format_of(layer_map, relu).name == "float64"
    assert format_of(layer_map, dense).name == "float32"
