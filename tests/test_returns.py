"""Where functions are left: decoded from what assemblers and compilers make."""

from __future__ import annotations

import pytest

from nndbg.decode import Disassembly
from nndbg.elf import read_executable
from nndbg.returns import Returns, find_returns

PROGRAM = """\
; functions that are left in every way
    default rel
    global _start
    section .text
_start:
    call plain
    call dispatch
.behind:
    call tail
    call again
    call switch
    mov eax, 60
    xor edi, edi
    syscall
    nop
plain:
    test eax, eax
    jz .early
.first:
    ret
.early:
    inc eax
.second:
    ret 8
tail:
    inc eax
    jmp plain
dispatch:
    jmp [kernel]
nowhere:
    jmp [kernel]
again:
    dec eax
    js .end
    call again
.end:
    ret
switch:
    lea rax, [.case]
    jmp rax
    ud2
.case:
    ret
endless:
    jmp endless
dead:
    ud2
    ret
    section .data
kernel: dq plain
"""


@pytest.fixture(scope="module")
def find(build):
    code = Disassembly(read_executable(build("returns", PROGRAM)))
    symbols = code.executable.symbols

    def find(name: str) -> Returns | None:
        return find_returns(code, symbols[name].address)

    find.at = lambda *names: tuple(symbols[name].address for name in names)
    return find


def test_a_function_is_left_at_each_of_its_returns(find):
    found = find("plain")
    assert found.exits == find.at("plain.first", "plain.second")
    assert (found.is_shared, found.are_behind) == (False, False)


def test_a_function_that_jumps_into_another_is_left_by_that_one_s_returns(find):
    found = find("tail")
    assert found.exits == find.at("plain.first", "plain.second")
    assert found.is_shared


def test_the_returns_of_a_function_that_calls_itself_belong_to_several_calls(find):
    found = find("again")
    assert found.exits == find.at("again.end")
    assert found.is_shared


def test_a_function_that_jumps_through_memory_is_left_where_its_callers_go_on(find):
    found = find("dispatch")
    assert found.exits == find.at("_start.behind")
    assert found.are_behind


def test_a_table_of_jumps_leads_to_returns_within_the_function(find):
    found = find("switch")
    assert found.exits == find.at("switch.case")
    assert (found.is_shared, found.are_behind) == (True, False)


@pytest.mark.parametrize("name", ["endless", "nowhere", "dead"])
def test_where_no_return_is_seen_nothing_is_claimed(find, name: str):
    assert find(name) is None
