"""A program that writes numbers in every way there is, and its map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import nndbg
from nndbg.culprit import Blame, parse_place, writes_of
from nndbg.elf import read_executable
from nndbg.inferior import LiveSource
from nndbg.layermap import load_map
from nndbg.report import Culprit

from . import product

Ask = Callable[..., Blame]

MAP = """\
[program]
name = "stores"
step = "enter:step"

[buffers]
z   = {{ dtype = "f32", shape = [1] }}
h   = {{ dtype = "f32", shape = [1] }}
{buffers}

[[ops]]
name = "work"
kind = "relu"
in   = {{ z = "z" }}
out  = "h"
done = "enter:done"
"""

PROGRAM = """\
; one step, in which `work` runs
    default rel
    global _start
    section .text
_start:
    nop
step:
    nop
    call work
done:
    nop
    mov eax, 60
    xor edi, edi
    syscall

work:
{code}
    ret

    section .data align=64
source: dd 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0
        dd 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0
lanes:  dd -1, 0, -1, 0, -1, 0, -1, 0

    section .bss align=64
    global z:data 4
    global h:data 4
z:      resd 1
h:      resd 1
        alignb 64
{reserved}
        resb 64
"""


@pytest.fixture
def ask(build: Callable[..., Path], tmp_path: Path) -> Iterator[Ask]:
    """Runs code that writes buffers and asks who wrote an element: `ask(code, {"a": ...}, "a[1]")`.

    Buffers are given as dtype and length, in the order in which they lie in memory.
    """

    def ask(
        code: str,
        buffers: dict[str, tuple[str, int]],
        element: str,
        debug_registers: bool = True,
    ) -> Blame:
        widths = {"8": 1, "16": 2, "32": 4, "64": 8}
        reserved = "\n".join(
            f"    global {name}:data {widths[dtype[1:]] * count}\n"
            f"{name}: resb {widths[dtype[1:]] * count}"
            for name, (dtype, count) in buffers.items()
        )
        program = build("stores", PROGRAM.format(code=code, reserved=reserved))
        text = "\n".join(
            f'{name} = {{ dtype = "{dtype}", shape = [{count}] }}'
            for name, (dtype, count) in buffers.items()
        )
        path = tmp_path / "stores.toml"
        path.write_text(MAP.format(buffers=text))
        placed = load_map(read_executable(program), path)
        with closing(LiveSource(placed)) as source:
            place = parse_place(element, placed.layer_map)
            return writes_of(source, place, 0, "work", 10.0, debug_registers)

    return ask


Wrong = Callable[..., Culprit]


@pytest.fixture
def culprit(build, tmp_path: Path) -> Wrong:
    """Who is accused of the code of one op: `culprit(code, op)`, the op as the map has it."""

    def culprit(code: str, op: str) -> Culprit:
        text = product.PROGRAM.format(code=code, data=product.data(), **product.SIZES)
        program = build("product", text)
        path = tmp_path / "product.toml"
        path.write_text(product.MAP + op)
        report = nndbg.check(program, steps=range(1), map=path)
        assert report.first is not None
        assert report.first.culprit is not None
        return report.first.culprit

    return culprit
