"""How every format tells of a crash."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nndbg.compare import Status
from nndbg.crash import Agreed, Crash, CrashError
from nndbg.errors import ProgramError
from nndbg.report import Report, crash_after
from nndbg.report.write import RENDERERS

CRASH = Crash(
    signal="SIGSEGV",
    address=0x403737,
    function="dense_sse2",
    file="asm/dense_sse2.asm",
    line=100,
    instruction="movaps xmm0, [r14]",
    operand=0x648668,
    says="reads 16 bytes at 0x648668, in W3",
    last_agreed=Agreed(2, "relu2"),
)


@pytest.fixture
def crashed(verdict) -> Report:
    return Report("p", (0, 1), (verdict(0),), error="the program got SIGSEGV", crash=CRASH)


@pytest.mark.parametrize("form", [form for form in RENDERERS if form != "json"])
def test_a_crash_is_told_in_every_format(crashed: Report, form: str):
    page = RENDERERS[form](crashed).replace("\\", "")
    for told in (
        "SIGSEGV at asm/dense_sse2.asm:100",
        "movaps xmm0, [r14]",
        "in W3",
        "relu2 in step 2",
    ):
        assert told in page


@pytest.mark.parametrize("form", RENDERERS)
def test_an_end_that_is_no_crash_tells_of_none(crashed: Report, form: str):
    ended = replace(crashed, crash=None)
    assert "movaps" not in RENDERERS[form](ended)


def test_as_json_it_has_a_key_of_its_own(crashed: Report):
    assert json.loads(RENDERERS["json"](crashed))["crash"] == {
        "signal": "SIGSEGV",
        "address": "0x403737",
        "function": "dense_sse2",
        "file": "asm/dense_sse2.asm",
        "line": 100,
        "instruction": "movaps xmm0, [r14]",
        "operand": "0x648668",
        "says": "reads 16 bytes at 0x648668, in W3",
        "last_agreed": {"step": 2, "op": "relu2"},
    }
    assert json.loads(RENDERERS["json"](replace(crashed, crash=None)))["crash"] is None


def test_sarif_points_to_the_line_of_the_crash(crashed: Report):
    (result,) = json.loads(RENDERERS["sarif"](crashed))["runs"][0]["results"]
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == "asm/dense_sse2.asm"
    assert physical["region"] == {"startLine": 100}


def test_a_crash_before_any_agreement_says_so(crashed: Report):
    page = RENDERERS["terminal"](replace(crashed, crash=replace(CRASH, last_agreed=None)))
    assert "no op agreed before" in page


def test_the_last_op_that_agreed_is_the_last_of_which_every_output_does(verdict):
    verdicts = [
        verdict(0, "dense"),
        verdict(1, "relu"),
        verdict(1, "softmax"),
        verdict(1, "softmax", Status.DIVERGED, buffer="loss"),
        verdict(1, "loose", Status.UNCHECKED),
    ]
    found = crash_after(verdicts, CrashError("it crashed", CRASH))
    assert found is not None
    assert found.last_agreed == Agreed(1, "relu")
    assert crash_after(verdicts, ProgramError("it ended")) is None
