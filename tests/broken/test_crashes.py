"""Broken trainers that crash: the changed line, and what its operand is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import nndbg

from .build import build, changes
from .lines import changed_lines
from .test_broken import ARGUMENTS, SECONDS

FAULTS = {change.name: change for change in changes("faults")}
# Each with its signal, a part of what is told, and the last op that agreed in step 0.
CRASHES = {
    "aligned_load_of_W": ("SIGSEGV", "in W3[1,0]: an aligned load", "relu2"),
    "op_jumped_over_before_a_crash": ("SIGSEGV", "in W3[1,0]: an aligned load", "relu2"),
    "wrong_before_a_crash": ("SIGILL", "ud2 is there to end the program", "dW3"),
    "index_read_as_64_bits": ("SIGSEGV", "", None),
}

pytestmark = [
    pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")
    for tool in ("nasm", "gcc", "gdb")
]


@pytest.mark.parametrize("steps", [range(2), range(9)], ids=["walked", "swept"])
@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_is_told_with_its_line(name: str, steps: range, tmp_path: Path, data: Path) -> None:
    fault = FAULTS[name]
    program = build(fault, tmp_path / name)
    arguments = ["--data", str(data), *ARGUMENTS, *fault.arguments]
    report = nndbg.check(program, steps=steps, arguments=arguments, timeout=SECONDS, culprit=False)
    signal, says, last = CRASHES[name]
    crash = report.crash
    assert crash is not None
    assert crash.signal == signal
    assert says in crash.says
    assert (crash.last_agreed.op if crash.last_agreed else None) == last
    assert (report.first is None) == (name in ("aligned_load_of_W", "index_read_as_64_bits"))
    if name == "index_read_as_64_bits":
        # The address is made elsewhere; what it is depends on the samples.
        assert crash.operand is not None
        assert (crash.function or "").startswith("scale_pixels")
    else:
        assert (crash.file, crash.line) in changed_lines(fault, tmp_path / name)
