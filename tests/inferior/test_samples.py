"""Programs that go sample by sample, count nothing, and update in a loop of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import nndbg
from nndbg.compare import Status
from nndbg.report import Report

# z = W x + b of one sample; the gradients of two add up before W and b move and they are cleared.
ONLINE = """\
; a layer that learns sample by sample, its weights stored [out, in]
    default rel
    global _start
    section .text
_start:
    mov r15d, 8
.sample:
    movss xmm0, [x]
    addss xmm0, [rate]
    movss [x], xmm0
    call forward
    call error
    call outer
    dec r15d
    test r15d, 1
    jnz .next
    call update
.next:
    test r15d, r15d
    jnz .sample
    mov eax, 60
    xor edi, edi
    syscall

forward:
    xor r10d, r10d
    lea rsi, [W]
.output:
    lea rdx, [b]
    movss xmm0, [rdx + r10 * 4]
    lea rdi, [x]
    xor eax, eax
.input:
    movss xmm1, [rdi + rax * 4]
    mulss xmm1, [rsi]
    addss xmm0, xmm1
    add rsi, 4
    inc eax
    cmp eax, 3
    jl .input
    lea rdx, [z]
    movss [rdx + r10 * 4], xmm0
    inc r10d
    cmp r10d, 2
    jl .output
    ret

; d = z / 2
error:
    movsd xmm0, [z]
    movsd xmm1, [half]
    mulps xmm0, xmm1
    movsd [d], xmm0
    ret

; dW[o][i] += d[o] x[i], db[o] += d[o]
outer:
    xor r10d, r10d
    lea rdi, [dW]
.row:
    lea rdx, [d]
    movss xmm0, [rdx + r10 * 4]
    lea rsi, [x]
    xor eax, eax
.column:
    movss xmm1, [rsi + rax * 4]
    mulss xmm1, xmm0
    addss xmm1, [rdi]
    movss [rdi], xmm1
    add rdi, 4
    inc eax
    cmp eax, 3
    jl .column
    lea rdx, [db]
    addss xmm0, [rdx + r10 * 4]
    movss [rdx + r10 * 4], xmm0
    inc r10d
    cmp r10d, 2
    jl .row
    ret

update:
    lea rdi, [W]
    lea rsi, [dW]
    mov ecx, 6
    call descend
    lea rdi, [b]
    lea rsi, [db]
    mov ecx, 2
    jmp descend             ; the last call is a jump

descend:
    movss xmm0, [rsi]
    mulss xmm0, [rate]
    movss xmm1, [rdi]
    subss xmm1, xmm0
    movss [rdi], xmm1
    mov dword [rsi], 0
    add rdi, 4
    add rsi, 4
    dec ecx
    jnz descend
    ret

    section .data
rate: dd 0.125
half: dd 0.5, 0.5
x: dd 1.0, -2.0, 0.5
W: dd 0.5, -1.5, 2.0, 1.0, 0.25, -0.75
b: dd 0.5, 0.25
    section .bss
z: resd 2
d: resd 2
dW: resd 6
db: resd 2
"""
ONLINE_MAP = """\
[program]
name = "online"
step = "enter:_start.sample"

[phases.update]
step = "enter:update"

[buffers]
x    = { dtype = "f32", shape = [1, 3] }
W    = { dtype = "f32", shape = [2, 3] }
b    = { dtype = "f32", shape = [2] }
z    = { dtype = "f32", shape = [1, 2] }
d    = { dtype = "f32", shape = [1, 2] }
dW   = { dtype = "f32", shape = [2, 3] }
db   = { dtype = "f32", shape = [2] }
rate = { dtype = "f32", shape = [] }

[[ops]]
name = "forward"
kind = "dense"
in   = { x = "x", W = "W.T", b = "b" }
out  = "z"
done = "return:forward"

[[ops]]
name = "error"
kind = "scale"
in   = "z"
out  = "d"
factor = 0.5
done = "return:error"

[[ops]]
name = "grad_W"
kind = "dense_grad_weight_accumulate"
in   = { x = "x", grad = "d" }
out  = "dW.T"
done = "return:outer"

[[ops]]
name = "grad_b"
kind = "dense_grad_bias_accumulate"
in   = "d"
out  = "db"
done = "return:outer"

[[ops]]
phase = "update"
name = "W"
kind = "sgd"
in   = { grad = "dW", lr = "rate" }
out  = "W"
done = "return:descend"
nth  = 1

