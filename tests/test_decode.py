"""What an instruction reads and writes, and where it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from nndbg.culprit.chain import stack_height
from nndbg.decode import Disassembly
from nndbg.elf import read_executable

PROGRAM = """\
; a function with a stack of its own
    global _start
    section .text
_start:
    push rbx
    sub rsp, 24
    mov rax, [rsp + 8]
    call helper
    add rsp, 24
    pop rbx
    ret
helper:
    movsd [rdi], xmm0
    rep movsd
    vmovups [rdi + rcx * 4 + 8]{k2}, zmm3
    jz .out
    nop
.out:
    ret
"""


@pytest.fixture
def code(build) -> Disassembly:
    return Disassembly(read_executable(Path(build("decoded", PROGRAM))))


def function(code: Disassembly, name: str):
    return code.function(code.executable.symbols[name].address)


def test_a_function_is_decoded_from_its_symbol_to_the_next(code):
    assert [i.text for i in function(code, "_start")][:3] == [
        "push rbx", "sub rsp, 0x18", "mov rax, [rsp+8]",
    ]  # fmt: skip
    assert function(code, "helper")[-1].is_return


def test_the_instruction_before_an_address_ends_there(code):
    first, second, *_ = function(code, "helper")
    assert code.before(second.address) == first


def test_the_end_of_a_function_belongs_to_the_one_before(code):
    last = function(code, "_start")[-1]
    assert code.before(last.end) == last


def test_the_two_instructions_called_movsd_are_told_apart(code):
    double, string, *_ = function(code, "helper")
    assert (double.is_string, double.source) == (False, "xmm0")
    assert string.is_string
    assert string.text == "rep movsd"


def test_a_masked_store_names_its_mask_and_its_operand(code):
    store = function(code, "helper")[2]
    assert (store.mask, store.source) == ("k2", "zmm3")
    assert store.store is not None
    assert (store.store.size, store.store.width) == (64, 4)
    assert store.store.address({"rdi": 1000, "rcx": 3}) == 1020


def test_registers_of_an_address_are_not_read_for_their_value(code):
    load = function(code, "_start")[2]
    assert load.data == ()
    assert load.kills == {"rax"}


def test_the_stack_is_followed_through_pushes_and_calls(code):
    body = function(code, "_start")
    assert [stack_height(code, i.address) for i in body] == [0, -8, -32, -32, -32, -8, 0]
