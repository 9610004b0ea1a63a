"""Audits and poison of a live program: one op in NASM, and what it does besides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from nndbg.elf import read_executable
from nndbg.finding import ALL_AUDITS, Audit, Finding
from nndbg.hunt import check_steps
from nndbg.inferior import LiveSource
from nndbg.layermap import parse_map, place_map
from nndbg.report import Report
from nndbg.session import Session

from .conftest import LIMIT, NET, NET_MAP

RELU = """
    movq    xmm0, [z]
    xorps   xmm1, xmm1
    maxps   xmm1, xmm0
    movq    [h], xmm1
"""
PROGRAM = """\
; h = max(z, 0) for two numbers, again and again.
    default rel
    global  _start
    section .text
_start:
    mov     ebx, 20
step:
    nop
begin:
    call    relu
end:
    nop
    inc     qword [number]
    dec     ebx
    jnz     step
    xor     edi, edi
    mov     eax, 60
    syscall

relu:
    nop
    BODY
inside:
    nop
    BESIDES
    ret

    global  z:data (z.end - z)
    global  h:data (h.end - h)
    section .data
    align   16
z:      dd -1.0, 2.0
.end:
h:      dd 0.0, 2.0
.end:
number: dq 0
"""
MAP = """\
[program]
name = "op"
step = "enter:step"
counter = "number"

[buffers]
z = { dtype = "f32", shape = [2] }
h = { dtype = "f32", shape = [2] }

