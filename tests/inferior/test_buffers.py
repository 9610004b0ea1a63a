"""Buffers where foreign programs have them: on the heap, on the stack, in parts, in turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import nndbg
from nndbg.compare import Mode
from nndbg.report import Report

# The hidden layer is made in two halves, on a page that r14 and a table of pointers lead to;
# `squeeze` writes it to the stack. A sum is made of that, over a number that was there before.
PROGRAM = """\
; buffers everywhere
    default rel
    global _start
    section .text
_start:
    mov r15d, 4
    mov eax, 9              ; mmap: a heap of one page
    xor edi, edi
    mov esi, 4096
    mov edx, 3
    mov r10d, 0x22
    mov r8, -1
    xor r9d, r9d
    syscall
    mov r14, rax            ; the hidden layer lies where only r14 knows
    mov [table + 8], rax
step:
    movss xmm0, [x]
    addss xmm0, [one]
    movss [x], xmm0
    sub rsp, 64
    lea rdi, [x]
    lea rsi, [W]
    mov rdx, r14
    mov ecx, 3
    call gate               ; hidden[0] = W[0] x
    lea rsi, [W + 24]
    lea rdx, [r14 + 8]
    call gate               ; hidden[1] = W[1] x
    mov rdi, r14
    mov rsi, rsp
    call squeeze            ; 4 numbers on the stack: max(hidden, 0)
    mov rdi, rsp
    call total
    mov rdi, r14
    call clear
    lea rdi, [W]
    call shrink
    add rsp, 64
    dec r15d
    jnz step
    mov eax, 60
    xor edi, edi
    syscall

; rdx[o] = sum of rsi[o][i] rdi[i], o < 2, i < rcx
gate:
    xor r10d, r10d
.output:
    xorps xmm0, xmm0
    xor eax, eax
.input:
    movss xmm1, [rdi + rax * 4]
    mulss xmm1, [rsi + rax * 4]
    addss xmm0, xmm1
    inc eax
    cmp eax, ecx
    jl .input
    movss [rdx + r10 * 4], xmm0
    lea rsi, [rsi + rcx * 4]
    inc r10d
    cmp r10d, 2
    jl .output
.end:
    ret

squeeze:
    xorps xmm0, xmm0
    movups xmm1, [rdi]
    maxps xmm1, xmm0
    movups [rsi], xmm1
    ret

total:
    push rax
    push rdi
    movss xmm0, [rdi]
    addss xmm0, [rdi + 4]
    addss xmm0, [rdi + 8]
    addss xmm0, [rdi + 12]
    movss [sum], xmm0
    pop rdi
    pop rax
    ret

clear:
    xorps xmm0, xmm0
    movups [rdi], xmm0
    ret

shrink:
    xor eax, eax
.element:
    movss xmm0, [rdi + rax * 4]
    mulss xmm0, [half]
    movss [rdi + rax * 4], xmm0
    inc eax
    cmp eax, 12
    jl .element
    ret

    section .data
one:  dd 1.0
half: dd 0.5
x:    dd 1.0, -2.0, 0.5
W:    dd 1.0, 2.0, 3.0,  -1.0, 0.5, 2.0,  0.25, 0.75, -1.5,  4.0, 0.0, 1.0
table: dq 0, 0
sum:  dd 0.0
"""

MAP = """\
[program]
name = "memory"
step = "enter:step"

[buffers]
x    = { dtype = "f32", shape = [1, 3] }
W    = { dtype = "f32", shape = [2, 2, 3] }
W_a  = { view = "W[0]" }
W_b  = { view = "W[1]" }
h    = { dtype = "f32", shape = [1, 4], at = "enter:squeeze", register = "rdi" }
h2   = { dtype = "f32", shape = [1, 4], pointer = "table+8" }
h_a  = { view = "h2", shape = [1, 2] }
h_b  = { view = "h2[0,2]", shape = [1, 2] }
s    = { dtype = "f32", shape = [1, 4], at = "enter:squeeze", register = "rsi", scratch = true }
sum  = { dtype = "f32", shape = [] }

