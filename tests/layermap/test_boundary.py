"""Boundaries and words as a map writes them, and what is none."""

from __future__ import annotations

import pytest

from nndbg.errors import MapError
from nndbg.layermap import LayerMap, parse_map
from nndbg.layermap.boundary import Word, parse_boundary, parse_word

MAP = """\
[program]
name = "net"
step = "enter:step"

[buffers]
x = { dtype = "f32", shape = [2, 3] }
h = { dtype = "f32", shape = [2, 3], at = "enter:relu", register = "rdi" }

[[ops]]
name = "relu"
kind = "relu"
in   = "x"
out  = "h"
enter = "enter:relu"
done = "return:relu"
nth  = 2
call = { rdi = "x", esi = 3, "[rsp+8]" = "h" }
"""


def parse(old: str = "", new: str = "") -> LayerMap:
    assert old in MAP
    return parse_map(MAP.replace(old, new) if old else MAP, "net.toml")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("rdi", Word("rdi", "rdi", 8, 0, is_in_memory=False)),
        ("edi", Word("edi", "rdi", 4, 0, is_in_memory=False)),
        ("r8d", Word("r8d", "r8", 4, 0, is_in_memory=False)),
        ("rsp+0x20", Word("rsp+0x20", "rsp", 8, 32, is_in_memory=False)),
        ("[rsp + 8]", Word("[rsp + 8]", "rsp", 8, 8, is_in_memory=True)),
        ("[rbp-0x40]", Word("[rbp-0x40]", "rbp", 8, -64, is_in_memory=True)),
    ],
)
def test_a_word_is_a_register_or_lies_on_the_stack(text: str, word: Word):
    assert parse_word(text) == word


@pytest.mark.parametrize("text", ["", "rdii", "[rdi", "rdi]", "edi+4", "rdi*4", "xmm0", "8"])
def test_what_is_no_word_is_none(text: str):
    assert parse_word(text) is None


def test_only_an_address_made_of_the_stack_pointer_is_on_the_stack():
    texts = ("rsp+8", "rbp-8", "rsp", "[rsp+8]", "rdi")
    on_stack = [word.is_on_stack for text in texts if (word := parse_word(text))]
    assert on_stack == [True, True, True, False, False]


@pytest.mark.parametrize("text", ["return:", "return: f", "retrun:f", "enter", "probe:nn"])
def test_what_is_no_boundary_is_none(text: str):
    assert parse_boundary(text) is None


def test_beside_the_boundaries_of_an_op_a_passing_holds_for_both():
    (op,) = parse().ops
    assert op.enter is not None
    assert (op.done.nth, op.enter.nth) == (2, 2)
    assert op.done.call == op.enter.call
    assert str(op.done) == "return:relu rdi=x esi=3 [rsp+8]=h nth=2"


def test_a_boundary_may_have_a_passing_of_its_own():
    (op,) = parse('"return:relu"', '{ at = "return:relu", nth = 5 }').ops
    assert op.enter is not None
    assert (op.done.nth, op.done.call, op.enter.nth) == (5, (), 2)


def test_a_buffer_lies_where_a_register_points():
    boundary, word = parse().buffers["h"].held or (None, None)
    assert (str(boundary), str(word)) == ("enter:relu", "rdi")


def test_what_lies_on_the_stack_is_scratch():
    assert parse('"rdi" }', '"rsp-16" }').buffers["h"].is_scratch
    assert not parse().buffers["h"].is_scratch


REFUSED = {
    "no form": ('"return:relu"', '"retrun:relu"', "Did you mean return:relu?"),
    "nth of nothing": ("nth  = 2", "nth = 0", "nth = 0; wanted a number from 1"),
    "nth in words": ("nth  = 2", 'nth = "second"', "nth = 'second'; wanted a number from 1"),
    "a call of no table": ("call = {", 'call = "rdi"#', "call = 'rdi'; wanted a table such as"),
    "no register": ("rdi = ", "rdii = ", "'rdii' is no register"),
    "no buffer": ('rdi = "x"', 'rdi = "xx"', "rdi is 'xx', which is no buffer. Did you mean 'x'?"),
    "half a pointer": ('rdi = "x"', 'edi = "x"', "edi has 32 bits, and an address has 64"),
    "a word that is a fraction": ("esi = 3", "esi = 0.5", "wanted a buffer or a whole number"),
    "a step that counts": (
        'step = "enter:step"',
        'step = { at = "enter:step", nth = 2 }',
        "`nth` counts from where a step begins",
    ),
    "a boundary with an odd key": (
        '"return:relu"',
        '{ at = "return:relu", time = 5 }',
        "unknown key 'time'",
    ),
    "a register and no boundary": ('at = "enter:relu", ', "", "h needs both `at`"),
    "a boundary and no register": (', register = "rdi"', "", "h needs both `at`"),
    "a register and a symbol": (
        'register = "rdi"',
        'register = "rdi", symbol = "h"',
        "h has both symbol and register; keep one",
    ),
    "half a register": ('register = "rdi"', 'register = "edi"', "edi has 32 bits"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_passing_that_cannot_be_meant_is_refused_with_its_line(case: str):
    old, new, says = REFUSED[case]
    with pytest.raises(MapError) as error:
        parse(old, new)
    assert says in str(error.value)
    at = MAP[: MAP.index(old)].count("\n") + 1
    assert str(error.value).startswith(f"net.toml:{at}: ")
