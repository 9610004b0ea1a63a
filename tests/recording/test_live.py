"""A real program, its recording, and what a colleague sees who has neither it nor GDB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import nndbg
from nndbg.cli import commands
from nndbg.errors import UsageError

# z = W x of two by two, with a wrong index for z[1]: W[0, 1] is taken instead of W[1, 1].
PROGRAM = """\
; one step: z = x W + b
    default rel
    global _start
    global x:data (x.end - x), W:data (W.end - W), b:data (b.end - b), z:data (z.end - z)
    section .text
_start:
    mov ebx, 3
step:
    call dense
done:
    mov rsi, said
    mov edx, 5
    mov edi, 1
    mov eax, 1
    syscall
    movss xmm0, [x]
    addss xmm0, xmm0
    movss [x], xmm0
    dec ebx
    jnz step
    mov eax, 60
    xor edi, edi
    syscall

dense:
    movss xmm0, [x]
    mulss xmm0, [W]
    movss xmm1, [x + 4]
    mulss xmm1, [W + 8]
    addss xmm0, xmm1
    addss xmm0, [b]
    movss [z], xmm0
    movss xmm0, [x]
    mulss xmm0, [W + 4]
    movss xmm1, [x + 4]
    mulss xmm1, [W + 4]
    addss xmm0, xmm1
    addss xmm0, [b + 4]
    movss [z + 4], xmm0
    ret

    section .data align=64
x:  dd 1.0, 2.0
.end:
W:  dd 0.5, 0.25, 4.0, 8.0
.end:
b:  dd 0.125, 0.5
.end:
z:  dd 0.0, 0.0
.end:
said: db "done", 10
"""
MAP = """\
[program]
name = "two"
step = "enter:step"

[buffers]
x = { dtype = "f32", shape = [1, 2] }
W = { dtype = "f32", shape = [2, 2] }
b = { dtype = "f32", shape = [2] }
z = { dtype = "f32", shape = [1, 2] }

[[ops]]
name = "dense"
kind = "dense"
in   = { x = "x", W = "W", b = "b" }
out  = "z"
done = "enter:done"
"""


def nndbg_command(*words: object, path: str | None = None) -> subprocess.CompletedProcess[str]:
    start = "import sys; from nndbg.cli import main; sys.exit(main())"
    environment = {**os.environ, **({} if path is None else {"PATH": path})}
    return subprocess.run(
        [sys.executable, "-c", start, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )


@pytest.fixture(scope="module")
def recording(build, gdb, tmp_path_factory) -> tuple[Path, str]:
    """A recording of a program that is gone with its source, and the report of the run."""
    program = build("two_by_two", PROGRAM)
    directory = tmp_path_factory.mktemp("recording")
    (directory / "two.toml").write_text(MAP)
    path = directory / "two.nndbg"
    done = nndbg_command(
        *("record", program, "--map", directory / "two.toml", "--steps", "0:2"),
        *("-o", path, "--format", "json"),
    )
    assert done.returncode == 1, done.stderr
    program.rename(program.with_name("gone"))
    program.with_suffix(".asm").unlink()
    return path, done.stdout


def test_a_colleague_gets_the_same_report_without_gdb_or_the_program(recording):
    path, report = recording
    again = nndbg_command("replay", path, "--format", "json", path="/nonexistent")
    assert (again.returncode, again.stdout) == (1, report)
    found = json.loads(report)
    assert found["verdicts"][0]["where"] == "z[:, 1]"
    culprit = found["first"]["culprit"]
    assert (culprit["function"], culprit["file"]) == ("dense", "two_by_two.asm")


def replay(*words: object) -> None:
    commands.main(["replay", *map(str, words)], standalone_mode=False)


def test_one_step_of_a_recording_can_be_reported_on(recording, capsys):
    path, _ = recording
    replay(path, "--format", "json", "--step", 1)
    assert json.loads(capsys.readouterr().out)["steps"] == [1]
    with pytest.raises(UsageError, match=r"the recording has no step 7. It holds steps 0 to 1."):
        replay(path, "--format", "json", "--step", 7)


def test_the_session_of_a_recording_has_places_lines_and_output(recording):
    path, _ = recording
    with nndbg.replay(path) as session:
        session.run_to("dense")
        assert session["z"].tolist() == [[8.625, 1.25]]
        executable = session.executable
        line = executable.line_at(session.capture.address)
        assert executable.function_at(session.capture.address).name == "done"
        text = executable.sources[line.file].splitlines()
        assert "mov rsi, said" in text[line.line - 1]
        assert session.output == ""
        session.run_to("dense", step=1)
        assert session.output.split() == ["done"]


def test_the_command_says_what_it_wants(recording, tmp_path):
    path, _ = recording
    for words, says in (
        ((), "needs a terminal. Without one: nndbg replay FILE --format"),
        (("-o", tmp_path / "x"), "-o is for a report"),
    ):
        with pytest.raises(UsageError, match=says):
            replay(path, *words)


def test_a_culprit_is_shown_for_its_own_output_only(recording):
    path, _ = recording
    with nndbg.replay(path) as session:
        source = session.source
        first = session.run_to("dense").verdicts[0]
        second = session.run_to("dense", step=1).verdicts[0]
    assert source.accuse(first).likeliest.function == "dense"
    assert source.accuse(second) is None
