"""Each kind of mistake in a small program, found by what puts it right."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from nndbg.compare import Mode, Verdict
from nndbg.culprit.experiment import Found, experiment
from nndbg.decode import Disassembly
from nndbg.elf import read_executable
from nndbg.inferior import LiveSource
from nndbg.layermap import PlacedMap, load_map
from nndbg.ledger import Observation
from nndbg.session import Session

# Every op has its own output of 16 numbers, made of a and b. The line with a mistake in it says so.
PROGRAM = """\
; a step of many ops, most of them with one mistake
N equ 16
    default rel
    global _start
    section .text
_start:
    nop
step:
    nop
    lea rdi, [a]
    lea rsi, [b]
    lea rdx, [o_right]
    call add_right
done_right:
    nop
    lea rdx, [o_condition]
    call relu
done_condition:
    nop
    lea rdx, [o_opcode]
    call add_opcode
done_opcode:
    nop
    lea rdx, [o_number]
    call add_number
done_number:
    nop
    lea rdx, [o_address]
    call add_address
done_address:
    nop
    lea rdx, [o_register]
    call add_register
done_register:
    nop
    lea rdi, [b]                    ; mistake: pointer
    lea rdx, [o_pointer]
    call add_right
done_pointer:
    nop
    lea rdi, [a]
    lea rdx, [o_surplus]
    call add_surplus
done_surplus:
    nop
    lea rdx, [o_cleared]
    call total
done_cleared:
    nop
    lea rdx, [o_advanced]
    call add_advanced
done_advanced:
    nop
    lea rdi, [a]
    lea rsi, [b]
    lea rdx, [o_order]
    call difference
done_order:
    nop
    lea rdx, [o_called]             ; mistake: called
    nop
done_called:
    nop
    lea rdx, [o_writes]
    call add_and_write
done_writes:
    nop
    lea rdx, [o_repeated]
    lea rdi, [a]
    lea rsi, [b]
    call add_repeated
done_repeated:
    nop
    xor edi, edi
    xor esi, esi
    lea rdx, [o_waiting]
    call add_each
done_waiting:
    nop
    lea rdi, [a]
    lea rsi, [b]
    lea rdx, [o_undecided]
    call add_undecided
done_undecided:
    nop
    mov eax, 60
    xor edi, edi
    syscall

add_right:
    xor ecx, ecx
.next:
    movss xmm0, [rdi + rcx * 4]
    addss xmm0, [rsi + rcx * 4]
    movss [rdx + rcx * 4], xmm0
    inc ecx
    cmp ecx, N
    jl .next
    ret

relu:
    xor ecx, ecx
    xorps xmm1, xmm1
.next:
    movss xmm0, [rdi + rcx * 4]
    comiss xmm0, xmm1
    jb .keep                        ; mistake: condition
    xorps xmm0, xmm0
.keep:
    movss [rdx + rcx * 4], xmm0
    inc ecx
    cmp ecx, N
    jl .next
    ret

add_opcode:
    xor ecx, ecx
.next:
    movups xmm0, [rdi + rcx * 4]
    movups xmm1, [rsi + rcx * 4]
    subps xmm0, xmm1                ; mistake: opcode
    movups [rdx + rcx * 4], xmm0
    add ecx, 4
    cmp ecx, N
    jl .next
    ret

add_number:
    xor ecx, ecx
.next:
    movss xmm0, [rdi + rcx * 4]
    addss xmm0, [rsi + rcx * 4]
    movss [rdx + rcx * 4], xmm0
    inc ecx
    cmp ecx, N - 1                  ; mistake: number
    jl .next
    ret

add_address:
    xor ecx, ecx
.next:
    movss xmm0, [rdi + rcx * 4]
    addss xmm0, [rsi + rcx * 4 + 4] ; mistake: address
    movss [rdx + rcx * 4], xmm0
    inc ecx
    cmp ecx, N
    jl .next
    ret

add_register:
    xor ecx, ecx
.next:
    movss xmm0, [rdi + rcx * 4]
    movss xmm1, [rsi + rcx * 4]
    addss xmm0, xmm2                ; mistake: register
    movss [rdx + rcx * 4], xmm0
    inc ecx
    cmp ecx, N
    jl .next
    ret

add_surplus:
    xor ecx, ecx
