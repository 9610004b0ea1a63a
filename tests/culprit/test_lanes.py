"""Which bytes of its sources a result is made of: the numbers say so in the manual of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from nndbg.culprit.lanes import ALL, sources, written
from nndbg.decode import Disassembly, Instruction
from nndbg.elf import read_executable

LANE = 0xF


@pytest.fixture
def assemble(build):
    def assemble(code: str) -> Instruction:
        program = build(
            "one", f"; one\n    global _start\n    section .text\n_start:\n    {code}\n"
        )
        executable = read_executable(Path(program))
        found = Disassembly(executable).at(executable.entry)
        assert found is not None
        return found

    return assemble


def lane(number: int) -> int:
    return LANE << (4 * number)


CASES = [
    ("addps xmm1, xmm2", "zmm1", lane(2), {"zmm1": lane(2), "zmm2": lane(2)}),
    ("vfmadd231ps ymm1, ymm2, ymm3", "zmm1", lane(7),
     {"zmm1": lane(7), "zmm2": lane(7), "zmm3": lane(7)}),
    ("vmovaps ymm1, ymm2", "zmm1", lane(5), {"zmm2": lane(5)}),
    ("shufps xmm1, xmm1, 0", "zmm1", lane(3), {"zmm1": lane(0)}),
    ("shufps xmm1, xmm2, 0xe4", "zmm1", lane(1) | lane(2), {"zmm1": lane(1), "zmm2": lane(2)}),
    ("pshufd xmm1, xmm2, 0x1b", "zmm1", lane(0), {"zmm2": lane(3)}),
    ("movhlps xmm1, xmm2", "zmm1", lane(1), {"zmm2": lane(3)}),
    ("punpcklbw xmm1, xmm2", "zmm1", 0b11, {"zmm1": 1, "zmm2": 1}),
    ("unpckhps xmm1, xmm2", "zmm1", lane(1), {"zmm2": lane(2)}),
    ("vbroadcastss ymm1, xmm2", "zmm1", lane(6), {"zmm2": lane(0)}),
    ("vextractf128 xmm1, ymm2, 1", "zmm1", lane(1), {"zmm2": lane(5)}),
    ("vpmovzxbd ymm1, xmm2", "zmm1", lane(3), {"zmm2": 1 << 3}),
    ("cvtsi2ss xmm1, eax", "zmm1", lane(0), {"rax": ALL}),
    ("addss xmm1, xmm2", "zmm1", lane(0), {"zmm1": lane(0), "zmm2": lane(0)}),
    ("cvtss2sd xmm1, xmm2", "zmm1", 0xFF, {"zmm2": lane(0)}),
    ("cvtsd2ss xmm1, xmm2", "zmm1", lane(0), {"zmm2": 0xFF}),
    ("cvtsd2si rax, xmm2", "rax", ALL, {"zmm2": 0xFF}),
    ("vcvtps2pd ymm1, xmm2", "zmm1", 0xFF << 16, {"zmm2": lane(2)}),
    ("haddps xmm1, xmm2", "zmm1", lane(1), {"zmm1": lane(2) | lane(3)}),
    ("vhaddps ymm1, ymm2, ymm3", "zmm1", lane(6), {"zmm3": lane(4) | lane(5)}),
    ("vmovshdup xmm1, xmm2", "zmm1", lane(2), {"zmm2": lane(3)}),
    ("vperm2f128 ymm1, ymm2, ymm3, 0x21", "zmm1", lane(0), {"zmm2": lane(4)}),
    ("vinsertf128 ymm1, ymm2, xmm3, 1", "zmm1", lane(5), {"zmm3": lane(1)}),
    ("vshuff32x4 zmm1, zmm2, zmm3, 0b01001110", "zmm1", lane(0), {"zmm2": lane(8)}),
    ("xorps xmm1, xmm1", "zmm1", lane(0), {}),
    ("mov rax, rbx", "rax", ALL, {"rbx": ALL}),
    ("lea rax, [rbx + rcx * 4]", "rax", ALL, {"rbx": ALL, "rcx": ALL}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "register", "wanted", "made_of"), CASES, ids=[c[0] for c in CASES]
)
def test_a_result_is_made_of(assemble, code, register, wanted, made_of):
    found = sources(assemble(code), register, wanted)
    assert dict(found.registers) == made_of
    assert not found.is_loose


@pytest.mark.parametrize(
    ("code", "wanted", "taken"),
    [
        ("movss xmm1, [rdi]", lane(0), lane(0)),
        ("movups xmm1, [rdi]", lane(2), lane(2)),
        ("vbroadcastss ymm1, [rdi]", lane(5), lane(0)),
        ("vaddps zmm1, zmm2, [rdi]{1to16}", lane(9), lane(0)),
        ("movd xmm1, [rdi]", 0b100, 0b100),
    ],
)
def test_of_a_load_only_the_bytes_that_count_are_taken(assemble, code, wanted, taken):
    ((_, mask),) = sources(assemble(code), "zmm1", wanted).memory
    assert mask == taken


def test_what_is_not_known_byte_for_byte_is_taken_whole_and_said(assemble):
    found = sources(assemble("vpermps ymm1, ymm2, ymm3"), "zmm1", lane(1))
    assert found.is_loose
    assert dict(found.registers) == {"zmm2": ALL, "zmm3": ALL}


@pytest.mark.parametrize(
    ("code", "replaced"),
    [
        ("movups xmm1, [rdi]", (1 << 16) - 1),
        ("vmovups xmm1, [rdi]", ALL),
        ("addss xmm1, xmm2", lane(0)),
        ("movss xmm1, [rdi]", (1 << 16) - 1),
        ("movss xmm1, xmm2", lane(0)),
        ("vzeroupper", ALL & ~((1 << 16) - 1)),
    ],
)
def test_what_an_instruction_leaves_of_a_register_stays(assemble, code, replaced):
    assert written(assemble(code), "zmm1") == replaced
