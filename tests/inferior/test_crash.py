"""What a crash is told to be: the instruction, its operand, the buffer, and what agreed before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nndbg.compare import Status
from nndbg.crash import Agreed, Crash
from nndbg.elf import read_executable
from nndbg.hunt import check_steps
from nndbg.inferior import LiveSource
from nndbg.layermap import parse_map, place_map
from nndbg.session import Session

MAP = """\
[program]
name = "crash"
step = "enter:step"

[buffers]
z = { dtype = "f32", shape = [2, 4] }
h = { dtype = "f32", shape = [2, 4] }
o = { dtype = "f32", shape = [2, 4] }

[[ops]]
name = "first"
kind = "relu"
in   = { z = "z" }
out  = "h"
done = "enter:between"

[[ops]]
name = "second"
kind = "relu"
in   = { z = "z" }
out  = "o"
done = "enter:done"
"""

# Two ops in two steps; the second crashes. The page behind `h` is not mapped.
PROGRAM = """\
; what is to crash stands in `second`
    default rel
    global _start
    global z:data (z.end - z), h:data (h.end - h), o:data (o.end - o)
    section .text
_start:
    mov ebx, 2
again:
step:
    nop
    movups xmm0, [z]
    movups [h], xmm0
    movups xmm0, [z + 16]
    movups [h + 16], xmm0
{wrong}
between:
    nop
    call second
done:
    nop
    dec ebx
    jnz again
    mov eax, 60
    xor edi, edi
    syscall

second:
    movups xmm0, [z]
    movups [o], xmm0
    movups xmm0, [z + 16]
    movups [o + 16], xmm0
    cmp ebx, 1
    jne .out
{code}
.out:
    ret

    section .bss align=4096
o:  resb 32
.end:
    resb 4096 - 32 - 64
z:  resb 32
.end:
    resb 32