[[ops]]
phase = "update"
name = "clear_W"
kind = "fill"
out  = "dW"
done = "return:descend"
nth  = 1

[[ops]]
phase = "update"
name = "b"
kind = "sgd"
in   = { grad = "db", lr = "rate" }
out  = "b"
done = "return:update"

[[ops]]
phase = "update"
name = "clear_b"
kind = "fill"
out  = "db"
done = "return:update"
"""

Check = Callable[..., Report]


@pytest.fixture
def check(build, tmp_path: Path, gdb: str) -> Check:
    def check(
        *change: str, phase: str = "train", culprit: bool = False, layer_map: str = ONLINE_MAP
    ) -> Report:
        source = ONLINE
        if change:
            assert change[0] in source
            source = source.replace(*change)
        (tmp_path / "online.toml").write_text(layer_map)
        return nndbg.check(
            build("online", source),
            map=tmp_path / "online.toml",
            phase=phase,
            steps=range(4),
            culprit=culprit,
        )

    return check


def wrong(report: Report) -> list[tuple[int, str, str]]:
    return [
        (v.subject.step, v.subject.op, v.subject.buffer)
        for v in report.verdicts
        if v.status.is_wrong
    ]


@pytest.mark.parametrize("phase", ["train", "update"])
def test_samples_and_updates_that_take_turns_agree(check: Check, phase: str):
    report = check(phase=phase)
    assert report.error is None
    assert wrong(report) == []
    assert len(report.verdicts) == 4 * 4


def test_a_gradient_that_is_not_added_up_is_found_in_the_second_sample(check: Check):
    report = check("    addss xmm1, [rdi]\n", "", culprit=True)
    assert wrong(report) == [(1, "grad_W", "dW"), (3, "grad_W", "dW")]
    assert report.culprit is not None
    assert report.culprit.likeliest.function == "outer"


def test_gradients_that_another_phase_does_not_clear_are_found_in_that_one(check: Check):
    broken = ("    mov dword [rsi], 0\n", "")
    assert wrong(check(*broken)) == []
    assert {op for _, op, _ in wrong(check(*broken, phase="update"))} == {"clear_W", "clear_b"}


def test_between_samples_only_what_the_next_one_goes_on_with_has_to_stay(check: Check):
    report = check(".next:\n", ".next:\n    mov dword [z], 0\n    mov dword [d], 0\n")
    assert wrong(report) == []
    spoilt = check("error:\n", "error:\n    mov dword [W + 4], 0\n")
    assert wrong(spoilt)[0] == (0, "error", "W")


def test_what_no_op_of_any_phase_does_between_two_samples_is_found(check: Check):
    begin, end = ONLINE_MAP.index("[phases"), ONLINE_MAP.index("[buffers]")
    samples = ONLINE_MAP[:begin] + ONLINE_MAP[end : ONLINE_MAP.index('[[ops]]\nphase = "update"')]
    found = wrong(check(layer_map=samples))
    assert found == [(step, "grad_b", name) for step in (1, 3) for name in ("dW", "db")]


def test_a_change_between_two_samples_is_no_update_where_none_began(check: Check):
    found = wrong(check(".next:\n", ".next:\n    mov dword [dW], 0\n"))
    assert found == [(step, "grad_b", "dW") for step in (0, 2)]


@pytest.mark.parametrize(
    "step",
    [
        '"return:update"',
        '"enter:descend"',  # which begins with a loop of its own
        '{ at = "enter:descend", call = { rdi = "b" } }',
        '{ at = "return:descend", call = { ecx = 2 } }',
    ],
)
def test_an_update_is_noticed_wherever_its_steps_begin(check: Check, step: str):
    layer_map = ONLINE_MAP.replace('"enter:update"', step)
    assert wrong(check(layer_map=layer_map)) == []
    layer_map = layer_map.replace("ecx = 2", "ecx = 1").replace('rdi = "b"', 'rdi = "z"')
    if layer_map != ONLINE_MAP.replace('"enter:update"', step):
        assert {step for step, _, _ in wrong(check(layer_map=layer_map))} == {1, 3}


def test_an_update_in_the_wrong_direction_is_found_in_its_own_phase(check: Check):
    report = check("subss xmm1, xmm0", "addss xmm1, xmm0", phase="update")
    assert (0, "W", "W") in wrong(report)
    assert (0, "b", "b") in wrong(report)


# What gcc makes of it: the address of `h` is only in registers, `kept` is on the stack.
NET = r"""
#include <stdlib.h>
double *W, b[2] = {0.5, -1}, x[3] = {1, 2, 3};
int y[1];
__attribute__((noinline)) double *layer(const double *in, const double *w, double *out) {
    for (int o = 0; o < 2; o++) {
        double sum = b[o];
        for (int i = 0; i < 3; i++) sum += in[i] * w[o * 3 + i];
        out[o] = sum;
    }
    return out;
}
__attribute__((noinline)) int best(const double *z) { return z[1] > z[0]; }
__attribute__((noinline)) void step(int n) {
    double *h = malloc(2 * sizeof *h), kept[2];
    layer(x, W, h);
    for (int i = 0; i < 2; i++) kept[i] = h[i] > 0 ? h[i] : 0;
    __asm__ volatile("" ::: "memory");
    y[0] = best(kept);
    free(h);
    for (int i = 0; i < 6; i++) W[i] *= 0.5;
    x[0] += n;
}
int main(void) {
    W = malloc(6 * sizeof *W);
    for (int i = 0; i < 6; i++) W[i] = i - 2.5;
    for (int n = 0; n < 3; n++) step(n);
}
"""
NET_MAP = """\
[program]
name = "net"
step = "enter:step"