.next:
    movss xmm0, [rdi + rcx * 4]
    addss xmm0, [rsi + rcx * 4]
    mulss xmm0, xmm0                ; mistake: surplus
    movss [rdx + rcx * 4], xmm0
    inc ecx
    cmp ecx, N
    jl .next
    ret

total:                              ; mistake: cleared
    xor ecx, ecx
.next:
    addss xmm0, [rdi + rcx * 4]
    inc ecx
    cmp ecx, N
    jl .next
    movss [rdx], xmm0
    ret

add_advanced:
    mov ecx, N
.next:
    movss xmm0, [rdi]
    addss xmm0, [rsi]
    movss [rdx], xmm0
    add rdi, 4
    add rdx, 4                      ; mistake: advanced
    dec ecx
    jnz .next
    ret

difference:
    xor ecx, ecx
.next:
    movss xmm0, [rdi + rcx * 4]
    movss xmm1, [rsi + rcx * 4]
    subss xmm0, xmm1                ; mistake: order
    mulss xmm1, [rate]
    movss [rdx + rcx * 4], xmm0
    inc ecx
    cmp ecx, N
    jl .next
    ret

add_and_write:
    xor ecx, ecx
.next:
    movss xmm0, [rdi + rcx * 4]
    addss xmm0, [rsi + rcx * 4]
    addss xmm0, xmm0                ; mistake: writes
    movss [rdx + rcx * 4], xmm0
    inc ecx
    cmp ecx, N
    jl .next
    mov eax, 1
    mov edi, 1
    lea rsi, [said]
    mov edx, 1
    syscall
    ret

add_repeated:
%assign k 0
%rep 8
    movss xmm0, [rdi + k]
    addss xmm0, [rdi + k]           ; mistake: repeated
    movss [rdx + k], xmm0
    movss xmm0, [rdi + k + 32]
    addss xmm0, [rsi + k + 32]
    movss [rdx + k + 32], xmm0
%assign k k + 4
%endrep
    ret

add_each:                           ; the arguments are set, and nobody is called
    push rbx
    xor ebx, ebx
.next:
    lea rcx, [a + rbx * 4]
    lea r8, [b + rbx * 4]           ; mistake: waiting
    inc ebx
    add rdx, 4
    cmp ebx, N
    jl .next
    pop rbx
    ret

add_one:
    movss xmm0, [rcx]
    addss xmm0, [r8]
    movss [rdx], xmm0
    ret

add_undecided:                      ; the last 8 sums are twice what they should be
    xor ecx, ecx
.next:
    movss xmm0, [rdi + rcx * 4]
    addss xmm0, [rsi + rcx * 4]
    cmp ecx, 99
    cmp ecx, 8                      ; mistake: undecided
    addss xmm0, xmm0
.store:
    movss [rdx + rcx * 4], xmm0
    inc ecx
    cmp ecx, N
    jl .next
    ret

    section .data align=64
    global a:data 64, b:data 64, rate:data 4
a:      dd 1.5, -2.0, 3.25, -4.0, 5.0, 6.5, -7.0, 8.0, 9.0, -1.25, 2.0, 3.0, -4.5, 5.5, 6.0, 7.0
b:      dd 0.5, 1.0, -1.5, 2.0, 2.5, -3.0, 3.5, 4.0, -4.5, 5.0, 5.5, 6.0, 6.5, 7.0, -7.5, 8.0
rate:   dd 0.25
said:   db "."

    section .bss align=64
{outputs}
        resb 64
