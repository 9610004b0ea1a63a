"""The trainer under its own debugger: every op of every phase agrees, with every set of kernels."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import nndbg
from nndbg.layermap import MAIN_PHASE

PHASES = [MAIN_PHASE, "init", "epoch", "test"]
# What each step of a phase is one of: two epochs of 150 and 70 samples in batches of 64.
STEPS = {MAIN_PHASE: 6, "init": 1, "epoch": 2, "test": 2}


def test_no_phase_is_left_out(root: Path):
    layer_map = tomllib.loads((root / "asm" / "mnist.toml").read_text())
    assert {MAIN_PHASE, *layer_map["phases"]} == set(PHASES)


@pytest.mark.parametrize("phase", PHASES)
def test_every_op_of_a_phase_agrees(program: Path, tiny: Path, gdb: str, phase: str, isa: str):
    del gdb
    arguments = ["--data", str(tiny), "--epochs", "2", "--isa", isa]
    report = nndbg.check(program, phase=phase, steps=range(STEPS[phase]), arguments=arguments)
    assert report.error is None
    assert report.agrees, report.first
    assert report.steps == tuple(range(STEPS[phase]))


def test_every_op_agrees_with_all_that_may_be_switched_on(
    program: Path, tiny: Path, gdb: str, isa: str
):
    del gdb
    options = ["--momentum", "0.9", "--weight-decay", "1e-4", "--dropout", "0.25"]
    arguments = ["--data", str(tiny), "--epochs", "2", "--isa", isa, *options]
    report = nndbg.check(program, steps=range(6), arguments=arguments)
    assert report.error is None
    assert report.agrees, report.first