[buffers]
x    = { dtype = "f64", shape = [1, 3], scratch = true }
W    = { dtype = "f64", shape = [2, 3], pointer = "W" }
b    = { dtype = "f64", shape = [2] }
h    = { dtype = "f64", shape = [1, 2], at = "enter:layer", register = "rdx" }
kept = { dtype = "f64", shape = [1, 2], at = "enter:best", register = "rdi", scratch = true }
y    = { dtype = "i32", shape = [1] }

[[ops]]
name = "layer"
kind = "dense"
in   = { x = "x", W = "W.T", b = "b" }
out  = "h"
done = "return:layer"

[[ops]]
name = "relu"
kind = "relu"
in   = "h"
out  = "kept"
done = "enter:best"

[[ops]]
name = "best"
kind = "argmax"
in   = "kept"
out  = "y"
done = "return:step"

[[ops]]
name = "shrink"
kind = "scale"
in   = "W"
out  = "W"
factor = 0.5
done = "return:step"
"""


@pytest.fixture
def check_c(build, tmp_path: Path, gdb: str) -> Check:
    def check_c(*change: str, **how: bool) -> Report:
        assert not change or change[0] in NET
        source = NET.replace(*change) if change else NET
        (tmp_path / "net.toml").write_text(NET_MAP)
        return nndbg.check(
            build("net", source, "-O1", "-g"), map=tmp_path / "net.toml", steps=range(2), **how
        )

    return check_c


def test_optimised_c_agrees_on_heap_and_stack(check_c: Check):
    report = check_c()
    assert report.error is None
    assert wrong(report) == []
    assert len(report.verdicts) == 2 * 4


def test_a_fault_on_the_heap_is_followed_to_its_line(check_c: Check):
    report = check_c("sum += in", "sum -= in")
    assert wrong(report)[0] == (0, "layer", "h")
    assert report.culprit is not None
    assert report.culprit.likeliest.function == "layer"


def test_a_fault_on_the_stack_is_followed_to_its_line(check_c: Check):
    report = check_c("h[i] > 0 ?", "h[i] < 0 ?")
    assert [v.status for v in report.verdicts if v.subject.op == "relu"] == [Status.DIVERGED] * 2
    assert report.culprit is not None
    assert report.culprit.likeliest.function == "step"


def test_a_loop_back_to_a_function_s_first_instruction_is_no_call(check: Check):
    """`descend` begins with its loop: a step of the update is one call of it, and not one turn."""
    calls = ONLINE_MAP.replace('step = "enter:update"', 'step = "enter:descend"')
    first, _, rest = calls.partition('[[ops]]\nphase = "update"\nname = "b"')
    assert rest
    once = first.replace("nth  = 1\n", "")
    conditions = once.replace('out  = "W"\n', 'out  = "W"\nenter = "enter:descend"\n')
    per_call = conditions.replace(
        'step = "enter:descend"', 'step = { at = "enter:descend", call = { rdi = "W" } }'
    )
    report = check(phase="update", layer_map=per_call)
    assert report.error is None
    assert wrong(report) == []
    assert len(report.verdicts) == 4 * 2