[[ops]]
name = "gate_a"
kind = "dense_grad_input"
in = { grad = "x", W = "W_a" }
out = "h_a"
done = { at = "return:gate", nth = 1 }

[[ops]]
name = "gate_b"
kind = "dense_grad_input"
in = { grad = "x", W = "W_b" }
out = "h_b"
done = { at = "return:gate", nth = 2 }

[[ops]]
name = "squeeze"
kind = "relu"
in = "h"
out = "s"
done = "return:squeeze"

[[ops]]
name = "total"
kind = "sum_all"
in = "s"
out = "sum"
done = "return:total"

[[ops]]
name = "clear"
kind = "fill"
out = "h2"
done = "return:clear"

[[ops]]
name = "shrink"
kind = "scale"
in = "W"
out = "W"
factor = 0.5
done = "return:shrink"
"""

# The same buffer, found by where the stack pointer was when the function was called.
RSI = 'register = "rsi", scratch = true'
STACK = 'register = "rsp+8"'

Check = Callable[..., Report]


@pytest.fixture
def check(build, tmp_path: Path, gdb: str) -> Check:
    def check(*change: str, layer_map: str = MAP, **how: object) -> Report:
        source = PROGRAM
        if change:
            assert change[0] in source
            source = source.replace(*change)
        (tmp_path / "memory.toml").write_text(layer_map)
        program = build("memory", source)
        return nndbg.check(
            program, map=tmp_path / "memory.toml", steps=range(3), culprit=False, **how
        )

    return check


def wrong(report: Report) -> list[tuple[int, str, str]]:
    return [
        (v.subject.step, v.subject.op, v.subject.buffer)
        for v in report.verdicts
        if v.status.is_wrong
    ]


@pytest.mark.parametrize("layer_map", [MAP, MAP.replace(RSI, STACK)], ids=["register", "stack"])
def test_buffers_that_only_registers_and_pointers_lead_to_agree(check: Check, layer_map: str):
    report = check(layer_map=layer_map, modes=(Mode.LOCAL, Mode.CHAIN))
    assert report.error is None
    assert wrong(report) == []
    assert len(report.verdicts) == 3 * 6 * 2


def test_a_number_taken_with_the_wrong_sign_is_found_on_the_stack(check: Check):
    report = check("maxps xmm1", "minps xmm1")
    assert wrong(report)[0] == (0, "squeeze", "s")


def test_an_op_that_spoils_its_input_first_is_judged_by_what_it_was_given(check: Check):
    report = check("squeeze:\n", "squeeze:\n    movss [rdi + 4], xmm0\n")
    assert wrong(report)[0] == (0, "squeeze", "s")


def test_the_other_part_of_a_buffer_is_the_wrong_operand(check: Check):
    report = check("[W + 24]", "[W]")
    assert wrong(report)[0] == (0, "gate_b", "h_b")
    assert report.diagnosis[0].says == "gate_b reads W_a where W_b is meant"


def test_a_stray_write_into_a_part_is_found_in_the_whole(check: Check):
    report = check("total:\n", "total:\n    movss [W + 8], xmm0\n")
    assert {(0, "total", "W"), (0, "total", "W_a")} <= set(wrong(report))
    assert (0, "total", "W_b") not in wrong(report)


def test_an_update_of_the_whole_is_one_of_its_parts(check: Check):
    report = check("mulss xmm0, [half]", "addss xmm0, [half]")
    assert wrong(report) == [(step, "shrink", "W") for step in range(3)]


def test_what_is_not_cleared_is_found(check: Check):
    assert wrong(check("    call clear\n", ""))[0] == (0, "clear", "h2")


# The stack frame is used for the activation, then for its gradient.
REUSE = """\
; one scratch buffer that holds two things in turn
    default rel
    global _start
    section .text
_start:
    mov r15d, 3
step:
    mov eax, 3