"""
OPS = {
    "right": "add",
    "condition": "relu",
    "opcode": "add",
    "number": "add",
    "address": "add",
    "register": "add",
    "pointer": "add",
    "surplus": "add",
    "cleared": "sum_all",
    "advanced": "add",
    "order": "sgd",
    "called": "add",
    "writes": "add",
    "repeated": "add",
    "waiting": "add",
    "undecided": "add",
}
PARTS = {
    "add": 'in = { a = "a", b = "b" }',
    "relu": 'in = { z = "a" }',
    "sum_all": 'in = { a = "a" }',
    "sgd": 'in = { param = "a", grad = "b", lr = "rate" }',
}
# What has to stand in place of the mistake, or before the line behind it.
AMENDED = {
    "condition": ("jae",),
    "opcode": ("addps xmm0, xmm1",),
    "number": ("cmp ecx, 0x10", "jle"),
    "address": ("addss xmm0, [rsi+rcx*4]",),
    "register": ("addss xmm0, xmm1",),
    "surplus": ("",),
    "cleared": ("xorps xmm0, xmm0",),
    "waiting": ("call",),
}


def _map() -> str:
    text = ["[program]", 'name = "many"', 'step = "enter:step"', "[buffers]"]
    text += ['a = { dtype = "f32", shape = [16] }', 'b = { dtype = "f32", shape = [16] }']
    text += ['rate = { dtype = "f32", shape = [] }']
    for name, kind in OPS.items():
        shape = "[]" if kind == "sum_all" else "[16]"
        text.append(f'o_{name} = {{ dtype = "f32", shape = {shape} }}')
    for name, kind in OPS.items():
        text += ["[[ops]]", f'name = "{name}"', f'kind = "{kind}"', PARTS[kind]]
        text += [f'out = "o_{name}"', f'done = "enter:done_{name}"']
    return "\n".join(text)


def _source() -> str:
    outputs = "\n".join(
        f"    global o_{name}:data {4 if kind == 'sum_all' else 64}\n"
        f"    alignb 64\no_{name}: resb {4 if kind == 'sum_all' else 64}"
        for name, kind in OPS.items()
    )
    return PROGRAM.replace("{outputs}", outputs)


@pytest.fixture(scope="module")
def many(build, tmp_path_factory) -> tuple[PlacedMap, dict[str, tuple[Verdict, Observation]]]:
    """The program, and what was seen of each of its ops."""
    path: Path = tmp_path_factory.mktemp("many") / "many.toml"
    path.write_text(_map())
    placed = load_map(read_executable(build("many", _source())), path)
    with closing(Session(LiveSource(placed), [Mode.LOCAL])) as session:
        session.start(0)
        seen = [o for observations in session.stops_of_step() for o in observations]
    return placed, {o.op.name: (o.verdicts[0], o) for o in seen}


def _search(many, op: str, seconds: float = 20.0) -> tuple[Found, list[int]]:
    """Return what an experiment finds on an op, and the lines, the likeliest first."""
    placed, seen = many
    code = Disassembly(placed.executable)
    with closing(LiveSource(placed)) as source:
        found = experiment(source, code, *seen[op], seconds)
    lines = [placed.executable.line_at(r.change.site) for r in found.repairs if not r.wrong]
    return found, list(dict.fromkeys(line.line for line in lines if line is not None))


def _mistake(name: str) -> int:
    marked = (n for n, t in enumerate(_source().splitlines(), 1) if f"; mistake: {name}" in t)
    return next(marked)


MISTAKES = tuple(name for name in OPS if name not in ("right", "writes"))


@pytest.mark.parametrize("name", MISTAKES)
def test_the_line_with_the_mistake_comes_first(many, name: str) -> None:
    found, lines = _search(many, name)
    assert lines, found
    # What is missing may be put before the line behind it.
    missing = {"cleared": 2, "advanced": 1, "called": 1, "order": 1, "undecided": 1}.get(name, 0)
    assert _mistake(name) <= lines[0] <= _mistake(name) + missing, (lines, found.repairs[:5])
    first = found.repairs[0]
    assert first.wrong == 0
    assert all(repair.change.address in found.executed for repair in found.repairs)
    if name in AMENDED:
        assert first.change.text.startswith(AMENDED[name]), first.change.text


def test_a_right_op_has_nothing_to_repair(many) -> None:
    found, _ = _search(many, "right", 0.5)
    assert found.before == 0
    assert not found.repairs


def test_an_op_that_writes_is_tried_and_nothing_is_written(many, capfd) -> None:
    found, lines = _search(many, "writes")
    assert lines[0] == _mistake("writes")
    assert found.trials > 1
    assert "." not in capfd.readouterr().out


def test_what_a_line_was_made_into_is_changed_together(many) -> None:
    found, _ = _search(many, "repeated")
    change = found.repairs[0].change
    assert len(change.parts) == 8
    assert change.says.endswith("in all 8 repeats of the line")


def test_what_makes_the_operands_stands_beside_a_repair(many) -> None:
    found, _ = _search(many, "register")
    placed, _ = many
    lines = {placed.executable.line_at(address).line for address, _ in found.beside}
    assert lines, found
    assert all(address in found.executed for address, _ in found.beside)
