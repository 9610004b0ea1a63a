"""A program beside the user's own reference: of one op, of a whole step, and who may call it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import nndbg
from nndbg.compare import Mode, Status
from nndbg.elf import read_executable
from nndbg.errors import MapError, UsageError
from nndbg.layermap import load_map, parse_map
from nndbg.report import Report

PROGRAM = r"""
#include <math.h>
#include <stdlib.h>
float z[2][3] = {{1, -2, 3}, {-4, 5, -6}}, h[2][3], g[2][3], w = 0.5f, q[2][3];
long best[2];
__attribute__((noinline)) void step(void) { __asm__ volatile(""); }
__attribute__((noinline)) void activated(void) { __asm__ volatile(""); }
__attribute__((noinline)) void scaled(void) { __asm__ volatile(""); }
__attribute__((noinline)) void done(void) { __asm__ volatile(""); }
int main(int argc, char **argv) {
    int fault = argc > 1 ? atoi(argv[1]) : 0;
    for (int s = 0; s < 3; s++) {
        step();
        for (int n = 0; n < 2; n++)
            for (int i = 0; i < 3; i++)
                h[n][i] = z[n][i] / (1 + expf(-1.5f * z[n][i]))
                    * (fault == 1 && i == 2 ? 1.00001f : 1);
        activated();
        for (int i = 0; i < 6; i++) g[i / 3][i % 3] = w * h[i / 3][i % 3];
        scaled();
        for (int n = 0; n < 2; n++) {
            int at = 0;
            for (int i = 0; i < 3; i++) {
                q[n][i] = g[n][i] * g[n][i];
                if (q[n][i] > q[n][at]) at = i;
            }
            best[n] = fault == 2 ? 2 - at : at;
        }
        w -= fault == 3 ? 0.2f : 0.1f;
        done();
    }
    return 0;
}
"""
MAP = """\
[program]
name = "own"
step = "enter:step"
[buffers]
z = { dtype = "f32", shape = [2, 3] }
h = { dtype = "f32", shape = [2, 3] }
g = { dtype = "f32", shape = [2, 3] }
w = { dtype = "f32", shape = [] }
q = { dtype = "f32", shape = [2, 3] }
best = { dtype = "i64", shape = [2] }
[reference]
python = "parts/model.py:step"
done   = "enter:done"
[[ops]]
name = "swish"
kind = "python:parts/model.py:swish"
in   = "z"
out  = "h"
beta = 1.5
done = "enter:activated"
[[ops]]
name = "scale"
kind = "scale_by"
in   = { a = "h", factor = "w" }
out  = "g"
done = "enter:scaled"
"""
MODEL = """\
import numpy as np

def swish(z, beta=1.0):
    return z / (1 + np.exp(-beta * z))

def step(z, w):
    h = swish(z, 1.5)
    g = w * h
    return {"h": h, "g": g, "q": g ** 2, "best": (g * g).argmax(axis=1), "w": w - np.float32(0.1)}