.forward:
    movss xmm0, [x + rax * 4]
    xorps xmm1, xmm1
    maxss xmm0, xmm1
    movss [scratch + rax * 4], xmm0
    dec eax
    jns .forward
made:
    mov eax, 3
.sum:
    movss xmm0, [scratch + rax * 4]
    addss xmm0, xmm0
    movss [out + rax * 4], xmm0
    dec eax
    jns .sum
doubled:
    mov eax, 3
.back:
    movss xmm0, [g + rax * 4]
    mulss xmm0, [three]
    movss [scratch + rax * 4], xmm0
    dec eax
    jns .back
graded:
    mov eax, 3
.use:
    movss xmm0, [scratch + rax * 4]
    addss xmm0, [x + rax * 4]
    movss [x + rax * 4], xmm0
    dec eax
    jns .use
used:
    dec r15d
    jnz step
    mov eax, 60
    xor edi, edi
    syscall

    section .data
three: dd 3.0
x: dd 1.0, -2.0, 3.0, 4.0
g: dd 0.5, 0.25, -0.5, 1.0
    section .bss
scratch: resd 4
out: resd 4
"""
REUSE_MAP = """\
[program]
name = "reuse"
step = "enter:step"

[buffers]
x     = { dtype = "f32", shape = [4] }
g     = { dtype = "f32", shape = [4] }
out   = { dtype = "f32", shape = [4] }
h     = { dtype = "f32", shape = [4], symbol = "scratch" }
dh    = { dtype = "f32", shape = [4], symbol = "scratch" }

[[ops]]
name = "relu"
kind = "relu"
in = "x"
out = "h"
done = "enter:made"

[[ops]]
name = "double"
kind = "scale"
in = "h"
out = "out"
factor = 2
done = "enter:doubled"

[[ops]]
name = "grad"
kind = "scale"
in = "g"
out = "dh"
factor = 3
done = "enter:graded"

[[ops]]
name = "update"
kind = "add"
in = { a = "x", b = "dh" }
out = "x"
done = "enter:used"
"""


@pytest.fixture
def reuse(build, tmp_path: Path, gdb: str) -> Check:
    def reuse(*changes: tuple[str, str], layer_map: str = REUSE_MAP) -> Report:
        source = REUSE
        for change in changes:
            assert change[0] in source
            source = source.replace(*change)
        (tmp_path / "reuse.toml").write_text(layer_map)
        return nndbg.check(
            build("reuse", source), map=tmp_path / "reuse.toml", steps=range(2), culprit=False
        )

    return reuse


def test_a_buffer_that_means_one_thing_and_then_another_agrees(reuse: Check):
    report = reuse()
    assert report.error is None
    assert wrong(report) == []
    assert len(report.verdicts) == 8


def test_what_is_read_after_its_memory_was_used_again_is_found(reuse: Check):
    """The sum comes after the gradient: what it takes for the activation is the gradient."""
    moved = REUSE_MAP.replace("enter:doubled", "enter:X").replace("enter:graded", "enter:doubled")
    parts = moved.replace("enter:X", "enter:graded").split("[[ops]]")
    late = "[[ops]]".join([*parts[:2], parts[3], parts[2], parts[4]])
    start, end = REUSE.index("made:\n") + 6, REUSE.index("doubled:\n")
    after = REUSE.index("graded:\n")
    double, back = REUSE[start:end], REUSE[end + 9 : after]
    report = reuse((double + "doubled:\n" + back, back + "doubled:\n" + double), layer_map=late)
    assert wrong(report)[0] == (0, "double", "out")
    assert report.diagnosis[0].kind == "order"
    assert "after grad has changed it" in report.diagnosis[0].says


def test_a_stray_write_into_shared_memory_is_found_while_somebody_needs_it(reuse: Check):
    report = reuse(("doubled:\n", "doubled:\n    mov dword [out], 0\n"))
    assert wrong(report)[0] == (0, "grad", "out")
    report = reuse(("graded:\n", "graded:\n    mov dword [scratch + 4], 0\n"))
    assert wrong(report)[0] == (0, "update", "x")
