"""The culprit in a program that is not ours: C, with libraries, moved when it is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

import nndbg

RELU = """\
#include <stdio.h>
float x[8] = {{1, 2, 3, 4, 5, 6, 7, 8}}, h[8];
__attribute__((noinline)) void step(void) {{ __asm__ volatile(""); }}
__attribute__((noinline)) void done(void) {{ __asm__ volatile(""); }}
__attribute__((noinline)) void relu(const float *a, float *b, long n)
{{
    for (long i = 0; i < {limit}; i++)
        b[i] = a[i] > 0 ? {value} : 0;
}}
int main(void)
{{
    step();
    relu(x, h, 8);
    done();
    printf("done\\n");
}}
"""
MAP = """\
[program]
name = "relu"
step = "enter:step"

[buffers]
x = { dtype = "f32", shape = [8] }
h = { dtype = "f32", shape = [8] }

[[ops]]
name = "relu"
kind = "relu"
in   = { z = "x" }
out  = "h"
done = "enter:done"
"""


@pytest.mark.parametrize(
    ("limit", "value", "line"), [("n - 1", "a[i]", 7), ("n", "a[i] * a[i]", 8)]
)
def test_the_line_of_a_moved_c_program_is_found(build, tmp_path: Path, limit, value, line):
    source = RELU.format(limit=limit, value=value)
    program = build("relu", source, "-g", "-O1", "-pie", "-fPIE")
    path = tmp_path / "relu.toml"
    path.write_text(MAP)
    report = nndbg.check(program, steps=range(1), map=path)
    assert report.first is not None
    assert report.first.culprit is not None
    likeliest = report.first.culprit.likeliest
    assert (likeliest.function, likeliest.line) == ("relu", line)


def test_a_right_program_has_no_culprit(build, tmp_path: Path):
    program = build("relu", RELU.format(limit="n", value="a[i]"), "-g", "-O1", "-pie", "-fPIE")
    path = tmp_path / "relu.toml"
    path.write_text(MAP)
    report = nndbg.check(program, steps=range(1), map=path)
    assert report.agrees
    assert report.culprit is None
