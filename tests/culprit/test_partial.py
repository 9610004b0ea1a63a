"""The running value of a lane beside its partial sums, in products that go wrong one way each."""

from __future__ import annotations

from pathlib import Path

import pytest

FLAGS = Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0].split()
DENSE = """\
[[ops]]
name = "dense"
kind = "dense"
in   = { x = "x", W = "W", b = "b" }
out  = "z"
done = "enter:done"
"""
BIAS = """\
[[ops]]
name = "bias"
kind = "dense_grad_bias"
in   = { grad = "W" }
out  = "s"
done = "enter:done"
"""
# One column at a time, a term after the other, by multiplication and addition.
SCALAR = """\
    xor r8d, r8d                        ; row
.row:
    xor r9d, r9d                        ; column
.column:
    movss xmm0, [b + r9 * 4]
    imul rsi, r8, 96
    lea rsi, [rsi + x]
    lea rdi, [W + r9 * 4]
    mov ecx, 24
.term:
    movss xmm1, [rsi]
    mulss xmm1, [rdi]
    addss xmm0, xmm1
    {each}
    add rsi, 4
    add rdi, 96
    dec ecx
    jnz .term
    {last}
    imul rax, r8, 96
    lea rax, [rax + z]
    movss [rax + r9 * 4], xmm0
    inc r9
    cmp r9, 24
    jb .column
    inc r8
    cmp r8, 2
    jb .row"""
# Eight columns at a time, even and odd terms in two accumulators, by fused multiply-add.
AVX2 = """\
    xor r8d, r8d
.row:
    xor r9d, r9d
.tile:
    vmovups ymm0, [b + r9 * 4]
    vxorps ymm4, ymm4, ymm4
    imul rsi, r8, 96
    lea rsi, [rsi + x]
    lea rdi, [W + r9 * 4]
    mov ecx, 12
.term:
    vbroadcastss ymm1, [rsi]
    vfmadd231ps ymm0, ymm1, [rdi]
    vbroadcastss ymm1, [rsi + 4]
    vmovups ymm2, [rdi + 96]
    vfmadd231ps ymm4, ymm1, ymm2
    {each}
    add rsi, 8
    add rdi, 192
    dec ecx
    jnz .term
    vaddps ymm0, ymm0, ymm4
    imul rax, r8, 96
    lea rax, [rax + z]
    vmovups [rax + r9 * 4], ymm0
    add r9, 8
    cmp r9, 24
    jb .tile
    inc r8
    cmp r8, 2
    jb .row
    vzeroupper"""
# Sixteen columns at a time, the last eight under a mask.
AVX512 = """\
    xor r8d, r8d
.row:
    xor r9d, r9d
    mov eax, 0xffff
.tile:
    kmovw k1, eax
    vmovups zmm20{{k1}}{{z}}, [b + r9 * 4]
    imul rsi, r8, 96
    lea rsi, [rsi + x]
    lea rdi, [W + r9 * 4]
    mov ecx, 24
.term:
    vmovups zmm2{{k1}}{{z}}, [rdi]
    vfmadd231ps zmm20, zmm2, [rsi]{{1to16}}
    {each}
    add rsi, 4
    add rdi, 96
    dec ecx
    jnz .term
    imul rdx, r8, 96
    lea rdx, [rdx + z]
    vmovups [rdx + r9 * 4]{{k1}}, zmm20
    add r9, 16
    mov eax, 0x00ff
    cmp r9, 24
    jb .tile
    inc r8
    cmp r8, 2
    jb .row
    vzeroupper"""
# Four terms at a time, summed across the lanes in the end.
ACROSS = """\
    xor r8d, r8d
.column:
    lea rdi, [W + r8 * 4]
    xorps xmm0, xmm0
    mov ecx, 6
.four:
    movss xmm1, [rdi]
    movss xmm2, [rdi + 96]
    movss xmm3, [rdi + 192]
    movss xmm4, [rdi + 288]
    unpcklps xmm1, xmm2
    unpcklps xmm3, xmm4
    movlhps xmm1, xmm3
    addps xmm0, xmm1
    add rdi, 384
    dec ecx
    jnz .four
    haddps xmm0, xmm0
    haddps xmm0, xmm0
    movss [s + r8 * 4], xmm0
    inc r8
    cmp r8, 24
    jb .column"""


def written(code: str, each: str = "", last: str = "") -> str:
    return code.format(each=each, last=last)


def in_turn_12(code: str) -> str:
    return f"cmp ecx, 12\n    jne .on\n    {code}\n.on:"


def needs(*flags: str):
    absent = [flag for flag in flags if flag not in FLAGS]
    return pytest.mark.skipif(bool(absent), reason=f"no {', '.join(absent)} on this processor")


