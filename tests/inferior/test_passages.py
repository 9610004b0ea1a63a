"""One function for three layers: which of its calls an op is, told by number or by registers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import nndbg
from nndbg.compare import Status
from nndbg.report import Report

# `layer` ends in `half`, by a jump; `half` is also called by itself.
PROGRAM = """\
; three layers by one function
    default rel
    global _start
    section .text
_start:
    mov r15d, 4
sample:
    lea rdi, [x]
    lea rsi, [W1]
    lea rdx, [a1]
    lea r9, [b1]
    mov ecx, 3
    mov r8d, 4
    call layer

    lea rdi, [a1]
    lea rsi, [W2]
    lea rdx, [a2]
    lea r9, [b2]
    mov ecx, 4
    mov r8d, 2
    call layer
    lea rdx, [a2]
    mov r8d, 2
    call half

    lea rdi, [a2]
    lea rsi, [W3]           ; third weights
    lea rdx, [a3]
    lea r9, [b3]
    mov ecx, 2
    mov r8d, 3
    call layer              ; third call
    movss xmm0, [a3]
    movss [x], xmm0
    dec r15d
    jnz sample
    mov eax, 60
    xor edi, edi
    syscall

; rdx[o] = (r9[o] + sum of rsi[o][i] * rdi[i]) / 2, i < rcx, o < r8
layer:
    xor r10d, r10d
.output:
    movss xmm0, [r9 + r10 * 4]
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
    cmp r10d, r8d
    jl .output
    jmp half

; rdx[o] /= 2, o < r8
half:
    xor eax, eax
.element:
    movss xmm0, [rdx + rax * 4]
    mulss xmm0, [point_five]
    movss [rdx + rax * 4], xmm0
    inc eax
    cmp eax, r8d
    jl .element
    ret

    section .data
point_five: dd 0.5
x:  dd 1.0, 2.0, 3.0
W1: dd 0.5, -1.5, 2.0, 1.0, 0.25, -0.75, 3.0, 1.25, -2.0, 0.125, 1.5, 0.375
W2: dd 1.0, -1.0, 0.5, 0.25, 2.0, 0.75, -0.5, 1.5
W3: dd 0.5, 1.5, -1.0, 2.0, 0.25, -0.25
b1: dd 0.5, 0.25, -0.5, 1.0
b2: dd 1.0, -1.0
b3: dd 0.125, 0.5, -2.0
    section .bss
a1: resd 4
a2: resd 2
a3: resd 3
"""

HEAD = """\
[program]
name = "layers"
step = "enter:sample"

[buffers]
x  = { dtype = "f32", shape = [1, 3] }
a1 = { dtype = "f32", shape = [1, 4] }
a2 = { dtype = "f32", shape = [1, 2] }
a3 = { dtype = "f32", shape = [1, 3] }
W1 = { dtype = "f32", shape = [4, 3] }
W2 = { dtype = "f32", shape = [2, 4] }
W3 = { dtype = "f32", shape = [3, 2] }
b1 = { dtype = "f32", shape = [4] }
b2 = { dtype = "f32", shape = [2] }
b3 = { dtype = "f32", shape = [3] }
"""
LAYER = """
[[ops]]
name = "layer{n}"
kind = "dense + scale"
in = {{ x = "{x}", W = "W{n}.T", b = "b{n}" }}
out = "a{n}"
factor = 0.5
enter = "enter:layer"
done = "return:layer"
{which}
"""
HALF = """
[[ops]]
name = "half"
kind = "scale"
in = "a2"
out = "a2"
factor = 0.5
done = {{ at = "return:half", nth = {nth} }}
"""

Check = Callable[..., Report]


def by_calls(*which: str) -> str:
    """A map whose layers are told apart by these lines."""
    layers = [
        LAYER.format(n=n, x=x, which=one)
        for n, (x, one) in enumerate(zip(("x", "a1", "a2"), which, strict=True), start=1)
    ]
    return HEAD + layers[0] + layers[1] + HALF.format(nth=3) + layers[2]


NUMBERED = by_calls("nth = 1", "nth = 2", "nth = 3")
BY_WEIGHTS = by_calls(*(f'call = {{ rsi = "W{n}" }}' for n in (1, 2, 3)))
BY_SIZE = by_calls("call = { r8d = 4 }", "call = { r8d = 2 }", "call = { r8d = 3 }")


@pytest.fixture
def check(build, tmp_path: Path, gdb: str) -> Check:
    def check(layer_map: str, *change: str, culprit: bool = False) -> Report:
        source = PROGRAM
        if change:
            assert change[0] in source
            source = source.replace(*change)
        (tmp_path / "layers.toml").write_text(layer_map)
        return nndbg.check(
            build("layers", source),
            map=tmp_path / "layers.toml",
            steps=range(2),
            culprit=culprit,
        )

    return check


def wrong(report: Report) -> dict[str, Status]:
    """The ops that are wrong in the first step, and how."""
    return {
        v.subject.op: v.status for v in report.verdicts if v.status.is_wrong and not v.subject.step
    }


@pytest.mark.parametrize("layer_map", [NUMBERED, BY_WEIGHTS, BY_SIZE])
def test_a_function_that_is_called_for_each_layer_agrees(check: Check, layer_map: str):
    report = check(layer_map)
    assert report.error is None
    assert report.agrees
    assert len(report.verdicts) == 8
    assert report.findings == ()


def test_the_weights_of_another_layer_are_found_at_the_third_call(check: Check):
    report = check(NUMBERED, "[W3]           ; third", "[W2]           ; third", culprit=True)
    assert wrong(report) == {"layer3": Status.DIVERGED}
    assert report.diagnosis[0].says == "layer3 reads W2 where W3 is meant"
    assert report.culprit is not None
    assert report.culprit.likeliest.instruction.startswith("lea rsi")


def test_a_call_that_takes_other_weights_is_none_of_the_op_that_is_told_by_them(check: Check):
    report = check(BY_WEIGHTS, "[W3]           ; third", "[W2]           ; third")
    (verdict,) = [v for v in report.verdicts if v.subject.op == "layer3" and not v.subject.step]
    assert verdict.status is Status.UNWRITTEN
    assert verdict.says == (
        "return:layer rsi=W3 was never passed: return:layer was passed 3 times in step 0, "
        "with rsi=W1, rsi=W2, rsi=W2"
    )


def test_a_call_that_is_left_out_is_missed_by_its_number(check: Check):
    report = check(NUMBERED, "    call layer              ; third call\n", "")
    (verdict,) = [v for v in report.verdicts if v.subject.op == "layer3" and not v.subject.step]
    assert verdict.status is Status.UNWRITTEN
    assert verdict.says == ("return:layer nth=3 was never passed: it was passed 2 times in step 0")


def test_a_fault_in_the_function_is_found_at_the_first_layer_that_shows_it(check: Check):
    report = check(NUMBERED, "    addss xmm0, xmm1\n", "    subss xmm0, xmm1\n", culprit=True)
    assert set(wrong(report)) == {"layer1", "layer2", "layer3"}
    assert report.culprit is not None
    assert "subss xmm0, xmm1" in {one.instruction for one in report.culprit.candidates}
