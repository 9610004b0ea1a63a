"""How a report tells who made its first wrong number."""

from __future__ import annotations

import html
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from nndbg.compare import Status
from nndbg.report import Culprit, Report, Suspect
from nndbg.report.as_json import render
from nndbg.report.as_terminal import show
from nndbg.report.model import Computed, Turn
from nndbg.report.write import RENDERERS

LIKELY = Suspect(0x4019A3, "gemm", "asm/gemm.asm", 142, "vfmadd231ps ymm4, ymm0, [rsi]", "why")
OTHER = Suspect(0x4019B0, "gemm\x1b", None, None, "jne 0x4019a3", "what else")
HOW = Computed(
    "z2[3,63]",
    "k = 9: the lane got x[3,9] * W[9,62], expected W[9,63]",
    (
        Turn("k = 8", "x[3,8] * W[8,63]", 0.5, 0.5, 1e-7),
        Turn("k = 9", "x[3,9] * W[9,62]", 0.75, 0.625, 1e-7),
    ),
    "lane 7 of ymm4, asm/gemm.asm:142: vfmadd231ps ymm4, ymm0, [rsi]",
)


@pytest.fixture
def report(verdict) -> Report:
    return Report(
        "p",
        (0,),
        (verdict(0, status=Status.DIVERGED),),
        culprit=Culprit("z2[3,63]", (LIKELY, OTHER)),
    )


def shown(report: Report) -> str:
    page = io.StringIO()
    show(report, Console(file=page, width=100))
    return page.getvalue()


def test_as_json_the_likeliest_is_the_culprit_and_all_are_candidates(report):
    culprit = json.loads(render(report))["first"]["culprit"]
    assert culprit["address"] == "0x4019a3"
    assert (culprit["function"], culprit["file"], culprit["line"]) == ("gemm", "asm/gemm.asm", 142)
    assert culprit["instruction"] == "vfmadd231ps ymm4, ymm0, [rsi]"
    assert (culprit["says"], culprit["element"]) == ("why", "z2[3,63]")
    assert [c["address"] for c in culprit["candidates"]] == ["0x4019a3", "0x4019b0"]
    assert culprit["candidates"][1]["file"] is None


def test_on_a_terminal_the_likeliest_comes_first(report):
    text = shown(report)
    assert "Culprit: asm/gemm.asm:142 in gemm" in text
    assert text.index("why") < text.index("or else") < text.index("what else")


def test_names_that_could_steer_a_terminal_are_escaped(report):
    assert report.culprit is not None
    turned = replace(report, culprit=Culprit("z2[3,63]", (OTHER,)))
    assert "\x1b" not in shown(turned)
    assert "0x4019b0 in gemm\\x1b" in shown(turned)


def test_without_a_culprit_nobody_is_named(report):
    innocent = replace(report, culprit=None)
    assert "Culprit" not in shown(innocent)
    assert json.loads(render(innocent))["first"]["culprit"] is None


@pytest.mark.parametrize("form", ["html", "markdown", "junit", "sarif"])
def test_the_other_formats_name_it_and_who_else_it_may_be(report, form):
    text = RENDERERS[form](report)
    for word in ("asm/gemm.asm:142", "vfmadd231ps", "why", "0x4019b0", "what else"):
        assert word in text.replace("\\", "")
    assert "\x1b" not in text


@pytest.mark.parametrize("form", ["terminal", "html", "markdown", "junit", "sarif"])
def test_how_the_element_was_computed_is_told_addition_by_addition(report, form):
    assert report.culprit is not None
    told = replace(report, culprit=replace(report.culprit, computed=HOW))
    text = shown(told) if form == "terminal" else RENDERERS[form](told)
    text = html.unescape(text.replace("\\", ""))
    assert "k = 9: the lane got x[3,9] * W[9,62], expected W[9,63]" in text
    assert "lane 7 of ymm4" in text
    assert "behind k = 8 (x[3,8] * W[8,63]): the lane held 0.5, expected 0.5 " in text
    assert "behind k = 9 (x[3,9] * W[9,62]): the lane held 0.75, expected 0.625 " in text


def test_as_json_the_additions_have_value_sum_and_bound(report):
    assert json.loads(render(report))["first"]["culprit"]["computed"] is None
    assert report.culprit is not None
    told = replace(report, culprit=replace(report.culprit, computed=HOW))
    computed = json.loads(render(told))["first"]["culprit"]["computed"]
    assert computed["says"] == HOW.says
    assert computed["turns"][1] == {
        "label": "k = 9",
        "took": "x[3,9] * W[9,62]",
        "value": 0.75,
        "expected": 0.625,
        "bound": 1e-7,
    }


def test_sarif_points_at_its_line(report):
    result = json.loads(RENDERERS["sarif"](report))["runs"][0]["results"][0]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "asm/gemm.asm"
    assert place["region"]["startLine"] == 142
