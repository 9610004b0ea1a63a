"""Findings in every format: told once, as text that steers nothing, errors first."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from nndbg.finding import Audit, Finding, Level
from nndbg.report import Report
from nndbg.report.audits import gathered
from nndbg.report.write import RENDERERS

NOTE = Finding(0, "dense1", Audit.UPPER, Level.NOTE, "a vzeroupper is missing <here>\x1b[2J")
ERROR = Finding(0, "relu2", Audit.REGISTERS, Level.ERROR, "rbx is 0x1 and was 0x2")
LATER = Finding(2, "relu2", Audit.REGISTERS, Level.ERROR, "rbx is 0x3 and was 0x4")
POISON = Finding(1, "dense2", Audit.POISON, Level.ERROR, "never writes z2[3]", "z2", "z2[3]")


@pytest.fixture
def report(verdict) -> Report:
    return Report("./mnist", (0, 1, 2), (verdict(0),), findings=(NOTE, ERROR, LATER, POISON))


def test_findings_that_say_the_same_are_told_once_and_errors_first(report: Report):
    told = gathered(report)
    assert [(said.title, said.op, said.when) for said in told] == [
        ("registers (error)", "relu2", "step 0 and 1 more"),
        ("poison (error)", "dense2", "step 1"),
        ("upper (note)", "dense1", "step 0"),
    ]
    assert told[0].text == "relu2, step 0 and 1 more: rbx is 0x1 and was 0x2"


def test_an_error_takes_the_agreement_away_and_a_note_does_not(report: Report, verdict):
    assert not report.agrees
    assert report.objections == (ERROR, LATER, POISON)
    assert Report("./mnist", (0,), (verdict(0),), findings=(NOTE,)).agrees


def test_json_has_them_one_by_one(report: Report):
    found = json.loads(RENDERERS["json"](report))
    assert len(found["findings"]) == 4
    assert found["agrees"] is False
    assert found["findings"][3] == {
        "step": 1,
        "op": "dense2",
        "audit": "poison",
        "level": "error",
        "says": "never writes z2[3]",
        "buffer": "z2",
        "where": "z2[3]",
    }


def test_json_without_findings_has_an_empty_list(verdict):
    assert json.loads(RENDERERS["json"](Report("./mnist", (0,), (verdict(0),))))["findings"] == []


@pytest.mark.parametrize("form", ["terminal", "html", "markdown", "junit", "sarif"])
def test_every_format_for_people_tells_them(report: Report, form: str):
    text = RENDERERS[form](report)
    for word in ("relu2", "rbx is 0x1 and was 0x2", "vzeroupper", "z2"):
        assert word in text
    assert "0x3" not in text
    assert "\x1b" not in text


def test_the_headline_does_not_call_it_agreement(report: Report):
    last = RENDERERS["terminal"](report).splitlines()[-1]
    assert last.endswith("no output is wrong, but audits found 3 mistakes")


def test_html_escapes_them(report: Report):
    assert "&lt;here&gt;" in RENDERERS["html"](report)


def test_junit_fails_for_errors_only(report: Report):
    root = ET.fromstring(RENDERERS["junit"](report))
    audits = ("registers: ", "poison: ", "upper: ")
    cases = [case for case in root.iter("testcase") if case.get("name", "").startswith(audits)]
    assert [case.find("failure") is not None for case in cases] == [True, True, False]


def test_sarif_has_a_result_for_each(report: Report):
    results = json.loads(RENDERERS["sarif"](report))["runs"][0]["results"]
    found = [(result["ruleId"], result["level"]) for result in results]
    assert found == [
        ("audit/registers", "error"),
        ("audit/poison", "error"),
        ("audit/upper", "note"),
    ]
