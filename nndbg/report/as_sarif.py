"""Renders a report as SARIF 2.1.0, which code scanning services read.

Names of properties: OASIS, *Static Analysis Results Interchange Format*, version 2.1.0, section 3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from nndbg.compare import Status
from nndbg.report.audits import Said, gathered
from nndbg.report.drift import sentences
from nndbg.report.model import CodePlace, First, Report
from nndbg.report.tally import Output, Part, Tally, tally
from nndbg.report.words import (
    ENDED_EARLY,
    MEANINGS,
    NOTHING,
    accused,
    crashed,
    explained,
    in_words,
    line,
    numbered,
    ranges,
)
from nndbg.text import printable

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
VERSION = "2.1.0"

_ENDED = "ended-early"
_NOTHING = "nothing-checked"
# Each rule with its level and what it means; its place here is its index.
RULES: Mapping[str, tuple[str, str]] = {
    Status.DIVERGED: ("error", MEANINGS[Status.DIVERGED]),
    Status.NONFINITE: ("error", MEANINGS[Status.NONFINITE]),
    Status.UNWRITTEN: ("error", MEANINGS[Status.UNWRITTEN]),
    Status.UNCHECKED: ("warning", MEANINGS[Status.UNCHECKED]),
    _ENDED: ("error", "The program, or GDB, ended before all steps were checked."),
    _NOTHING: ("error", "No output was checked: the run says nothing about the program."),
}
# Where the sources lie is for the reader to know: a relative path is one from their root.
_ROOT = "%SRCROOT%"


def render(report: Report) -> str:
    """Return a log with one run: a result for each output and status, whatever its steps.

    A run that ended early, or checked nothing, has a result of its own: a service that shows only
    results must not show it as sound.
    """
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "nndbg",
                "version": version("nndbg"),
                "rules": [_rule(rule, *about) for rule, about in RULES.items()],
            }
        },
        "invocations": [_invocation(report)],
        "artifacts": [{"location": _location(report.program), "roles": ["analysisTarget"]}],
        "results": list(_results(report, tally(report))),
        "columnKind": "unicodeCodePoints",
    }
    properties = {}
    if told := sentences(report):
        properties["trajectory"] = " ".join(told)
    if report.healed is not None:
        properties["healed"] = line(report.healed.says)
    if properties:
        run["properties"] = properties
    log = {"$schema": SCHEMA, "version": VERSION, "runs": [run]}
    return json.dumps(log, indent=1, allow_nan=False) + "\n"


def _rule(rule: str, level: str, meaning: str) -> dict[str, Any]:
    text = {"text": meaning}
    return {
        "id": rule,
        "name": "".join(word.capitalize() for word in rule.split("-")),
        "shortDescription": text,
        "fullDescription": text,
        "help": text,
        "defaultConfiguration": {"level": level},
    }


def _invocation(report: Report) -> dict[str, Any]:
    if report.error is None:
        return {"executionSuccessful": True}
    notification = {"level": "error", "message": _message(_ended(report.error))}
    return {"executionSuccessful": False, "toolExecutionNotifications": [notification]}


def _results(report: Report, counts: Tally) -> Iterator[dict[str, Any]]:
    """Yield what is wrong, the first divergence first; what is not known; how the run went."""
    first = report.first
    wrong = [(output, part) for output in counts.outputs for part in output.wrong]
    wrong.sort(key=lambda pair: first is None or pair[1].first != first.verdict)
    for output, part in wrong:
        yield _result(report, first, output, part)
    for output in counts.outputs:
        if output.unproved is not None:
            yield _result(report, first, output, output.unproved)
    for said in gathered(report):
        yield _finding(report, said)
    if report.error is not None:
        crash = report.crash
        how = crashed(crash) if crash is not None else []
        place = CodePlace(crash.address, crash.function, crash.file, crash.line) if crash else None
        yield _run_result(report, _ENDED, "\n".join([_ended(report.error), *how]), place)
    if not counts.ops:
        yield _run_result(report, _NOTHING, f"{NOTHING.capitalize()} of {line(report.program)}.")


def _result(report: Report, first: First | None, output: Output, part: Part) -> dict[str, Any]:
    subject, status = output.subject, part.first.status
    place = report.boundaries.get(subject.op)
    if first is not None and first.verdict == part.first and first.culprit is not None:
        likeliest = first.culprit.likeliest
        place = CodePlace(likeliest.address, likeliest.function, likeliest.file, likeliest.line)
    op, buffer, steps = line(subject.op), line(subject.buffer), ranges(part.steps)
    name = f"{op}/{buffer}"
    return {
        **_judged(status, _text(first, part)),
        "locations": [
            {
                "physicalLocation": _physical(report, place),
                "logicalLocations": [
                    {"name": buffer, "fullyQualifiedName": name, "kind": "variable"}
                ],
            }
        ],
        "partialFingerprints": {"nndbgOutput/v1": f"{name}/{output.mode}/{status}"},
        "occurrenceCount": part.verdicts,
        "properties": {
            "mode": output.mode.value,
            "steps": steps,
            "checked": part.checked,
            "wrong": part.bad,
        },
    }


def _finding(report: Report, said: Said) -> dict[str, Any]:
    return {
        "ruleId": f"audit/{said.audit}",
        "level": said.level.value,
        "message": _message(said.text),
        "locations": [
            {
                "physicalLocation": _physical(report, None),
                "logicalLocations": [{"name": said.op, "kind": "function"}],
            }
        ],
        "partialFingerprints": {"nndbgAudit/v1": f"{said.audit}/{said.op}"},
    }


def _run_result(
    report: Report, rule: str, text: str, place: CodePlace | None = None
) -> dict[str, Any]:
    return {
        **_judged(rule, text),
        "locations": [{"physicalLocation": _physical(report, place)}],
        "partialFingerprints": {"nndbgRun/v1": rule},
    }


def _judged(rule: str, text: str) -> dict[str, Any]:
    return {
        "ruleId": str(rule),
        "ruleIndex": list(RULES).index(rule),
        "level": RULES[rule][0],
        "message": _message(text),
    }


def _text(first: First | None, part: Part) -> str:
    """Return a sentence that can stand alone, then all that is known of the earliest step."""
    verdict, subject = part.first, part.first.subject
    is_wrong = verdict.status.is_wrong
    told = f"is wrong ({verdict.status})" if is_wrong else "could not be checked"
    lines = [
        f"{line(subject.buffer)} {told} after {line(subject.op)} ({line(subject.kind)}) "
        f"in {numbered(part.steps)}."
    ]
    is_first = first is not None and first.verdict == verdict
    if first is not None and is_first:
        lines += map(explained, first.diagnosis)
    lines.append(in_words(verdict))
    if first is not None and is_first and first.culprit is not None:
        lines += accused(first.culprit)
    return "\n".join(filter(None, lines))


def _ended(error: str) -> str:
    return f"{ENDED_EARLY.capitalize()}: {printable(error)}"


def _physical(report: Report, place: CodePlace | None) -> dict[str, Any]:
    """Return where in a file to look: the line of a boundary, or else the program itself.

    Code scanning at GitHub takes no result without a line.
    """
    if place is None or place.file is None or not place.line:
        physical = {"artifactLocation": _location(report.program), "region": {"startLine": 1}}
    else:
        physical = {
            "artifactLocation": _location(place.file),
            "region": {"startLine": place.line},
        }
    if place is not None:
        physical["address"] = {"absoluteAddress": place.address}
    return physical


def _message(text: str) -> dict[str, str]:
    """Return a message that means `text`: no placeholder (3.11.5) and no link (3.11.6) in it."""
    return {"text": text.replace("{", "{{").replace("}", "}}").replace("](", "] (")}


def _location(path: str) -> dict[str, str]:
    """Return a path as an artifact location (3.4): relative ones are from the sources' root."""
    try:
        quoted = quote(path, errors="surrogateescape")
    except UnicodeEncodeError:
        quoted = quote(path, errors="surrogatepass")
    if path.startswith("/"):
        return {"uri": f"file://{quoted}"}
    return {"uri": quoted.removeprefix("./"), "uriBaseId": _ROOT}