BROKEN = [
    pytest.param(
        written(SCALAR).replace("addss xmm0, xmm1", "subss xmm0, xmm1"), DENSE,
        "subss xmm0, xmm1", "k = 0: the arithmetic at product.asm:", id="wrong opcode",
    ),
    pytest.param(
        written(SCALAR, last="xorps xmm2, xmm2\n    maxss xmm0, xmm2"), DENSE,
        "maxss xmm0, xmm2", "changes a sum that was right", id="a step too many",
    ),
    pytest.param(
        written(SCALAR, each=in_turn_12("addss xmm0, xmm1")), DENSE,
        "addss xmm0, xmm1",
        "k = 12: the lane takes x[0,12] * W[12,0] a second time", id="a term twice",
    ),
    pytest.param(
        written(SCALAR, each=in_turn_12("movss xmm0, xmm1")), DENSE,
        "movss xmm0, xmm1", "throws a running sum away: k = 0, k = 1, k = 2", id="overwritten",
    ),
    pytest.param(
        written(AVX2, each=in_turn_12("vzeroupper").replace("12", "6")), DENSE,
        "vzeroupper", "throws a running sum away", id="upper lanes lost", marks=needs("fma"),
    ),
    pytest.param(
        written(AVX2).replace("vfmadd231ps ymm4", "vfnmadd231ps ymm4"), DENSE,
        "vfnmadd231ps ymm4, ymm1, ymm2", "makes the sum with the other sign",
        id="one accumulator's sign", marks=needs("fma"),
    ),
    pytest.param(
        written(AVX2).replace("vxorps ymm4, ymm4, ymm4", "nop"), DENSE,
        "vfmadd231ps ymm4, ymm1, ymm2", "k = 1: the lane still holds W[1,0]",
        id="not cleared", marks=needs("fma"),
    ),
    pytest.param(
        written(AVX512, each=in_turn_12("cmp r9, 16\n    jne .on\n    vmovaps zmm20, zmm2")), DENSE,
        "vmovaps zmm20, zmm2", "has thrown the running sum away",
        id="a register above 15", marks=needs("avx512f"),
    ),
    pytest.param(
        ACROSS.replace("addps xmm0, xmm1", "maxps xmm0, xmm1"), BIAS,
        "maxps xmm0, xmm1", "the arithmetic at product.asm:", id="across the lanes",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("code", "op", "instruction", "says"), BROKEN)
def test_who_makes_a_running_sum_wrong_is_accused(culprit, code, op, instruction, says):
    found = culprit(code, op)
    # A repair comes first, which may be one of what leads to the step that is wrong.
    assert found.likeliest.amended is not None
    assert instruction in [suspect.instruction for suspect in found.candidates[:3]]
    assert found.computed is not None
    assert says in found.computed.says


@pytest.mark.parametrize(
    ("code", "says"),
    [
        pytest.param(
            written(SCALAR, each=in_turn_12("add rdi, 4")),
            "k = 13: the lane got x[0,13] * W[13,1], expected W[13,0]", id="one by one",
        ),
        pytest.param(
            written(AVX2).replace("[rdi + 96]", "[rdi + 100]"),
            "k = 1: the lane got x[0,1] * W[1,1], expected W[1,0]",
            id="in two accumulators", marks=needs("fma"),
        ),
        pytest.param(
            written(AVX512, in_turn_12("kxorw k1, k1, k1")).replace("]{k1}, zmm20", "], zmm20"),
            "k = 13: the lane got x[0,13] * 0, expected W[13,0]",
            id="masked off", marks=needs("avx512f"),
        ),
    ],
)  # fmt: skip
def test_the_first_wrong_term_is_told_with_what_was_expected(culprit, code, says):
    computed = culprit(code, DENSE).computed
    assert computed is not None
    assert computed.says == says
    *before, wrong = computed.turns
    assert before
    assert all(turn.is_right for turn in before)
    assert not wrong.is_right


def test_terms_that_never_came_are_told_without_blaming_the_arithmetic(culprit):
    found = culprit(written(SCALAR).replace("mov ecx, 24", "mov ecx, 23"), DENSE)
    assert found.computed is not None
    assert found.computed.says == "every partial sum is right, and k = 23 was never added"
    assert all(turn.is_right for turn in found.computed.turns)
    assert not any("arithmetic" in suspect.says for suspect in found.candidates)


# Sums that are right although they are made in ways of their own, and an element that is not.
SOUND = [
    pytest.param(
        """\
    xor r9d, r9d
.column:
    xorpd xmm0, xmm0
    mov ecx, 23
.term:
    imul rdi, rcx, 96
    lea rdi, [rdi + W]
    cvtss2sd xmm1, [rdi + r9 * 4]
    subsd xmm0, xmm1
    dec ecx
    jns .term
    xorpd xmm2, xmm2
    subsd xmm2, xmm0
    cvtsd2ss xmm2, xmm2
    {spoil}
    movss [s + r9 * 4], xmm2
    inc r9
    cmp r9, 24
    jb .column""",
        id="in double, backwards, with the other sign",
    ),
    pytest.param(
        """\
    xor r9d, r9d
.column:
    xorps xmm2, xmm2
    xorps xmm3, xmm3
    lea rdi, [W + r9 * 4]
    mov ecx, 24
.term:
    movss xmm4, [rdi]
    subss xmm4, xmm3
    movss xmm5, xmm2
    addss xmm5, xmm4
    movaps xmm3, xmm5
    subss xmm3, xmm2
    subss xmm3, xmm4
    movaps xmm2, xmm5
    add rdi, 96
    dec ecx
    jnz .term
    {spoil}
    movss [s + r9 * 4], xmm2
    inc r9
    cmp r9, 24
    jb .column""",
        id="compensated",
    ),
]


@pytest.mark.parametrize("code", SOUND)
def test_what_adds_up_right_in_another_way_is_not_accused(culprit, code):
    spoil = "cmp r9, 9\n    jne .on\n    mulss xmm2, [factor]\n.on:"
    found = culprit(code.format(spoil=spoil), BIAS)
    said = [suspect.says for suspect in found.candidates if "mulss" not in suspect.instruction]
    assert not any("arithmetic" in says or "sum" in says for says in said)
    assert found.element == "s[9]"
