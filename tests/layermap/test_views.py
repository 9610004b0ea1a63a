"""Parts of buffers, matrices the other way round, and the hints where shapes do not fit."""

from __future__ import annotations

import pytest

from nndbg.errors import MapError
from nndbg.layermap import LayerMap, parse_map

MAP = """\
[program]
name = "net"
step = "enter:step"

[sizes]
n = { symbol = "rows", max = 8 }

[buffers]
x  = { dtype = "f32", shape = ["n", 3] }
W  = { dtype = "f32", shape = [2, 4, 3] }
Wa = { view = "W[0]" }
Wb = { view = "W[1]" }
w  = { view = "W[1,2]" }
q  = { view = "W", shape = [8], dtype = "f64" }
b  = { dtype = "f32", shape = [4] }
z  = { dtype = "f32", shape = ["n", 4] }
dW = { dtype = "f32", shape = [4, 3] }

[[ops]]
name = "dense"
kind = "dense"
in   = { x = "x", W = "Wb.T", b = "b" }
out  = "z"
done = "enter:done"

[[ops]]
name = "grad"
kind = "dense_grad_weight_accumulate"
in   = { x = "x", grad = "z" }
out  = "dW.T"
done = "enter:done"

[[ops]]
name = "clear"
kind = "fill"
out  = "dW"
done = "enter:done"
"""


def parse(old: str = "", new: str = "") -> LayerMap:
    assert old in MAP
    return parse_map(MAP.replace(old, new) if old else MAP, "net.toml")


def test_a_part_has_the_shape_of_what_its_indices_leave():
    buffers = parse().buffers
    assert (buffers["Wb"].shape, buffers["Wb"].view) == ((4, 3), ("W", 48))
    assert (buffers["w"].shape, buffers["w"].view) == ((3,), ("W", 72))
    assert (buffers["q"].shape, buffers["q"].dtype, buffers["q"].view) == ((8,), "f64", ("W", 0))
    assert buffers["Wb"].symbol == "W"


def test_what_shares_numbers_is_kin():
    kin = parse().kin
    assert kin["W"] == {"Wa", "Wb", "w", "q"}
    assert kin["Wa"] == {"W", "q"}
    assert kin["w"] == {"W", "Wb"}
    assert kin["x"] == frozenset()


def test_who_updates_the_whole_hands_its_parts_on():
    layer_map = parse('out  = "dW"', 'out  = "W"')
    assert {"Wb", "W", "w"} <= layer_map.carried(layer_map.ops)


def test_a_transposed_operand_has_the_axes_that_it_has_in_memory():
    dense, grad, _ = parse().ops
    assert str(dense.kind.inputs[1]) == "W[o,i]"
    assert dense.inputs["W"] == "Wb"
    assert str(grad.kind.outputs[0]) == "dW[o,i]"


def test_a_part_that_is_also_the_output_need_not_be_named_as_an_input():
    _, grad, clear = parse().ops
    assert grad.inputs["dW"] == "dW"
    assert grad.kind.inputs[2].is_turned
    assert (dict(clear.inputs), clear.reads) == ({"out": "dW"}, frozenset())


REFUSED = {
    "a part of nothing": ('"W[0]"', '"V[0]"', "a part of 'V', which is no buffer. Known: "),
    "a part of a part": ('"W[0]"', '"Wb[0]"', "which is one itself: name the whole"),
    "a part that is not there": ('"W[1]"', '"W[2]"', "W has no element 2 on an axis of 2"),
    "too many indices": ('"W[1,2]"', '"W[1,2,0,0]"', "W has 3 axes, and 4 indices are given"),
    "no part": ('"W[0]"', '"W[a]"', "'W[a]' is no part of a buffer"),
    "a part that is too long": ("shape = [8]", "shape = [13]", "it ends 104 bytes behind"),
    "a part with a place of its own": (
        '"W[0]" }',
        '"W[0]", constant = true }',
        "unknown key 'constant'",
    ),
    "a matrix the other way round": (
        '"Wb.T"',
        '"Wb"',
        'They would fit with "Wb.T", if Wb is stored so',
    ),
    "a matrix that is not": ('"dW.T"', '"dW"', 'They would fit with "dW.T", if dW is stored so'),
    "a matrix of which the map is wrong": (
        'dW = { dtype = "f32", shape = [4, 3] }',
        'dW = { dtype = "f32", shape = [3, 4] }',
        'They would fit with "dW", if dW is stored so',
    ),
    "a vector the other way round": ('b = "b"', 'b = "b.T"', "b[o] is no matrix"),
    "shapes that never fit": ('"Wb.T"', '"w"', "w has [3], 1 axis, where W[i,o] is wanted."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_with_a_cure(case: str):
    old, new, says = REFUSED[case]
    with pytest.raises(MapError) as error:
        parse(old, new)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