[[ops]]
name = "relu"
kind = "relu"
in = { z = "z" }
out = "h"
enter = "enter:begin"
done = "enter:end"
"""
WITHOUT_ENTER = MAP.replace('enter = "enter:begin"\n', "")
FROM_ENTRY = MAP.replace("enter:begin", "enter:relu")
WITHIN = FROM_ENTRY.replace("enter:end", "enter:inside")
Check = Callable[..., Report]


@pytest.fixture
def check(build: Callable[..., Path], gdb: str) -> Iterator[Check]:
    """Checks the op with what it does besides; the program is ended after the test."""
    del gdb
    sessions: list[Session] = []

    def check(
        besides: str = "",
        body: str = RELU,
        text: str = MAP,
        audits: Collection[Audit] = ALL_AUDITS,
        steps: range = range(1),
        change: Callable[[str], str] = str,
    ) -> Report:
        source = change(PROGRAM.replace("BODY", body).replace("BESIDES", besides))
        executable = read_executable(build("op", source))
        placed = place_map(parse_map(text, "op.toml"), executable)
        sessions.append(Session(LiveSource(placed, (), LIMIT, audits=audits), audits=audits))
        return check_steps(sessions[-1], steps)

    yield check
    for session in sessions:
        session.close()


def kinds(findings: Collection[Finding]) -> list[tuple[str, str]]:
    return [(finding.audit.value, finding.level.value) for finding in findings]


# Registers

BESIDES = {
    "a register that the caller needs": ("xor ebx, ebx", "registers", "error"),
    "a register that nobody needs": ("mov r12d, 5", "registers", "note"),
    "the frame pointer": ("mov ebp, 5", "registers", "note"),
    "an argument that nobody pushed": ("ret 8", "stack", "error"),
    "the direction flag": ("std", "direction", "error"),
    "rounding": ("push 0x7f80\n    ldmxcsr [rsp]\n    pop rax", "mxcsr", "error"),
    "a mask": ("push 0x1f00\n    ldmxcsr [rsp]\n    pop rax", "mxcsr", "error"),
    "x87's precision": ("push 0x27f\n    fldcw [rsp]\n    pop rax", "mxcsr", "error"),
    "upper halves": ("vpcmpeqd ymm3, ymm3, ymm3", "upper", "note"),
}
HARMLESS = {
    "nothing": "",
    "registers that a function may use": "mov eax, 1\n    mov r11d, 2\n    mov esi, 3",
    "a register that is restored": "push rbx\n    mov ebx, 1\n    pop rbx",
    "the direction flag for a while": "std\n    cld",
    "rounding for a while": "push 0x7f80\n    ldmxcsr [rsp]\n    pop rax\n"
    "    push 0x1f80\n    ldmxcsr [rsp]\n    pop rax",
    "status flags": "mov eax, 1\n    cvtsi2ss xmm3, eax\n    mov eax, 3\n    cvtsi2ss xmm4, eax\n"
    "    divss xmm3, xmm4",
    "upper halves that are cleared": "vpcmpeqd ymm3, ymm3, ymm3\n    vzeroupper",
}


def has_avx2() -> bool:
    return " avx2 " in Path("/proc/cpuinfo").read_text().replace("\n", " ")


def skip_without_avx2(code: str) -> None:
    if "ymm" in code and not has_avx2():
        pytest.skip("this processor has no AVX2")


@pytest.mark.parametrize("text", [MAP, FROM_ENTRY], ids=["from the call", "from the entry"])
@pytest.mark.parametrize("case", BESIDES)
def test_what_an_op_leaves_behind_is_found(check: Check, case: str, text: str):
    besides, audit, level = BESIDES[case]
    skip_without_avx2(besides)
    report = check(besides, text=text)
    assert kinds(report.findings) == [(audit, level)], report.findings
    assert not report.wrong
    assert report.agrees == (level == "note")


@pytest.mark.parametrize("text", [MAP, FROM_ENTRY, WITHIN], ids=["call", "entry", "within"])
@pytest.mark.parametrize("case", HARMLESS)
def test_what_an_op_may_do_is_no_finding(check: Check, case: str, text: str):
    skip_without_avx2(HARMLESS[case])
    report = check(HARMLESS[case], text=text)
    assert report.findings == ()
    assert report.agrees


@pytest.mark.parametrize("case", BESIDES)
def test_each_audit_can_be_switched_off(check: Check, case: str):
    besides, audit, _ = BESIDES[case]
    skip_without_avx2(besides)
    report = check(besides, audits=ALL_AUDITS - {Audit(audit)})
    assert report.findings == ()
    assert report.agrees


@pytest.mark.parametrize("case", BESIDES)
def test_nothing_is_said_of_an_op_whose_beginning_is_not_known(check: Check, case: str):
    besides = BESIDES[case][0]
    skip_without_avx2(besides)
    assert check(besides, text=WITHOUT_ENTER).findings == ()


def test_what_a_function_does_with_its_own_registers_is_its_own_affair(check: Check):
    body = f"mov ebx, 20\n    mov r12d, 7\n    {RELU}"
    assert check(body=body, text=WITHIN).findings == ()
    in_the_caller = PROGRAM.replace(
        "    call    relu\n", "    call    relu\n    lea r12, [rbx + 1]\n"
    )
    assert in_the_caller != PROGRAM
    moved = "    call    relu\n    lea r12, [rbx + 1]\n"
    assert check(change=lambda t: t.replace("    call    relu\n", moved)).findings == ()


def test_what_the_code_between_the_boundaries_does_itself_is_only_a_note(check: Check):
    for own, audit in (("push rax", "stack"), ("std", "direction")):
        moved = f"    call    relu\n    {own}\n"
        report = check(change=lambda t, moved=moved: t.replace("    call    relu\n", moved))
        assert kinds(report.findings) == [(audit, "note")], own
        assert report.agrees


def test_a_finding_says_which_register_and_what_was_in_it(check: Check):
    (finding,) = check("mov ebx, 7").findings
    assert (finding.step, finding.op) == (0, "relu")
    assert finding.says.startswith("rbx is 0x14 when relu begins and 0x7 when it is complete: ")
    assert finding.says.endswith("does not restore it, and the caller goes on with it")


def test_the_first_step_of_a_sweep_is_audited_and_no_other(check: Check):
    report = check("std", steps=range(10))
    assert [(f.step, f.audit.value) for f in report.findings] == [(0, "direction")]
    # In later steps the flag is set when the op begins, so each step clears it again.
    clear = "\n    cld\nbegin:\n"
    every = check("std", steps=range(10), change=lambda t: t.replace("\nbegin:\n", clear))
    assert [f.step for f in every.findings] == [0]
    few = check("std", steps=range(3), change=lambda t: t.replace("\nbegin:\n", clear))
    assert [f.step for f in few.findings] == [0, 1, 2]


# A network in C, whose compiler keeps the rules


ENTERED = NET_MAP.replace('done = "enter:loaded"', 'enter = "enter:step"\ndone = "enter:loaded"')
ENTERED = ENTERED.replace('done = "enter:done"', 'enter = "enter:loaded"\ndone = "enter:done"')


@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-O3"])
@pytest.mark.parametrize("pie", ["-no-pie", "-pie"])
def test_a_compiled_program_has_no_findings(build, gdb: str, level: str, pie: str):
    del gdb
    program = build("net", NET, "-g", level, pie)
    placed = place_map(parse_map(ENTERED, "net.toml"), read_executable(program))
    with Session(LiveSource(placed, (), LIMIT, audits=ALL_AUDITS), audits=ALL_AUDITS) as session:
        report = check_steps(session, range(3))
    assert report.agrees, report.error
    assert report.findings == ()


# Poison


LAST_MISSING = RELU.replace("movq    [h], xmm1", "movss   [h], xmm1")
ADDED = RELU.replace(
    "    movq    [h], xmm1", "    movq xmm2, [h]\n    addps xmm1, xmm2\n    movq [h], xmm1"
)
OF_THE_OLD = RELU.replace("xorps   xmm1, xmm1", "movq    xmm1, [h]")


def old(first: float, second: float) -> Callable[[str], str]:
    """Begin with other numbers in h."""
    return lambda text: text.replace("h:      dd 0.0, 2.0", f"h:      dd {first}, {second}")


@pytest.mark.parametrize("text", [MAP, WITHOUT_ENTER], ids=["at its beginning", "at the step's"])
def test_an_element_that_is_right_only_because_it_was_before_is_worth_a_note(check, text: str):
    report = check(body=LAST_MISSING, text=text)
    (finding,) = report.findings
    assert (finding.audit, finding.level, finding.where) == ("poison", "note", "h[1]")
    assert finding.says == (
        "h[1] is not written by relu: it holds the right numbers only because they were there "
        "before"
    )
    assert report.agrees


def test_an_element_that_is_wrong_because_it_is_not_written_is_a_mistake(check: Check):
    report = check(body=LAST_MISSING, change=old(1.0, 3.0))
    assert [(v.status, v.where) for v in report.wrong] == [("diverged", "h[1]")]
    (finding,) = report.findings
    assert (finding.audit, finding.level, finding.buffer) == ("poison", "error", "h")
    assert finding.says == "relu never writes h[1]"


@pytest.mark.parametrize(("before", "level"), [((0.0, 0.0), "note"), ((0.0, 1.0), "error")])
def test_what_is_added_to_is_told(check: Check, before: tuple[float, float], level: str):
    report = check(body=ADDED, change=old(*before))
    (finding,) = report.findings
    assert (finding.level, finding.says) == (
        level,
        "relu computes h[:] with what h held before it began",
    )
    assert report.agrees == (level == "note")


def test_a_result_that_the_poison_changes_without_a_trace_is_told(check: Check):
    # max(old, z) is z where old is no number: right without poison, as old is 0.
    report = check(body=OF_THE_OLD, change=old(0.0, 0.0))
    (finding,) = report.findings
    assert (finding.level, finding.where) == ("note", "h[0]")
    assert "makes something else of h[0]" in finding.says
    assert report.agrees


def test_the_verdicts_are_those_without_poison(check: Check):
    # With poison, max(old, z) comes out right in the element that is wrong without.
    report = check(body=OF_THE_OLD, change=old(0.0, 5.0))
    assert [v.where for v in report.wrong] == ["h[1]"]


def test_double_precision_is_poisoned_too(check: Check):
    wide = lambda t: t.replace("dd", "dq").replace("movss", "movsd")  # noqa: E731
    body = RELU.replace("movq    xmm0", "movupd  xmm0").replace("maxps", "maxpd")
    body = body.replace("movq    [h]", "movsd   [h]")
    report = check(body=body, change=wide, text=MAP.replace("f32", "f64"))
    assert [(f.audit, f.where) for f in report.findings] == [("poison", "h[1]")]
    assert report.agrees


def test_memory_that_two_buffers_share_is_not_poisoned(check: Check):
    shared = MAP.replace(
        "\n[[ops]]", 'same = { dtype = "f32", shape = [1], symbol = "h" }\n\n[[ops]]'
    )
    assert check(body=LAST_MISSING, text=shared).findings == ()


def test_an_op_that_works_in_place_is_not_poisoned(check: Check):
    body = RELU.replace("[z]", "[h]")
    assert check(body=body, text=MAP.replace('z = "z" }', 'z = "h" }')).findings == ()


def test_a_program_that_cannot_bear_poison_is_only_noted(check: Check):
    body = f"""
    mov     eax, [h]
    and     eax, 0x7f800000
    cmp     eax, 0x7f800000
    jne     .number
    ud2
.number:
    {RELU}"""
    report = check(body=body)
    (finding,) = report.findings
    assert (finding.audit, finding.level) == ("poison", "note")
    assert "with NaNs in what is still to be written, the program got SIGILL" in finding.says
    assert report.agrees


def test_without_poison_the_program_runs_once(check: Check):
    assert check(body=LAST_MISSING, audits=ALL_AUDITS - {Audit.POISON}).findings == ()


# Writes


AGAIN = """
[[ops]]
name = "again"
kind = "relu"
in = { z = "h" }
out = "h"
done = "enter:later"
"""


def test_a_change_that_no_op_owns_up_to_is_no_verdict_when_writes_are_not_audited(check: Check):
    def spoil(text: str) -> str:
        spoils = "end:\n    nop\n    mov     dword [z], 0xc0000000\nlater:\n"
        return text.replace("end:\n", spoils, 1)

    (wrong,) = check(text=MAP + AGAIN, change=spoil).wrong
    assert (wrong.subject.op, wrong.subject.buffer, wrong.where) == ("again", "z", "z[0]")
    assert check(text=MAP + AGAIN, change=spoil, audits=ALL_AUDITS - {Audit.WRITES}).agrees
