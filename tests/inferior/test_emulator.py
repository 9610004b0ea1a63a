"""A program built for AArch64, in QEMU: its boundaries, memory, crash and loops."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import nndbg
from nndbg.errors import MapError, ProgramError, UsageError
from nndbg.last_write import back_to_write
from tests.inferior.conftest import LIMIT, Process

TOOLS = ("qemu-aarch64", "gdb-multiarch", "aarch64-linux-gnu-as", "aarch64-linux-gnu-ld")

# Two ops, h = z and z += z, three steps; what argv[1] begins with befalls step 1 between them.
SOURCE = r"""
        .macro  probe name
990:    nop
        .pushsection .note.stapsdt, "", %note
        .balign 4
        .4byte  992f - 991f, 994f - 993f, 3
991:    .asciz  "stapsdt"
992:    .balign 4
993:    .8byte  990b, 0, 0
        .asciz  "nn"
        .asciz  "\name"
        .asciz  ""
994:    .balign 4
        .popsection
        .endm

        .data
        .balign 8
        .global z, h
        .type   z, %object
        .size   z, 12
z:      .float  1, -2, 3
        .type   h, %object
        .size   h, 12
h:      .float  0, 0, 0
says:   .ascii  "a step\n"

        .text
        .global _start
_start: ldr     x27, [sp, #16]                  // argv[1]
        mov     x26, #0
        cbz     x27, steps
        ldrb    w26, [x27]
steps:  mov     x28, #0
step:   probe   step
        mov     x0, #1
        adr     x1, _start
        ldr     x1, =says
        mov     x2, #7
        mov     x8, #64                         // write
        svc     #0
        ldr     x1, =z
        ldr     x2, =h
        mov     x3, #3
copy:   ldr     s0, [x1], #4
        str     s0, [x2], #4
        subs    x3, x3, #1
        b.ne    copy
        probe   copied
        cmp     x28, #1
        b.ne    on
        cmp     x26, #'c'
        b.eq    crash
        cmp     x26, #'s'
        b.eq    spin
        cmp     x26, #'w'
        b.eq    wrong
on:     ldr     x1, =z
        mov     x3, #3
double: ldr     s0, [x1]
        fadd    s0, s0, s0
        str     s0, [x1], #4
        subs    x3, x3, #1
        b.ne    double
        probe   doubled
        add     x28, x28, #1
        cmp     x28, #3
        b.lt    step
        mov     x0, #0
        mov     x8, #93                         // exit
        svc     #0
crash:  mov     x0, #0
        ldr     w0, [x0]                        // line of the crash
spin:   b       spin                            // line of the loop
wrong:  fmov    s1, #0.5
        ldr     x1, =z
        str     s1, [x1, #4]                    // line of the wrong number
        b       on
"""
MAP = """\
[program]
name = "small"
step = "probe:nn:step"
[buffers]
z = { dtype = "f32", shape = [3] }
h = { dtype = "f32", shape = [3] }
[[ops]]
name = "copy"
kind = "scale"
in = { a = "z" }
out = "h"
done = "probe:nn:copied"
[[ops]]
name = "double"
kind = "add"
in = { a = "z", b = "z" }
out = "z"
done = "probe:nn:doubled"
"""


def line_of(text: str) -> int:
    return SOURCE[: SOURCE.index(text)].count("\n") + 1


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, with its map beside it."""
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        pytest.skip(f"{' and '.join(missing)} not installed")
    place = tmp_path_factory.mktemp("aarch64")
    (place / "small.s").write_text(SOURCE)
    (place / "small.toml").write_text(MAP)
    for command in (
        "aarch64-linux-gnu-as -g -o small.o small.s",
        "aarch64-linux-gnu-ld -o small small.o",
    ):
        subprocess.run(command.split(), cwd=place, check=True, timeout=60)
    return place / "small"


def check(small: Path, *arguments: str, **options: object) -> nndbg.Report:
    return nndbg.check(small, map=small.with_suffix(".toml"), arguments=arguments, **options)


def test_a_sound_program_agrees_and_what_was_not_audited_is_said(small: Path):
    report = check(small)
    assert report.agrees
    assert len(report.verdicts) == 6
    assert "built for AArch64" in report.says


def test_a_wrong_number_is_found_in_an_emulator_and_who_wrote_it(small: Path):
    report = check(small, "wrong")
    assert report.first is not None
    subject = report.first.verdict.subject
    assert (subject.op, subject.buffer, subject.step) == ("double", "z", 1)
    culprit = report.first.culprit
    assert culprit is not None
    assert [suspect.instruction for suspect in culprit.candidates] == [
        "fadd s0, s0, s0",
        "ldr s0, [x1]",
        "str s0, [x1], #4",
    ]
    assert "`str s0, [x1], #4` at" in culprit.notes[0]
    blame = nndbg.blame(small, "z[1]", step=1, map=small.with_suffix(".toml"), arguments=("wrong",))
    assert [write.site.line for write in blame.writes] == [
        line_of("line of the wrong number"),
        line_of("str     s0, [x1], #4"),
    ]
    assert [write.after for write in blame.writes] == [0.5, 1.0]


def test_what_it_prints_is_heard(small: Path):
    with nndbg.open(small, map=small.with_suffix(".toml")) as session:
        session.start(2)
        assert session.output == "a step\n" * 2


def test_a_crash_in_an_emulator_is_placed(small: Path):
    report = check(small, "crash")
    assert report.crash is not None
    assert report.crash.signal == "SIGSEGV"
    assert report.crash.line == line_of("line of the crash")
    assert report.crash.instruction == "ldr w0, [x0]"


def test_a_loop_without_an_end_is_ended_with_its_emulator(small: Path, watch):
    session = nndbg.open(small, map=small.with_suffix(".toml"), arguments=("spin",), timeout=1)
    with session:
        session.start(1)
        session.next_op()
        emulator: Process = watch(emulator_of(small))
        with pytest.raises(ProgramError, match=r"within 1 s\. It was in spin") as error:
            session.next_op()
    assert f":{line_of('line of the loop')})" in str(error.value)
    assert emulator.ends_within(LIMIT)


HOLDER = """
import os, sys
import nndbg
from tests.inferior.test_emulator import emulator_of
small, layer_map = map(__import__("pathlib").Path, sys.argv[1:])
with nndbg.open(small, map=layer_map, arguments=("spin",)) as session:
    session.start(1)
    session.next_op()
    print(emulator_of(small), flush=True)
    session.next_op()
"""


def test_the_emulator_does_not_outlive_a_debugger_that_is_killed(
    small: Path, root: Path, watch: Callable[[int], Process]
):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, small, small.with_suffix(".toml")],
        cwd=root,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        emulator = watch(int(holder.stdout.readline()))
        holder.kill()
    assert emulator.ends_within(LIMIT)


def emulator_of(program: Path) -> int:
    """The emulator that this process started for `program`."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return next(
        int(child)
        for child in children
        if str(program) in Path(f"/proc/{child}/cmdline").read_text()
        and "qemu" in Path(f"/proc/{child}/cmdline").read_text()
    )


def test_going_back_to_a_write_is_refused_and_going_back_is_not(small: Path):
    with nndbg.open(small, map=small.with_suffix(".toml")) as session:
        session.run_to("double", 1)
        with pytest.raises(UsageError, match="built for AArch64"):
            back_to_write(session, "z[1]")
        (observation,) = session.back()
        assert observation.op.name == "copy"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('done = "probe:nn:copied"', 'done = "return:step"'),
        ('done = "probe:nn:copied"', 'done = { at = "enter:copy", call = { rdi = "z" } }'),
    ],
    ids=["return", "call"],
)
def test_a_boundary_that_needs_a_decoder_is_refused(
    small: Path, tmp_path: Path, old: str, new: str
):
    path = tmp_path / "small.toml"
    path.write_text(MAP.replace(old, new))
    with pytest.raises(MapError, match=r"small\.toml:12: .*built for AArch64\. Name a probe"):
        nndbg.open(small, map=path)


def test_what_is_missing_for_another_machine_is_named(small: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    report = check(small)
    assert "no qemu-aarch64 and no gdb-multiarch. Install them" in (report.error or "")
    assert not report.agrees
