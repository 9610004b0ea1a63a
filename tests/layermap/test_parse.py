"""The text of a map: what it may say, and one line with place and cure for what it may not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from nndbg.errors import ExitCode, MapError
from nndbg.layermap import Boundary, LayerMap, parse_map
from nndbg.layermap.model import DTYPES
from nndbg.reference import KINDS

GOOD = """\
[program]
name = "demo"
step = "probe:nn:step"
counter = "step"
seek = { boundary = "probe:nn:seek", target = "seek_step" }

[sizes]
n = { symbol = "rows", dtype = "i32", max = 8 }
any = { symbol = "count" }
i = 3
o = 2
three = 3

[buffers]
x = { dtype = "f32", shape = ["n", "i"] }
W = { dtype = "f32", shape = ["i", "o"], symbol = "weights" }
b = { dtype = "f32", shape = ["o"] }
z = { dtype = "f32", shape = ["n", "o"] }
y = { dtype = "u8", shape = ["n"] }
loss = { dtype = "f64", shape = [] }
table = { pointer = "table_at", dtype = "u8", shape = ["any", 3], constant = true }

[[ops]]
name = "dense1"
kind = "dense"
in = { x = "x", W = "W", b = "b" }
out = "z"
done = "probe:nn:dense1"

[[ops]]
name = "loss"
kind = "cross_entropy"
in = { z = "z", y = "y" }
out = "loss"
exp_ulps = 2.5
done = "enter:loss_is_complete"
"""


def parse(text: str = GOOD) -> LayerMap:
    return parse_map(text, "demo.toml")


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_a_good_map_becomes_objects():
    layer_map = parse()
    phase = layer_map.phase
    assert (layer_map.origin, layer_map.name, phase.counter) == ("demo.toml", "demo", "step")
    assert phase.step == Boundary("probe:nn:step", "probe", ("nn", "step"))
    assert phase.seek is not None
    assert phase.seek.target == "seek_step"
    assert phase.seek.boundary.target == ("nn", "seek")
    assert [op.name for op in layer_map.ops] == ["dense1", "loss"]
    assert layer_map.ops[0].kind is KINDS["dense"]
    assert dict(layer_map.ops[0].inputs) == {"x": "x", "W": "W", "b": "b"}


def test_an_output_by_its_name_alone_is_the_kind_s_one_output():
    assert dict(parse().ops[0].outputs) == {"z": "z"}
    spelled = parse(GOOD.replace('out = "z"', 'out = { z = "z" }'))
    assert dict(spelled.ops[0].outputs) == {"z": "z"}


def test_an_input_by_its_name_alone_is_the_kind_s_one_input():
    text = GOOD.replace('kind = "dense"', 'kind = "relu"').replace(
        'in = { x = "x", W = "W", b = "b" }', 'in = "z"'
    )
    assert dict(parse(text).ops[0].inputs) == {"z": "z"}


def test_sizes_are_numbers_or_read_from_the_program():
    sizes = parse().sizes
    assert (sizes["i"].largest, sizes["i"].is_fixed) == (3, True)
    n, some = sizes["n"], sizes["any"]
    assert (n.largest, n.is_fixed, n.symbol, n.dtype) == (8, False, "rows", "i32")
    assert (some.largest, some.is_fixed, some.dtype) == (None, False, "i64")


def test_buffers_lie_at_a_symbol_or_where_a_pointer_says():
    buffers = parse().buffers
    assert (buffers["x"].symbol, buffers["x"].is_pointer, buffers["x"].is_constant) == (
        "x",
        False,
        False,
    )
    assert buffers["W"].symbol == "weights"
    assert (buffers["table"].symbol, buffers["table"].is_pointer) == ("table_at", True)
    assert buffers["table"].is_constant
    assert str(buffers["x"]) == "x [n, i] f32"


def test_a_buffer_knows_its_extents_for_given_sizes():
    buffers = parse().buffers
    sizes = {"n": 5, "i": 3, "o": 2, "any": 7}
    assert (buffers["x"].extents(sizes), buffers["x"].elements(sizes)) == ((5, 3), 15)
    assert (buffers["table"].extents(sizes), buffers["table"].elements(sizes)) == ((7, 3), 21)
    assert (buffers["loss"].extents(sizes), buffers["loss"].elements(sizes)) == ((), 1)


def test_parameters_are_stated_or_the_kind_s_own():
    dense, loss = parse().ops
    assert dict(dense.parameters) == {"accumulators": 0}
    assert dict(loss.parameters) == {"exp_ulps": 2.5, "log_ulps": 4}


def test_an_op_is_found_by_its_name():
    layer_map = parse()
    found = layer_map.op("loss")
    assert found is layer_map.ops[1]
    assert layer_map.op("nothing") is None


def test_equal_numbers_are_equal_sizes_whatever_their_names():
    text = GOOD.replace(
        'W = { dtype = "f32", shape = ["i", "o"]', 'W = { dtype = "f32", shape = ["three", 2]'
    )
    assert parse(text).buffers["W"].shape == ("three", 2)


def test_what_came_out_cannot_be_changed():
    layer_map = parse()
    with pytest.raises(TypeError):
        layer_map.sizes["i"] = layer_map.sizes["o"]  # type: ignore[index]


def test_the_bundled_map_is_a_good_one(root: Path):
    layer_map = parse_map((root / "asm" / "mnist.toml").read_text(), "asm/mnist.toml")
    assert layer_map.name == "mnist"
    assert len(layer_map.ops) >= 26


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_is_little_endian_and_as_wide_as_its_name(name: str):
    dtype = DTYPES[name]
    assert dtype.itemsize * 8 == int(name[1:])
    assert {"f": "f", "i": "i", "u": "u"}[name[0]] == dtype.kind
    assert np.dtype(dtype).newbyteorder("<") == dtype


# Phases

TWO_PHASES = GOOD.replace(
    "[sizes]", '[phases.test]\nstep = "probe:nn:test"\ncounter = "tests"\n\n[sizes]'
).replace('kind = "cross_entropy"', 'kind = "cross_entropy"\nphase = "test"')


@pytest.mark.parametrize(
    ("phase", "step", "counter", "ops"),
    [("train", "probe:nn:step", "step", ["dense1"]), ("test", "probe:nn:test", "tests", ["loss"])],
)
def test_a_map_is_seen_by_one_of_its_phases(phase: str, step: str, counter: str, ops: list[str]):
    layer_map = parse_map(TWO_PHASES, "demo.toml", phase)
    assert (layer_map.phase.name, str(layer_map.phase.step)) == (phase, step)
    assert layer_map.phase.counter == counter
    assert [op.name for op in layer_map.ops] == ops
    assert set(layer_map.phases) == {"train", "test"}


def test_a_phase_that_no_map_has_is_refused():
    with pytest.raises(MapError, match=r"no phase 'tset' in this map\. Did you mean 'test'"):
        parse_map(TWO_PHASES, "demo.toml", "tset")


def test_ops_of_two_phases_may_have_one_name():
    both = TWO_PHASES.replace('name = "loss"', 'name = "dense1"')
    assert parse_map(both, "demo.toml", "test").ops[0].kind is KINDS["cross_entropy"]


def test_an_op_may_depend_on_a_variable():
    text = GOOD.replace(
        'kind = "dense"', 'kind = "dense"\nwhen = { symbol = "layer", is = 2, dtype = "u8" }'
    )
    when = parse(text).ops[0].when
    assert when is not None
    assert (when.symbol, when.values, when.dtype) == ("layer", (2,), "u8")
    assert parse().ops[0].when is None


# Boundaries


@pytest.mark.parametrize(
    ("text", "form", "target"),
    [
        ("probe:nn:dense1", "probe", ("nn", "dense1")),
        ("probe:my.app:a_b", "probe", ("my.app", "a_b")),
        ("enter:main", "enter", ("main",)),
        ("enter:layer.loop", "enter", ("layer.loop",)),
        ("enter:_ZN3foo3barEv@@V1", "enter", ("_ZN3foo3barEv@@V1",)),
        ("forward.asm:42", "line", ("forward.asm", 42)),
        ("asm/forward.asm:1", "line", ("asm/forward.asm", 1)),
        ("my file.c:7", "line", ("my file.c", 7)),
        ("*0x401000", "address", (0x401000,)),
        ("*0xFFee", "address", (0xFFEE,)),
    ],
)
def test_a_boundary_has_one_of_four_forms(text: str, form: str, target: tuple):
    layer_map = parse(GOOD.replace("probe:nn:dense1", text))
    assert layer_map.ops[0].done == Boundary(text, form, target)  # type: ignore[arg-type]
    assert str(layer_map.ops[0].done) == text


def test_an_op_may_say_where_it_begins():
    entered = GOOD.replace(
        'done = "probe:nn:dense1"', 'enter = "main.c:7"\ndone = "probe:nn:dense1"'
    )
    assert parse(entered).ops[0].enter == Boundary("main.c:7", "line", ("main.c", 7))
    assert parse(GOOD).ops[0].enter is None


@pytest.mark.parametrize(("value", "found"), [('"here"', "'here' is no boundary"), ("7", "is 7")])
def test_a_beginning_that_is_no_boundary_is_refused(value: str, found: str):
    entered = GOOD.replace('done = "probe:nn:dense1"', f'enter = {value}\ndone = "probe:nn:dense1"')
    line = line_of(GOOD, 'done = "probe:nn:dense1"')
    with pytest.raises(MapError, match=rf"^demo\.toml:{line}: .*{found}"):
        parse(entered)


@pytest.mark.parametrize(
    "text",
    [
        "dense1",
        "probe:nn",
        "probe:nn:",
        "probe::x",
        "probe:nn:a:b",
        "probe:nn:a b",
        "enter:",
        "enter:a b",
        "enter:a;quit",
        "enter:a`b",
        "*401000",
        "*0x",
        "*0xZZ",
        "0x401000",
        "forward.asm:",
        "forward.asm:x",
        ":12",
        "forward.asm:12:3 ",
    ],
)
def test_no_other_form_is_a_boundary(text: str):
    with pytest.raises(MapError) as error:
        parse(GOOD.replace("probe:nn:dense1", text))
    line = line_of(GOOD, 'done = "probe:nn:dense1"')
    assert str(error.value).startswith(f"demo.toml:{line}: {text!r} is no boundary; write ")
    assert "enter:SYMBOL" in str(error.value)


# What is refused: the piece of GOOD, what stands there instead, the piece whose line is named, what
# is said.

REFUSED = {
    # not TOML, or not this TOML
    "not TOML": ('name = "demo"', "name = demo", "name = ", "not TOML: "),
    "an open string": ('name = "demo"', 'name = "demo', "name = ", "not TOML: "),
    "a key twice": ("i = 3\n", "i = 3\ni = 4\n", "i = 4", "not TOML: "),
    "an unknown table": ("[sizes]", "[size]", "[size]", "Did you mean 'sizes'?"),
    "an unknown table, unlike all": (
        "[program]",
        "[zzz]\n[program]",
        "[zzz]",
        "unknown key 'zzz'. Known: buffers, ops, p",
    ),
    # program
    "no name": ('name = "demo"\n', "", "[program]", "`name` is missing; wanted a text in quotes"),
    "a name that is a number": ('name = "demo"', "name = 3", "name = 3", "`name` is 3; wanted"),
    "no step": ('step = "probe:nn:step"\n', "", "[program]", "`step` is missing"),
    "an empty step": ("probe:nn:step", "", 'step = ""', "`step` is ''"),
    "an unknown key of the program": (
        'counter = "step"',
        'countr = "step"',
        "countr",
        "unknown key 'countr'. Did you mean 'counter'?",
    ),
    "a counter with a space": ('counter = "step"', 'counter = "st ep"', "counter", "a symbol"),
    "seek without a counter": ('counter = "step"\n', "", "seek = ", "seek needs `counter`"),
    "seek without a target": (
        ', target = "seek_step"',
        "",
        "seek = ",
        "`target` is missing; wanted a text in quotes",
    ),
    "seek that is a text": (
        '{ boundary = "probe:nn:seek", target = "seek_step" }',
        '"probe:nn:seek"',
        "seek = ",
        "[program.seek] is missing",
    ),
    "an unknown key of seek": (
        'target = "seek_step"',
        'traget = "seek_step"',
        "seek = ",
        "Did you mean 'target'?",
    ),
    "a seek boundary of no form": ("probe:nn:seek", "nn:seek", "seek = ", "is no boundary"),
    # sizes
    "a size of zero": ("i = 3", "i = 0", "i = 0", "size i is 0; a size is at least 1"),
    "a negative size": ("i = 3", "i = -3", "i = -3", "size i is -3; a size is at least 1"),
    "a size that is a fraction": ("i = 3", "i = 3.5", "i = 3.5", "size i must be a number or {"),
    "a size that is true": ("i = 3", "i = true", "i = true", "size i must be a number or {"),
    "a size that is a text": ("i = 3", 'i = "3"', 'i = "3"', "size i must be a number or {"),
    "a size without symbol": (
        'symbol = "count"',
        'dtype = "i64"',
        "any =",
        "`symbol` is missing; wanted a text in quotes",
    ),
    "a size of an unknown dtype": ('"i32"', '"int"', "n =", "dtype 'int' is not one of f32 f64"),
    "a size that is read as float": (
        '"i32"',
        '"f32"',
        "n =",
        "read as f32, and an integer is wanted: i8 i16 i32 i64 u8 u16 u32 u64.",
    ),
    "a max of zero": ("max = 8", "max = 0", "n =", "max of size n must be a number of at least 1"),
    "a max that is a text": ("max = 8", 'max = "8"', "n =", "max of size n must be"),
    "a max that is true": ("max = 8", "max = true", "n =", "max of size n must be"),
    "an unknown key of a size": ("max = 8", "maxx = 8", "n =", "Did you mean 'max'?"),
    "a size with an odd name": ("three = 3", '"th-ree" = 3', '"th-ree"', "letters, digits"),
    # buffers
    "no buffers": ("[buffers]", "[[buffers]]", "[program]", "[buffers] is missing"),
    "a buffer that is a text": (
        'b = { dtype = "f32", shape = ["o"] }',
        'b = "f32"',
        "b = ",
        "buffer b must be a table with dtype and shape",
    ),
    "a buffer of an unknown dtype": (
        'b = { dtype = "f32"',
        'b = { dtype = "float"',
        "b = ",
        "dtype 'float' is not one of f32 f64 i8",
    ),
    "a buffer without dtype": ('b = { dtype = "f32", ', "b = { ", "b = ", "dtype None is not one"),
    "a buffer without shape": (
        'b = { dtype = "f32", shape = ["o"] }',
        'b = { dtype = "f32" }',
        "b = ",
        "buffer b needs shape, a list of sizes: [] for a scalar",
    ),
    "a shape that is a number": (
        'b = { dtype = "f32", shape = ["o"] }',
        'b = { dtype = "f32", shape = 2 }',
        "b = ",
        "buffer b needs shape",
    ),
    "a shape of an unknown size": (
        'b = { dtype = "f32", shape = ["o"] }',
        'b = { dtype = "f32", shape = ["thre"] }',
        "b = ",
        "a size 'thre' that [sizes] does not name. Did you mean 'three'?",
    ),
    "a shape with a zero": (
        'b = { dtype = "f32", shape = ["o"] }',
        'b = { dtype = "f32", shape = [0] }',
        "b = ",
        "buffer b has the axis 0; wanted a size or a number",
    ),
    "a shape with a list": (
        'b = { dtype = "f32", shape = ["o"] }',
        'b = { dtype = "f32", shape = [["o"]] }',
        "b = ",
        "buffer b has the axis ['o']",
    ),
    "a shape with true": (
        'b = { dtype = "f32", shape = ["o"] }',
        'b = { dtype = "f32", shape = [true] }',
        "b = ",
        "buffer b has the axis True",
    ),
    "a buffer at two places": (
        'pointer = "table_at"',
        'pointer = "table_at", symbol = "t"',
        "table =",
        "buffer table has both symbol and pointer; keep one",
    ),
    "a constant that is a text": (
        "constant = true",
        'constant = "yes"',
        "table =",
        "`constant` is 'yes'; wanted true or false",
    ),
    "an unknown key of a buffer": (
        'symbol = "weights"',
        'simbol = "weights"',
        "W = {",
        "unknown key 'simbol'. Did you mean 'symbol'?",
    ),
    "a symbol with a quote": ('symbol = "weights"', "symbol = 'wei\"ghts'", "W = {", "a symbol"),
    # ops
    "an op that is a text": (
        GOOD[GOOD.index("[[ops]]") :],
        "[ops]\nname = 3",
        "[ops]",
        "no [[ops]]: name at least one operation to check",
    ),
    "no op": (
        GOOD[GOOD.index("[[ops]]") :],
        "",
        "[program]",
        "no [[ops]]: name at least one operation to check",
    ),
    "two ops of one name": (
        'name = "loss"',
        'name = "dense1"',
        'name = "dense1"\nkind = "cross',
        "a second op called dense1; names are unique",
    ),
    "an op without a name": (
        'name = "dense1"\n',
        "",
        "[[ops]]",
        "`name` is missing",
    ),
    "an op without a kind": ('kind = "dense"\n', "", "[[ops]]", "`kind` is missing"),
    "an unknown kind": (
        'kind = "dense"',
        'kind = "dens"',
        'kind = "dens"',
        "op dense1 has the unknown kind 'dens'. Did you mean 'dense'?",
    ),
    "an unknown kind, unlike all": (
        'kind = "dense"',
        'kind = "zzzzz"',
        'kind = "zzzzz"',
        "Known: adam, add, argmax, cross_entropy, dense, dense_grad_bias",
    ),
    "an unknown key of an op": (
        'out = "z"',
        'outt = "z"',
        "outt",
        "unknown key 'outt'. Did you mean 'out'?",
    ),
    "a parameter of another kind": (
        'out = "z"',
        'out = "z"\nexp_ulps = 2',
        "exp_ulps = 2",
        "unknown key 'exp_ulps'. Known: ",
    ),
    "a parameter that is true": (
        "exp_ulps = 2.5",
        "exp_ulps = true",
        "exp_ulps",
        "op loss has exp_ulps = True; wanted a number or a fraction in quotes",
    ),
    "a parameter that is no number": ("= 2.5", '= "x"', "exp_ulps", "exp_ulps = 'x'; wanted"),
    "a parameter over zero": ("= 2.5", '= "1/0"', "exp_ulps", "exp_ulps = '1/0'; wanted"),
    "a parameter that is nan": ("= 2.5", "= nan", "exp_ulps", "exp_ulps = nan; wanted"),
    "a parameter that is infinite": ("= 2.5", "= inf", "exp_ulps", "exp_ulps = inf; wanted"),
    "no done": ('done = "probe:nn:dense1"\n', "", "[[ops]]", "`done` is missing"),
    "no in": (
        'in = { x = "x", W = "W", b = "b" }\n',
        "",
        "[[ops]]",
        "op dense1 needs `in`: a buffer for each of x[n,i], W[i,o], b[o]",
    ),
    "no out": ('out = "z"\n', "", "[[ops]]", "op dense1 needs `out`: a buffer for each of z[n,o]"),
    "one name for three inputs": (
        'in = { x = "x", W = "W", b = "b" }',
        'in = "x"',
        'in = "x"',
        "op dense1 needs `in`: a buffer for each of",
    ),
    "an input that is not named": (
        ', b = "b" }',
        " }",
        "in = {",
        "op dense1: `in` must name x[n,i], W[i,o], b[o]; b is missing",
    ),
    "an input too many": (', b = "b" }', ', b = "b", c = "b" }', "in = {", "`in` has no part 'c'"),
    "an input that is no buffer": (
        'x = "x", W',
        'x = "los", W',
        "in = {",
        "op dense1: x is 'los', which is no buffer. Did you mean 'loss'?",
    ),
    "an output that is no buffer": ('out = "z"', 'out = "q"', 'out = "q"', "'q', which is no buf"),
    "an input that is a number": ('x = "x", W', "x = 3, W", "in = {", "x is 3, which is no buffer"),
    "an input that is a list": ('x = "x", W', 'x = ["x"], W', "in = {", "which is no buffer"),
    # phases and conditions
    "a phase that is a text": (
        "[sizes]",
        '[phases]\ntest = "x"\n[sizes]',
        "test = ",
        "phase test must be a table with `step`",
    ),
    "a phase without step": (
        "[sizes]",
        "[phases.test]\n[sizes]",
        "[phases.test]",
        "`step` is miss",
    ),
    "the main phase again": (
        "[sizes]",
        '[phases.train]\nstep = "enter:a"\n[sizes]',
        "[phases.train]",
        "the phase 'train' is the one that [program] describes",
    ),
    "an unknown key of a phase": (
        "[sizes]",
        '[phases.test]\nstepp = "enter:a"\n[sizes]',
        "stepp",
        "unknown key 'stepp'. Did you mean 'step'?",
    ),
    "an op of an unknown phase": (
        'kind = "dense"',
        'kind = "dense"\nphase = "tran"',
        "phase = ",
        "op dense1: no phase 'tran'. Did you mean 'train'?",
    ),
    "an op of a phase that is a list": (
        'kind = "dense"',
        'kind = "dense"\nphase = ["train"]',
        "phase = ",
        "op dense1: no phase",
    ),
    "a condition without its value": (
        'kind = "dense"',
        'kind = "dense"\nwhen = { symbol = "layer" }',
        "when = ",
        "`when` needs `is`, the integer that the symbol must hold",
    ),
    "a condition on true": (
        'kind = "dense"',
        'kind = "dense"\nwhen = { symbol = "layer", is = true }',
        "when = ",
        "`when` needs `is`",
    ),
    "a condition without a symbol": (
        'kind = "dense"',
        'kind = "dense"\nwhen = { is = 1 }',
        "when = ",
        "`symbol` is missing",
    ),
    "a condition that is a float": (
        'kind = "dense"',
        'kind = "dense"\nwhen = { symbol = "layer", is = 1, dtype = "f32" }',
        "when = ",
        "read as f32, and an integer is wanted",
    ),
    "an unknown key of a condition": (
        'kind = "dense"',
        'kind = "dense"\nwhen = { symbl = "layer", is = 1 }',
        "when = ",
        "unknown key 'symbl'. Did you mean 'symbol'?",
    ),
    # shapes
    "shapes that do not multiply": (
        'W = { dtype = "f32", shape = ["i", "o"]',
        'W = { dtype = "f32", shape = ["o", "i"]',
        "[[ops]]",
        "op dense1: x has [n, i] but W has [o, i], and dense is x[n,i] W[i,o] b[o] -> z[n,o]",
    ),
    "a bias of another size": (
        'b = { dtype = "f32", shape = ["o"] }',
        'b = { dtype = "f32", shape = ["i"] }',
        "[[ops]]",
        "op dense1: W has [i, o] but b has [i]",
    ),
    "an output of another size": (
        'z = { dtype = "f32", shape = ["n", "o"] }',
        'z = { dtype = "f32", shape = ["n", "i"] }',
        "[[ops]]",
        "but z has [n, i]",
    ),
    "a batch of fixed size beside one that varies": (
        'z = { dtype = "f32", shape = ["n", "o"] }',
        'z = { dtype = "f32", shape = [8, "o"] }',
        "[[ops]]",
        "op dense1: x has [n, i] but z has [8, o]",
    ),
    "an axis too few": (
        'b = { dtype = "f32", shape = ["o"] }',
        'b = { dtype = "f32", shape = [] }',
        "[[ops]]",
        "op dense1: b has [], 0 axes, where b[o] is wanted",
    ),
    "an axis too many": (
        'b = { dtype = "f32", shape = ["o"] }',
        'b = { dtype = "f32", shape = [1, "o"] }',
        "[[ops]]",
        "op dense1: b has [1, o], 2 axes, where b[o] is wanted",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_meant_is_refused_with_its_line_and_the_cure(case: str):
    old, new, place, says = REFUSED[case]
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    with pytest.raises(MapError) as error:
        parse(text)
    message = str(error.value)
    assert says in message
    assert message.startswith(f"demo.toml:{line_of(text, place)}: "), message
    assert "\n" not in message
    assert message.endswith((".", "?"))
    assert error.value.exit_code == ExitCode.USAGE


ELEMENTWISE = GOOD.replace('kind = "dense"', 'kind = "gather"')


@pytest.mark.parametrize(
    ("table", "out", "fits"),
    [
        ('["any", 3]', '["n", "i"]', True),
        ('["any", 3]', '["n", 3]', True),
        ('["any", 2, 3]', '["n", "o", "i"]', True),
        ('["any"]', '["n"]', True),
        ('["any", 3]', '["n", 4]', False),
        ('["any", 3]', '["n"]', False),
        ('["any", 3]', '["i", 3]', False),
        ("[]", '["n"]', False),
    ],
)
def test_axes_that_a_kind_leaves_open_must_agree_all_the_same(table: str, out: str, fits: bool):
    text = f"""\
