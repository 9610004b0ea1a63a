"""What the code between two places does by itself: NASM whose every way is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nndbg.elf import Executable, read_executable
from nndbg.flow import OwnCode, is_needed, is_return_address, own_code

TEXT = """\
; Functions, each with a label where its end is looked for.
    global _start
    section .text
_start:
    call    plain
plain_returned:
    mov     [rel _start], rbx
    mov     eax, 60
    syscall

plain:
    mov     rdi, rbx
    call    callee
    call    [rel pointer]
plain_end:
    mov     rbx, 5
    ret

callee:
    xor     ebx, ebx
    ret

changes:
    mov     r12d, 1
    pop     r13
    push    r13
    inc     r14b
    xchg    rax, r15
changes_end:
    ret

pushes:
    push    7
    sub     rsp, 16
    lea     rsp, [rsp + 8]
pushes_end:
    add     rsp, 16
    ret

aligns:
    and     rsp, -16
aligns_end:
    ret

branches:
    test    rdi, rdi
    je      .short
    push    rax
    jmp     branches_end
.short:
    mov     r12, 1
branches_end:
    ret

loops:
    mov     ecx, 9
.again:
    dec     ecx
    jnz     .again
    jmp     loops_end
.aside:
    mov     rbx, 1
    ret
loops_end:
    ret

other_way:
    test    rdi, rdi
    je      .out
    jmp     other_way_end
.out:
    mov     rbp, 1
    ret
other_way_end:
    ret

hidden:
    test    rdi, rdi
    je      hidden_end
    jmp     rax
hidden_end:
    ret

control:
    std
    ldmxcsr [rsp]
    fldcw   [rsp]
    vxorps  ymm0, ymm0, ymm0
control_end:
    ret

saves:
    push    rbx
    mov     ebx, 1
    pop     rbx
    ret

sets_low:
    mov     bl, 1
    mov     [rsp - 8], rbx
    ret

    section .data
pointer: dq callee
"""


@pytest.fixture
def code(build: Callable[..., Path]) -> Executable:
    return read_executable(build("flow", TEXT))


def own(code: Executable, name: str) -> OwnCode | None:
    symbols = code.symbols
    return own_code(code, symbols[name].address, symbols[f"{name}_end"].address)


def needed(code: Executable, place: str, register: str, returns_to: str = "") -> bool:
    stack = {8: code.symbols[returns_to].address if returns_to else 0}
    return is_needed(code, code.symbols[place].address, register, 8, lambda at: stack.get(at, 0))


def test_what_a_called_function_does_is_not_its_caller_s_own(code):
    found = own(code, "plain")
    assert found is not None
    assert found.writes == {"rdi"}
    assert found.moves == 0


def test_registers_of_any_width_are_written(code):
    found = own(code, "changes")
    assert found is not None
    assert found.writes >= {"r12", "r13", "r14", "r15", "rax"}
    assert "rbx" not in found.writes
    assert found.moves == 0


def test_pushes_and_sums_move_the_stack_pointer(code):
    found = own(code, "pushes")
    assert found is not None
    assert found.moves == -16


@pytest.mark.parametrize("name", ["aligns", "branches"])
def test_a_stack_pointer_that_depends_on_the_way_is_not_known(code, name: str):
    found = own(code, name)
    assert found is not None
    assert found.moves is None


def test_all_ways_count(code):
    found = own(code, "branches")
    assert found is not None
    assert "r12" in found.writes


@pytest.mark.parametrize(("name", "register"), [("loops", "rbx"), ("other_way", "rbp")])
def test_a_way_that_leads_elsewhere_does_not_count(code, name: str, register: str):
    found = own(code, name)
    assert found is not None
    assert register not in found.writes


def test_an_indirect_jump_hides_ways(code):
    assert own(code, "hidden") is None


def test_a_place_that_is_not_reached_has_no_way_to_it(code):
    assert own_code(code, code.symbols["callee"].address, code.symbols["plain"].address) is None


def test_a_place_outside_of_the_code_has_no_way_to_it(code):
    assert own_code(code, code.symbols["callee"].address, 0) is None
    assert own_code(code, 0, code.symbols["callee"].address) is None


def test_flags_and_control_words_are_told(code):
    found = own(code, "control")
    assert found is not None
    assert found.sets_direction
    assert found.sets_mxcsr
    assert found.sets_x87
    assert found.uses_vectors
    plain = own(code, "plain")
    assert plain is not None
    assert not any((plain.sets_direction, plain.sets_mxcsr, plain.sets_x87, plain.uses_vectors))


# Is a register's number needed later?


def test_a_register_that_is_read_is_needed(code):
    assert needed(code, "plain", "rbx")
    assert needed(code, "plain_returned", "rbx")


def test_a_register_that_is_set_before_it_is_read_is_not_needed(code):
    assert not needed(code, "callee", "rbx")
    assert not needed(code, "plain_end", "rbx", "plain_returned")


def test_the_caller_s_code_counts(code):
    assert needed(code, "branches_end", "rbx", "plain_returned")
    assert not needed(code, "branches_end", "r12", "plain_returned")
    assert not needed(code, "branches_end", "rbx")


def test_to_save_a_register_is_not_to_need_it(code):
    assert not needed(code, "saves", "rbx", "plain_returned")


def test_a_part_of_a_register_that_is_set_leaves_the_rest_needed(code):
    assert needed(code, "sets_low", "rbx")


# Return addresses


def test_behind_a_call_of_a_function_lies_its_return_address(code):
    symbols = code.symbols
    assert is_return_address(code, symbols["plain_returned"].address, symbols["plain"].address)
    assert not is_return_address(code, symbols["plain_returned"].address, symbols["callee"].address)
    assert not is_return_address(code, symbols["callee"].address, symbols["plain"].address)
    assert not is_return_address(code, 0x10, symbols["plain"].address)


def test_an_indirect_call_may_be_one_of_any_function(code):
    symbols = code.symbols
    assert is_return_address(code, symbols["plain_end"].address, symbols["loops"].address)
