"""The SARIF report: valid as section 3 of the standard has it, and enough for code scanning.

What GitHub's code scanning needs of it is in its manual, "SARIF support for code scanning".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from nndbg.compare import Mode, Status
from nndbg.report import CodePlace, Report
from nndbg.report.as_sarif import render

# The properties that an object of the standard may have, as far as they are written; `!` is one
# that the standard, or GitHub, cannot do without. The value says what is inside: an object of that
# name, a list of them, or a type.
OBJECTS: Mapping[str, Mapping[str, Any]] = {
    "log": {"$schema": str, "!version": str, "!runs": ["run"]},
    "run": {
        "!tool": "tool",
        "!results": ["result"],
        "invocations": ["invocation"],
        "artifacts": ["artifact"],
        "columnKind": str,
    },
    "tool": {"!driver": "driver"},
    "driver": {"!name": str, "version": str, "!rules": ["rule"]},
    "rule": {
        "!id": str,
        "name": str,
        "!shortDescription": "message",
        "!fullDescription": "message",
        "!help": "message",
        "defaultConfiguration": "configuration",
    },
    "configuration": {"level": str},
    "invocation": {"!executionSuccessful": bool, "toolExecutionNotifications": ["notification"]},
    "notification": {"level": str, "!message": "message"},
    "artifact": {"location": "artifactLocation", "roles": [str]},
    "artifactLocation": {"!uri": str, "uriBaseId": str},
    "result": {
        "!ruleId": str,
        "!ruleIndex": int,
        "!level": str,
        "!message": "message",
        "!locations": ["location"],
        "!partialFingerprints": dict,
        "occurrenceCount": int,
        "properties": dict,
    },
    "message": {"!text": str},
    "location": {"!physicalLocation": "physicalLocation", "logicalLocations": ["logicalLocation"]},
    "physicalLocation": {
        "!artifactLocation": "artifactLocation",
        "!region": "region",
        "address": "address",
    },
    "region": {"!startLine": int},
    "address": {"absoluteAddress": int},
    "logicalLocation": {"name": str, "fullyQualifiedName": str, "kind": str},
}
# RFC 3986: what a URI reference may hold, and no first segment that looks like a scheme.
URI = re.compile(r"(file:///)?([A-Za-z0-9._~!$&'()*+,;=@/-]|%[0-9A-F]{2})*")


def examine(value: Any, kind: Any, where: str = "log") -> None:
    """Fail where `value` is not what the standard has under that name."""
    if isinstance(kind, list):
        assert isinstance(value, list), where
        for number, item in enumerate(value):
            examine(item, kind[0], f"{where}[{number}]")
    elif isinstance(kind, str):
        known = {key.lstrip("!"): inside for key, inside in OBJECTS[kind].items()}
        assert isinstance(value, dict), where
        assert value.keys() <= known.keys(), where
        for key in OBJECTS[kind]:
            assert not key.startswith("!") or key[1:] in value, f"{where} has no {key}"
        for key, inside in value.items():
            examine(inside, known[key], f"{where}.{key}")
    else:
        assert type(value) is kind, where


def run_of(report: Report) -> dict[str, Any]:
    log = json.loads(render(report))
    examine(log, "log")
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert len(result["message"]["text"]) > 0
        for location in result["locations"]:
            physical = location["physicalLocation"]
            assert URI.fullmatch(physical["artifactLocation"]["uri"])
            assert physical["region"]["startLine"] > 0
    prints = [tuple(result["partialFingerprints"].items()) for result in run["results"]]
    assert len(prints) == len(set(prints)), "two results that no service can tell apart"
    return run


def test_the_first_divergence_comes_first_with_its_diagnosis_at_the_line_of_its_boundary(mixed):
    first = run_of(mixed)["results"][0]
    assert (first["ruleId"], first["level"]) == ("diverged", "error")
    assert first["message"]["text"].splitlines() == [
        "z2 is wrong (diverged) after dense2 (dense) in steps 1-2.",
        "the term k=127 is missing (explains 60 of 64)",
        "z2[:, 63]: 64 of 4096 elements are wrong",
        "worst: z2[3, 63]: program 0.125, reference 0.25 ±1.1e-06, apart 4194304 ulps",
    ]
    (location,) = first["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "asm/forward.asm", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 60},
        "address": {"absoluteAddress": 0x4019A3},
    }
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "dense2/z2"
    assert first["properties"] == {"mode": "local", "steps": "1-2", "checked": 8192, "wrong": 128}


def test_what_could_not_be_checked_is_a_warning_of_its_own(mixed):
    results = run_of(mixed)["results"]
    assert [(r["ruleId"], r["level"]) for r in results] == [
        ("diverged", "error"),
        ("unchecked", "warning"),
    ]
    assert "float32 overflows" in results[1]["message"]["text"]


def test_an_output_without_a_line_is_at_the_program(mixed):
    (location,) = run_of(mixed)["results"][1]["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "bin/prog", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 1},
    }


def test_an_address_without_a_line_is_kept(verdict):
    report = Report(
        "/a/prog",
        (0,),
        (verdict(0, status=Status.DIVERGED),),
        boundaries={"dense2": CodePlace(0x401000, "f")},
    )
    (location,) = run_of(report)["results"][0]["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "file:///a/prog"},
        "region": {"startLine": 1},
        "address": {"absoluteAddress": 0x401000},
    }


def test_the_first_in_time_comes_before_the_first_op(verdict):
    verdicts = (verdict(0, "a"), verdict(0, "b", Status.DIVERGED), verdict(1, "a", Status.DIVERGED))
    results = run_of(Report("p", (0, 1), verdicts))["results"]
    assert [r["partialFingerprints"]["nndbgOutput/v1"][0] for r in results] == ["b", "a"]


@pytest.mark.parametrize("status", [Status.DIVERGED, Status.NONFINITE, Status.UNWRITTEN])
def test_every_way_of_being_wrong_has_its_rule(verdict, status: Status):
    run = run_of(Report("p", (0,), (verdict(0, status=status),)))
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == (str(status), "error")


def test_agreement_has_no_result_and_says_that_the_run_went_well(verdict):
    run = run_of(Report("p", (0,), (verdict(0),)))
    assert run["results"] == []
    assert run["invocations"] == [{"executionSuccessful": True}]


def test_what_a_loose_chain_bound_leaves_the_local_one_proves(verdict):
    loose = verdict(0, status=Status.UNCHECKED, mode=Mode.CHAIN)
    assert run_of(Report("p", (0,), (verdict(0), loose)))["results"] == []


def test_a_run_that_ended_early_is_a_result_and_a_notification(verdict):
    run = run_of(Report("p", (0,), (verdict(0),), "it crashed"))
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("ended-early", "error")
    assert result["message"]["text"] == "The run ended early: it crashed"
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    (notification,) = invocation["toolExecutionNotifications"]
    assert notification["message"] == result["message"]


def test_a_report_with_nothing_in_it_is_no_clean_bill():
    (result,) = run_of(Report("p", (0,), ()))["results"]
    assert (result["ruleId"], result["level"]) == ("nothing-checked", "error")
    both = run_of(Report("p", (), (), "it crashed"))["results"]
    assert [r["ruleId"] for r in both] == ["ended-early", "nothing-checked"]


def test_hostile_text_stays_text(infested):
    run = run_of(infested)
    assert [r["ruleId"] for r in run["results"]] == ["nonfinite", "unchecked", "ended-early"]
    for result in run["results"]:
        text = result["message"]["text"]
        # 3.11.5 and 3.11.6: braces are placeholders unless doubled, [text](n) is a link.
        assert not re.search(r"(?<!\{)\{(\{\{)*(?!\{)", text)
        assert "](" not in text
        assert text.encode()


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("./mnist", "mnist"),
        ("a b/ä", "a%20b/%C3%A4"),
        ("c:/x", "c%3A/x"),
        ("/a/\udcff", "file:///a/%FF"),
        ("a?b#c", "a%3Fb%23c"),
    ],
)
def test_a_path_becomes_a_uri(verdict, path: str, uri: str):
    run = run_of(Report(path, (0,), (verdict(0),)))
    assert run["artifacts"][0]["location"]["uri"] == uri
