"""Renders a report as SARIF 2.1.0, which code scanning services read.

Names of properties: OASIS, *Static Analysis Results Interchange Format*, version 2.1.0, section 3.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from itertools import groupby
from typing import Any
from urllib.parse import quote

from nndbg.compare import Status, Verdict
from nndbg.report.drift import sentences
from nndbg.report.model import First, Report
from nndbg.report.outputs import MEANINGS, Output, in_words, line, outputs, ranges
from nndbg.text import printable

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
VERSION = "2.1.0"
# Where the place of a rule in this list is its index.
RULES = (Status.DIVERGED, Status.NONFINITE, Status.UNWRITTEN, Status.UNCHECKED)


def render(report: Report) -> str:
    """Return a log with one run: a result for each output and status, whatever its steps."""
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "nndbg",
                "version": version("nndbg"),
                "rules": [_rule(status) for status in RULES],
            }
        },
        "invocations": [_invocation(report)],
        "artifacts": [{"location": {"uri": _uri(report.program)}, "roles": ["analysisTarget"]}],
        "results": _results(report),
    }
    if told := sentences(report):
        run["properties"] = {"trajectory": " ".join(told)}
    log = {"$schema": SCHEMA, "version": VERSION, "runs": [run]}
    return json.dumps(log, indent=1, allow_nan=False) + "\n"


def _rule(status: Status) -> dict[str, Any]:
    meaning = {"text": MEANINGS[status]}
    return {
        "id": status.value,
        "name": status.value.capitalize(),
        "shortDescription": meaning,
        "fullDescription": meaning,
        "help": meaning,
        "defaultConfiguration": {"level": "error" if status.is_wrong else "note"},
    }


def _invocation(report: Report) -> dict[str, Any]:
    if report.error is None:
        return {"executionSuccessful": True}
    notification = {"level": "error", "message": _message(printable(report.error))}
    return {"executionSuccessful": False, "toolExecutionNotifications": [notification]}


def _results(report: Report) -> list[dict[str, Any]]:
    """Return what is wrong, the first divergence first, then what could not be decided."""
    first = report.first
    counted = {*map(id, report.wrong), *map(id, report.unproved)}
    groups = []
    for output in outputs(report):
        verdicts = sorted(
            (v for v in output.verdicts if id(v) in counted), key=lambda v: RULES.index(v.status)
        )
        groups += [
            Output(tuple(same)) for _, same in groupby(verdicts, key=lambda verdict: verdict.status)
        ]
    groups.sort(key=lambda group: group.status is Status.UNCHECKED)
    groups.sort(key=lambda group: first is None or group.verdicts[0] is not first.verdict)
    return [
        _result(report, group, first if number == 0 else None)
        for number, group in enumerate(groups)
    ]


def _result(report: Report, group: Output, first: First | None) -> dict[str, Any]:
    verdict = group.verdicts[0]
    status = verdict.status
    steps = ranges(v.subject.step for v in group.verdicts)
    name = f"{group.op}/{group.buffer}"
    return {
        "ruleId": status.value,
        "ruleIndex": RULES.index(status),
        "level": "error" if status.is_wrong else "none",
        "kind": "fail" if status.is_wrong else "open",
        "message": _message(_text(group, verdict, steps, first)),
        "locations": [
            {
                "physicalLocation": _physical(report),
                "logicalLocations": [
                    {"name": group.buffer, "fullyQualifiedName": name, "kind": "variable"}
                ],
            }
        ],
        "partialFingerprints": {"nndbgOutput/v1": f"{name}/{group.mode}/{status}"},
        "occurrenceCount": len(group.verdicts),
        "properties": {
            "mode": group.mode.value,
            "steps": steps,
            "checked": group.checked,
            "wrong": group.bad,
        },
    }


def _text(group: Output, verdict: Verdict, steps: str, first: First | None) -> str:
    """Return a sentence that can stand alone, then all that is known of the earliest step."""
    told = "could not be checked" if not verdict.status.is_wrong else f"is wrong ({verdict.status})"
    title = f"{group.buffer} {told} after {group.op} ({group.kind}) in step {steps}."
    diagnosis = [
        f"{line(d.says)} (explains {d.explains} of {d.of})"
        for d in (first.diagnosis if first else ())
    ]
    return "\n".join(filter(None, [title, *diagnosis, in_words(verdict)]))


def _physical(report: Report) -> dict[str, Any]:
    """Return a place in a file: the program itself, as long as no instruction is to blame.

    Code scanning at GitHub takes no result without a line.
    """
    return {
        "artifactLocation": {"uri": _uri(report.program), "index": 0},
        "region": {"startLine": 1},
    }


def _message(text: str) -> dict[str, str]:
    """Return a message that means `text`: no placeholder (3.11.5) and no link (3.11.6) in it."""
    return {"text": text.replace("{", "{{").replace("}", "}}").replace("](", "] (")}


def _uri(program: str) -> str:
    path = quote(program, errors="surrogatepass")
    return f"file://{path}" if path.startswith("/") else path