h:  resb 32
.end:
"""
# `h` ends 4064 bytes before the page does, and nothing is mapped behind that.
TO_THE_END = 4096 - 32


@pytest.fixture
def run(build, gdb: str) -> Callable[..., LiveSource]:
    del gdb

    def run(code: str, wrong: str = "", *flags: str) -> LiveSource:
        lines = (f"    {line.strip()}" for line in code.strip().splitlines())
        text = PROGRAM.replace("{code}", "\n".join(lines)).replace("{wrong}", wrong)
        program = build("crash", text, *flags)
        return LiveSource(place_map(parse_map(MAP, "crash.toml"), read_executable(program)))

    return run


@pytest.fixture
def crash(run) -> Callable[..., Crash]:
    """Returns how the program with this code crashes."""

    def crash(code: str, *flags: str) -> Crash:
        with Session(run(code, "", *flags)) as session:
            report = check_steps(session, range(2))
        assert report.error is not None
        assert report.crash is not None, report.error
        assert f"got {report.crash.signal}" in report.error
        assert report.first is None
        assert report.crash.last_agreed == Agreed(1, "first")
        assert report.steps == (0,)
        return report.crash

    return crash


CASES = {
    "a store past the end": (
        f"lea rax, [h]\nmov dword [rax + 32 + {TO_THE_END}], 1",
        "SIGSEGV",
        f"writes 4 bytes at {{operand}}, {TO_THE_END} bytes past the end of h: not mapped.",
    ),
    "a load long before": (
        "lea rax, [o]\nsub rax, 0x10000\nmovups xmm0, [rax]",
        "SIGSEGV",
        "reads 16 bytes at {operand}, 65536 bytes before o: not mapped.",
    ),
    "a load that goes over the edge": (
        f"lea rax, [h + 32 + {TO_THE_END} - 8]\nmovups xmm0, [rax]",
        "SIGSEGV",
        f"reads 16 bytes at {{operand}}, {TO_THE_END - 8} bytes past the end of h; "
        f"byte 8 of them is {TO_THE_END} bytes past the end of h: not mapped.",
    ),
    "an aligned load of an element that is not": (
        "lea rax, [z + 4]\nmovaps xmm0, [rax]",
        "SIGSEGV",
        "reads 16 bytes at {operand}, in z[0,1]: an aligned load, and the address is 4 bytes past "
        "a multiple of 16.",
    ),
    "an aligned store between two buffers": (
        "lea rax, [z + 32]\nmovaps [rax + 8], xmm0",
        "SIGSEGV",
        "writes 16 bytes at {operand}, 8 bytes past the end of z: an aligned store, and the "
        "address is 8 bytes past a multiple of 16.",
    ),
    "an aligned load before a buffer": (
        "lea rax, [h - 8]\nmovdqa xmm0, [rax]",
        "SIGSEGV",
        "reads 16 bytes at {operand}, 8 bytes before h: an aligned load, and the "
        "address is 8 bytes past a multiple of 16.",
    ),
    "an operand of an SSE instruction": (
        "lea rax, [z + 4]\naddps xmm0, [rax]",
        "SIGSEGV",
        "reads 16 bytes at {operand}, in z[0,1]: an aligned load, and the address is 4 bytes past "
        "a multiple of 16.",
    ),
    "a null pointer": (
        "xor eax, eax\nmov [rax], eax",
        "SIGSEGV",
        "writes 4 bytes at {operand}, null: not mapped.",
    ),
    "a null pointer and an offset": (
        "xor eax, eax\nmov eax, [rax + 8]",
        "SIGSEGV",
        "reads 4 bytes at {operand}, 8 bytes past null: not mapped.",
    ),
    "no address at all": (
        "mov rax, 0x3f80000012345678\nmov eax, [rax + 8]",
        "SIGSEGV",
        "{operand} is no address at all: its upper bits are not all the same.",
    ),
    "an address that is nowhere": (
        "mov rax, 0x100012345678\nmov eax, [rax]",
        "SIGSEGV",
        "reads 4 bytes at {operand}, near no buffer: not mapped.",
    ),
    "code that is written": (
        "lea rax, [second]\nmov byte [rax], 0",
        "SIGSEGV",
        "writes 1 byte at {operand}, in the code of second: read-only.",
    ),
    "an instruction of the kernel": ("hlt", "SIGSEGV", "the processor refuses it to a program."),
    "a stack pointer that is no address": (
        "mov rsp, 0x3f80000012345678\npush rax",
        "SIGBUS",
        "{operand} is no address at all: its upper bits are not all the same.",
    ),
    "ud2": ("ud2", "SIGILL", "ud2 is there to end the program."),
    "a division by zero": (
        "mov eax, 7\ncdq\nxor ecx, ecx\ndiv ecx",
        "SIGFPE",
        "divides 7 by 0.",
    ),
    "a quotient too large": (
        "mov edx, 1\nxor eax, eax\nmov ecx, 1\ndiv ecx",
        "SIGFPE",
        "divides 4294967296 by 1, and 32 bits do not hold the quotient.",
    ),
    "the most negative number by -1": (
        "mov rax, 0x8000000000000000\ncqo\nmov rcx, -1\nidiv rcx",
        "SIGFPE",
        "divides -9223372036854775808 by -1, and 64 bits do not hold the quotient.",
    ),
    "a byte divided": (
        "mov ax, 9\nmov ch, 0\ndiv ch",
        "SIGFPE",
        "divides 9 by 0.",
    ),
    "a divisor in memory": (
        "mov eax, 5\ncdq\nidiv dword [o + 8]",
        "SIGFPE",
        "divides 5 by 0.",
    ),
    "a float division that is not masked": (
        "push 0x1d80\nldmxcsr [rsp]\npop rax\nmov eax, 1\ncvtsi2ss xmm0, eax\n"
        "xorps xmm1, xmm1\ndivss xmm0, xmm1",
        "SIGFPE",
        "a floating-point division by zero, which MXCSR or the x87 control word does not mask.",
    ),
    "an abort": (
        "mov eax, 39\nsyscall\nmov edi, eax\nmov esi, 6\nmov eax, 62\nsyscall\nnop",
        "SIGABRT",
        "the program aborts.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_crash_names_its_instruction_and_operand(crash, case: str):
    code, signal, says = CASES[case]
    found = crash(code)
    assert found.signal == signal
    operand = "nowhere" if found.operand is None else f"{found.operand:#x}"
    assert found.says == says.replace("{operand}", operand)
    assert found.function == "second"
    assert found.file is not None
    last = code.splitlines()[-1]
    written = Path(found.file).name, found.instruction.split()[0], found.line
    number = PROGRAM.replace("{wrong}", "").split("{code}")[0].count("\n") + len(code.splitlines())
    assert written == ("crash.asm", last.split()[0], number)


@pytest.mark.parametrize("flags", [(), ("-pie", "--no-dynamic-linker")], ids=["fixed", "PIE"])
def test_the_operand_is_found_wherever_the_program_is_loaded(crash, flags):
    found = crash(f"mov dword [h + 32 + {TO_THE_END}], 1", *flags)
    assert found.says.startswith(f"writes 4 bytes at {found.operand:#x}, {TO_THE_END} bytes past")
    assert found.instruction.startswith("mov dword [rel 0x")
    assert found.line is not None


def test_a_call_into_nothing_is_the_call_s(crash):
    found = crash("xor ecx, ecx\ncall rcx\nnop")
    assert (found.signal, found.instruction, found.function) == ("SIGSEGV", "call rcx", "second")
    assert found.operand == 0
    assert found.says == "the call went to 0x0, where no code is (null)."


def test_a_call_through_memory_into_nothing_is_the_call_s(crash):
    found = crash("call [o + 8]\nnop")
    assert found.instruction.startswith("call")
    assert found.says == "the call went to 0x0, where no code is (null)."


def test_a_call_into_a_buffer_says_so(crash):
    found = crash("lea rcx, [z + 4]\ncall rcx\nnop")
    assert found.instruction == "call rcx"
    assert found.says.endswith("where no code is (in z[0,1]).")


def test_a_return_to_nowhere_has_no_instruction(crash):
    found = crash("push 0\nret")
    assert (found.instruction, found.function, found.line) == ("", None, None)
    assert found.says == "a jump or a return went to 0x0, where no code is (null)."


def test_bytes_that_are_no_instruction_are_shown(crash):
    found = crash("db 0x06")
    assert (found.signal, found.instruction) == ("SIGILL", "")
    assert found.says.startswith("06 ")
    assert found.says.endswith(" is no instruction.")


def test_a_stack_that_is_used_up_is_said_to_be(crash):
    found = crash(".down: push rax\njmp .down")
    assert found.instruction == "push rax"
    assert found.says.startswith("writes 8 bytes at ")
    assert "below the stack, which is used up: not mapped." in found.says


def test_an_operand_in_the_stack_is_in_the_stack(crash):
    found = crash("and rsp, -16\nmovaps xmm0, [rsp - 56]")
    assert ", in the stack: an aligned load, and the address is 8 bytes past" in found.says


def test_a_string_instruction_is_where_it_had_got_to(crash):
    found = crash("lea rdi, [h]\nmov ecx, 0x2000\nrep stosb")
    assert found.says == (
        f"writes 1 byte at {found.operand:#x}, {TO_THE_END} bytes past the end of h: not mapped."
    )


def test_what_was_wrong_before_a_crash_comes_first(run):
    with Session(run("ud2", "    mov dword [h], 1")) as session:
        report = check_steps(session, range(2))
    assert report.crash is not None
    assert report.first is not None
    first = report.first.verdict
    assert (first.subject.step, first.subject.op) == (0, "first")
    assert first.status is Status.DIVERGED
    assert report.crash.last_agreed == Agreed(0, "second")


def test_a_crash_before_any_op_says_that_none_agreed(run, build):
    text = PROGRAM.replace("{code}", "").replace("{wrong}", "").replace("_start:", "_start:\n ud2")
    program = build("crash", text)
    placed = place_map(parse_map(MAP, "crash.toml"), read_executable(program))
    with Session(LiveSource(placed)) as session:
        report = check_steps(session, range(1))
    assert report.crash is not None
    assert (report.crash.signal, report.crash.last_agreed) == ("SIGILL", None)
