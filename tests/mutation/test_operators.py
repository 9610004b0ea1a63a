"""Each operator makes the changes that it is named for, and no others."""

import pytest

from .opcodes import other_conditions, other_opcodes
from .operators import OPERATORS, mutants

HEAD = "%define count       rdx\n%define param       rdi\n    section .text\n"


def changes(operator: str, code: str, head: str = HEAD) -> set[str]:
    """What an operator makes of a piece of code, without the lines that stay."""
    return {m.after for m in mutants("asm/f.asm", head + code) if m.operator == operator}


@pytest.mark.parametrize(
    ("operator", "code", "expected"),
    [
        ("opcode", "    vmaxps ymm0, ymm1, [rsi]", {"vminps ymm0, ymm1, [rsi]"}),
        ("opcode", "    cmovl rax, rcx", {f"cmov{c} rax, rcx" for c in ("ge", "le", "b")}),
        ("condition", "    jl .loop", {"jge .loop", "jle .loop", "jb .loop"}),
        ("condition", "    setz al", {"setnz al"}),
        ("register", "    sub count, rcx\n    inc param", {
            *("sub param, rcx", "sub rcx, rcx", "sub count, count", "sub count, param"),
            *("inc count", "inc rcx"),
        }),
        ("immediate", "    sub count, 8", {f"sub count, {n}" for n in (9, 7, 0, 16, -8)}),
        ("address", "    mov al, [param]", {f"mov al, [param {d}]" for d in ("+ 4", "- 4", "+ 1")}),
        ("operands", "    vsubps ymm2, ymm1, ymm0", {
            *("vsubps ymm2, ymm0, ymm1", "vsubps ymm1, ymm2, ymm0"),
        }),
        ("operands", "    sub count, 8", set()),
        ("swap", "    dec count\n    jnz .loop", {"jnz .loop / dec count"}),
        ("swap", "    dec count\n.next:\n    jnz .loop", set()),
        ("swap", "    call f\n    PROBE f", set()),
        ("delete", "    dec count\n    call f", {"(nothing)"}),
        ("call", "    dec count", set()),
        ("call", "    call f", {"(nothing)"}),
    ],
)  # fmt: skip
def test_an_operator_makes_these_changes(operator: str, code: str, expected: set[str]) -> None:
    assert changes(operator, code) == expected


def test_an_address_gets_another_scale_and_displacement() -> None:
    found = changes("address", "    movss xmm0, [param + rax * F32 + 64]")
    assert "movss xmm0, [param + rax * 8 + 64]" in found
    assert "movss xmm0, [param + rax + 64]" in found
    assert {f"movss xmm0, [param + rax * F32 + {n}]" for n in (0, 32, 128)} <= found


def test_a_definition_gets_another_register_or_number() -> None:
    assert "%define count rdi" in changes("define", "")
    assert changes("define", "", "ROWS equ 4") == {f"ROWS equ {n}" for n in (5, 3, 0, 8, -4)}


def test_a_number_in_the_data_is_an_immediate_and_a_text_is_none() -> None:
    head = "    section .rodata\n"
    assert "six: dd 7.0" in changes("immediate", "six: dd 6.0", head)
    assert changes("immediate", 'text: db "6", 0', head) == set()


def test_a_multiply_add_has_its_sign_and_its_order_changed() -> None:
    assert set(other_opcodes("vfmadd231ps")) == {
        *("vfnmadd231ps", "vfmsub231ps", "vfmadd132ps", "vfmadd213ps"),
    }


def test_a_jump_always_has_no_other_condition() -> None:
    assert other_conditions("jmp") == []


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_mutant_differs_in_one_place_and_keeps_the_number_of_lines(operator: str) -> None:
    text = (
        HEAD + "ROWS equ 4\nf:\n    mov count, 8\n    lea rsi, [param + 8]\n    call g\n"
        "    vsubps ymm0, ymm1, ymm2\n    jl f\n    ret\n"
    )
    found = [m for m in mutants("asm/f.asm", text) if m.operator == operator]
    assert found
    for mutant in found:
        before, after = text.splitlines(), mutant.text.splitlines()
        assert len(before) == len(after)
        differing = [n for n, (a, b) in enumerate(zip(before, after, strict=True), 1) if a != b]
        assert set(differing) <= {mutant.line, mutant.line + 1}


def test_the_name_of_a_mutant_is_its_own() -> None:
    found = list(mutants("asm/f.asm", HEAD + "    add rax, 1\n    add rax, 1\n"))
    assert len({m.key for m in found}) == len({m.text for m in found})
