"""The JSON report: the keys that were promised, and nothing that is no JSON."""

from __future__ import annotations

import json

import pytest

from nndbg.compare import Status
from nndbg.report import Report
from nndbg.report.as_json import render

VERDICT = {
    "step": int,
    "op": str,
    "kind": str,
    "buffer": str,
    "mode": str,
    "status": str,
    "checked": int,
    "bad": int,
    "where": str,
    "worst": dict,
}
WORST = {"index": list, "actual": float, "expected": float, "bound": float, "ulps": int}


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def document(report: Report) -> dict:
    return json.loads(render(report), parse_constant=refuse)


@pytest.fixture
def wrong(verdict) -> Report:
    return Report(
        "/a/program", (0, 1), (verdict(0, "dense1"), verdict(0, "dense2", Status.DIVERGED))
    )


def test_it_has_every_key_that_was_promised(wrong):
    found = document(wrong)
    assert found["schema"] == "nndbg-report/1"
    assert (found["program"], found["agrees"], found["steps"]) == ("/a/program", False, [0, 1])
    assert len(found["verdicts"]) == 2
    for one in found["verdicts"]:
        assert {k: type(one[k]) for k in VERDICT} == VERDICT
        assert {k: type(one["worst"][k]) for k in WORST} == WORST


def test_it_holds_what_the_verdict_holds(wrong):
    found = document(wrong)["verdicts"][1]
    assert (found["op"], found["status"], found["mode"]) == ("dense2", "diverged", "local")
    assert (found["checked"], found["bad"], found["where"]) == (4096, 64, "z2[:, 63]")
    assert found["worst"] == {
        "index": [3, 63],
        "actual": 0.125,
        "expected": 0.25,
        "bound": 1.1e-6,
        "ulps": 4194304,
    }


def test_the_first_wrong_output_is_named(wrong):
    first = document(wrong)["first"]
    assert (first["step"], first["op"], first["buffer"]) == (0, "dense2", "z2")
    assert {"diagnosis", "culprit"} <= first.keys()


def test_the_place_where_the_first_wrong_op_is_complete_is_told(mixed):
    assert document(mixed)["first"]["boundary"] == {
        "address": "0x4019a3",
        "function": "forward",
        "file": "asm/forward.asm",
        "line": 60,
    }


def test_a_place_that_is_not_known_is_null(wrong):
    assert document(wrong)["first"]["boundary"] is None


def test_where_all_agrees_there_is_no_first(verdict):
    found = document(Report("p", (0,), (verdict(0),)))
    assert found["agrees"] is True
    assert found["first"] is None
    assert found["error"] is None


def test_an_error_is_in_it(verdict):
    assert document(Report("p", (), (), "it crashed"))["error"] == "it crashed"


@pytest.mark.parametrize(
    ("number", "text"), [(float("nan"), "nan"), (float("inf"), "inf"), (float("-inf"), "-inf")]
)
def test_what_is_no_number_is_a_text(verdict, number: float, text: str):
    wrong = verdict(0, status=Status.NONFINITE, actual=number, expected=number, bound=number)
    worst = document(Report("p", (0,), (wrong,)))["verdicts"][0]["worst"]
    assert (worst["actual"], worst["expected"], worst["bound"]) == (text, text, text)


def test_an_output_without_a_worst_element_has_null(verdict):
    found = document(Report("p", (0,), (verdict(0, status=Status.UNWRITTEN, worst=False),)))
    assert found["verdicts"][0]["worst"] is None


@pytest.mark.parametrize("text", ['"', "\\", "\n", "\x1b[31m", "ö", "\u2028", "</script>"])
def test_any_text_comes_back_as_it_was(verdict, text: str):
    found = document(Report(text, (0,), (verdict(0, says=text),), text))
    assert (found["program"], found["error"], found["verdicts"][0]["says"]) == (text, text, text)


def test_it_ends_in_one_line_feed(wrong):
    assert render(wrong).endswith("}\n")
    assert not render(wrong).endswith("\n\n")


def test_a_number_has_all_its_digits(verdict):
    value = 0.1 + 2**-50
    worst = document(Report("p", (0,), (verdict(0, actual=value),)))["verdicts"][0]["worst"]
    assert worst["actual"] == value


def test_what_else_is_to_be_known_is_in_it(verdict):
    assert document(Report("p", (0,), (verdict(0),), says="Found by looking."))["says"] == (
        "Found by looking."
    )


def test_every_verdict_has_a_line(wrong):
    lines = render(wrong).splitlines()
    assert [json.loads(line.strip().rstrip(","))["op"] for line in lines if '"kind"' in line] == [
        "dense1",
        "dense2",
    ]
