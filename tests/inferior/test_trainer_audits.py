"""The trainer as it is earns no finding, with any kernels, any options, in any phase."""

from __future__ import annotations

from pathlib import Path

import pytest

import nndbg

OPTIONS = {
    "plain": (),
    "momentum, decay and dropout": (
        *("--momentum", "0.9", "--weight-decay", "0.01"),
        *("--dropout", "0.3"),
    ),
    "unfused": ("--no-fuse",),
}
FLAGS = {"sse2": "sse2", "avx2": "avx2", "avx512": "avx512bw"}


@pytest.fixture(params=FLAGS)
def isa(request: pytest.FixtureRequest) -> str:
    if FLAGS[request.param] not in Path("/proc/cpuinfo").read_text().split():
        pytest.skip(f"this processor has no {request.param}")
    return request.param


@pytest.mark.parametrize("case", OPTIONS)
def test_training_has_no_findings(program: Path, tiny: Path, gdb: str, isa: str, case: str):
    del gdb
    arguments = ["--data", str(tiny), "--isa", isa, *OPTIONS[case]]
    report = nndbg.check(program, steps=range(1, 3), arguments=arguments)
    assert report.agrees, report.error
    assert report.findings == ()


@pytest.mark.parametrize("phase", ["init", "epoch", "test"])
def test_the_other_phases_have_no_findings(program: Path, tiny: Path, gdb: str, isa, phase: str):
    del gdb
    arguments = ["--data", str(tiny), "--isa", isa]
    report = nndbg.check(program, steps=range(1), phase=phase, arguments=arguments)
    assert report.agrees, report.error
    assert report.findings == ()