[program]
name = "g"
step = "enter:step"
[sizes]
n = {{ symbol = "rows" }}
any = {{ symbol = "count" }}
i = 3
o = 2
[buffers]
t = {{ dtype = "u8", shape = {table} }}
at = {{ dtype = "u8", shape = ["n"] }}
x = {{ dtype = "f32", shape = {out} }}
[[ops]]
name = "load"
kind = "gather"
in = {{ table = "t", index = "at" }}
out = "x"
done = "enter:done"
"""
    if fits:
        assert parse(text).ops[0].kind.name == "gather"
        return
    with pytest.raises(MapError, match=r"demo.toml:13: op load: "):
        parse(text)


# What the reference could not compute with: found before anything runs, not while it runs.


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('y = { dtype = "u8"', 'y = { dtype = "f32"'),
        ('x = { dtype = "f32"', 'x = { dtype = "u8"'),
        ("exp_ulps = 2.5", "exp_ulps = -1"),
        ('out = "z"\n', 'out = "z"\naccumulators = -1\n'),
        ('out = "z"\n', 'out = "z"\naccumulators = 2.5\n'),
    ],
    ids=[
        "labels that are floats",
        "a layer of bytes",
        "an accuracy below zero",
        "accumulators below zero",
        "half an accumulator",
    ],
)
def test_operands_that_no_kind_computes_with_are_refused(old: str, new: str):
    with pytest.raises(MapError, match=r"demo.toml:\d+: "):
        parse(GOOD.replace(old, new))


@pytest.mark.parametrize("ulps", ['"5/2"', '"4"', "2", "2.5"])
def test_an_accuracy_may_be_a_number_or_a_fraction(ulps: str):
    op = parse(GOOD.replace("= 2.5", f"= {ulps}")).ops[1]
    inputs = {"z": np.zeros((2, 2), np.float32), "y": np.uint8([0, 1])}
    from nndbg.reference import FLOAT32

    loss = op.kind.compute(inputs, FLOAT32, op.parameters)["loss"]
    assert loss.value == pytest.approx(np.log(2))


def test_an_op_cannot_write_what_the_map_calls_constant():
    text = GOOD.replace(
        'z = { dtype = "f32", shape = ["n", "o"] }',
        'z = { dtype = "f32", shape = ["n", "o"], constant = true }',
    )
    with pytest.raises(MapError, match=r"demo.toml:\d+: .*z.* constant"):
        parse(text)


def test_every_message_of_the_table_is_about_a_part_of_the_good_map():
    assert all(old in GOOD for old, *_ in REFUSED.values())
    assert re.fullmatch(r"[\s\S]+", GOOD)