"""
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def program(build, gdb: str) -> Path:
    del gdb
    return build("own", PROGRAM, "-g", "-O1", "-Wl,--no-as-needed", "-lm")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(model: str = MODEL, old: str = "", new: str = "") -> Path:
        (tmp_path / "parts").mkdir()
        (tmp_path / "parts" / "model.py").write_text(model)
        path = tmp_path / "own.toml"
        assert old in MAP
        path.write_text(MAP.replace(old, new, 1))
        return path

    return write


def check(program: Path, path: Path, fault: int = 0, culprit: bool = False) -> Report:
    return nndbg.check(
        program, map=path, arguments=[str(fault)], steps=range(2), audits=(), culprit=culprit
    )


def test_a_sound_program_agrees_with_op_and_step(program: Path, write: Write):
    report = check(program, write())
    assert report
    judged = {(v.subject.op, v.subject.buffer, v.subject.mode.value) for v in report.verdicts}
    assert judged == {
        ("swish", "h", "local"),
        ("swish", "h", "own"),
        ("scale", "g", "local"),
        ("scale", "g", "own"),
        ("reference", "q", "local"),
        ("reference", "best", "local"),
        ("reference", "w", "local"),
    }


@pytest.mark.parametrize(
    ("fault", "op", "buffer"),
    [(1, "swish", "h"), (2, "reference", "best"), (3, "reference", "w")],
)
def test_a_fault_is_found_in_its_op_and_no_proof_is_claimed(
    program: Path, write: Write, fault: int, op: str, buffer: str
):
    report = check(program, write(), fault, culprit=fault == 1)
    assert report.first is not None
    verdict = report.first.verdict
    if fault == 1:
        assert report.first.culprit is not None
        likeliest = report.first.culprit.likeliest
        assert likeliest.instruction.startswith("mulss")
        assert likeliest.says.startswith("with 1 instead of 1.00001001 where it reads, all 6")
    assert (verdict.subject.op, verdict.subject.buffer) == (op, buffer)
    assert verdict.status is Status.DIVERGED
    assert verdict.subject.kind.startswith("python:parts/model.py:")
    assert "an estimate that is no proof" in verdict.says
    assert not any(
        v.status.is_wrong
        for v in report.verdicts
        if v.subject.op == "scale" and v.subject.mode is Mode.LOCAL
    )


def test_a_reference_that_is_another_network_is_told_from_an_op_that_is_wrong(
    program: Path, write: Write
):
    report = check(program, write(MODEL.replace("g = w * h", "g = 2 * w * h")))
    assert report.first is not None
    assert report.first.verdict.subject.mode is Mode.OWN
    assert "scale itself agrees with its kind" in report.first.verdict.says


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('done   = "enter:done"\n', "", "own.toml:12: .*no op writes q, .*Name with `done`"),
        (
            "model.py:step",
            "model.py:stepp",
            "own.toml:12: .*has no function stepp.*Did you mean step?",
        ),
        ('in   = "z"', 'in   = { y = "z" }', "own.toml:17: op swish: `in` has no part 'y'"),
        ("beta = 1.5", "gamma = 1.5", "own.toml:19: unknown key 'gamma'"),
        ("python =", "timeout = -1\npython =", "own.toml:12: .*timeout = -1; wanted seconds"),
        ("python =", 'out = "h"\npython =', "`out` must be a list of buffers"),
        ('kind = "python:', 'kind = "relu + python:', "unknown kind"),
    ],
)
def test_a_map_that_calls_python_wrongly_is_refused(
    program: Path, write: Write, old: str, new: str, says: str
):
    with pytest.raises(MapError, match=says):
        load_map(read_executable(program), write(MODEL, old, new))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("z / (1", "(z / (1", r"model.py:4: not Python"),
        ("step(z, w)", "step(z, W)", r"own.toml:12: .*takes W, which is no buffer. There are: z"),
        ("g = w * h", "g = w * h[7]", r"model.py:8: step raised IndexError"),
        (
            "beta=1.0):",
            "beta=1.0):\n    return z[0]",
            r"swish returns h \[3\], and the buffer is \[2, 3\]",
        ),
    ],
)
def test_a_reference_that_is_wrong_is_one_error_and_leaves_nothing_running(
    program: Path, write: Write, old: str, new: str, says: str
):
    assert old in MODEL
    with pytest.raises((MapError, UsageError), match=says) as caught:
        check(program, write(MODEL.replace(old, new)))
    assert "\n" not in str(caught.value)


def test_only_a_map_that_is_named_may_call_python(program: Path, write: Write, tmp_path: Path):
    path = write()
    with pytest.raises(MapError, match="only a map that is named with --map may"):
        parse_map(MAP, "anything")
    with pytest.raises(MapError, match=r"t:12: \[reference\]: calls Python, which only"):
        parse_map(MAP[: MAP.index("[[ops]]")], "t")
    if shutil.which("objcopy") is None:
        pytest.skip("objcopy is not installed")
    inside = tmp_path / "inside"
    subprocess.run(
        ["objcopy", "--add-section", f".nndbg={path}", str(program), str(inside)], check=True
    )
    with pytest.raises(MapError, match=r"inside\[.nndbg\]:16: op swish: calls Python"):
        load_map(read_executable(inside))
    assert load_map(read_executable(inside), path).layer_map.phase.own is not None
