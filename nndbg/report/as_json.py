"""Renders a report as JSON, version `nndbg-report/1`.

JSON has no NaN and no infinity: such numbers are the strings "nan", "inf" and "-inf".
"""

from __future__ import annotations

import json
import math
from typing import Any

from nndbg.compare import Distance, Element, Verdict
from nndbg.report.model import Culprit, First, Report, Suspect

SCHEMA = "nndbg-report/1"


def render(report: Report) -> str:
    """Return the report as one JSON document that ends in a newline."""
    document = {
        "schema": SCHEMA,
        "program": report.program,
        "agrees": report.agrees,
        "steps": list(report.steps),
        "verdicts": [_verdict(verdict) for verdict in report.verdicts],
        "first": _first(report.first) if report.first else None,
        "error": report.error,
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _verdict(verdict: Verdict) -> dict[str, Any]:
    subject = verdict.subject
    return {
        "step": subject.step,
        "op": subject.op,
        "kind": subject.kind,
        "buffer": subject.buffer,
        "mode": subject.mode.value,
        "status": verdict.status.value,
        "checked": verdict.checked,
        "bad": verdict.bad,
        "where": verdict.where,
        "worst": _element(verdict.worst) if verdict.worst else None,
        "distance": _distance(verdict.distance) if verdict.distance else None,
        "says": verdict.says,
    }


def _first(first: First) -> dict[str, Any]:
    subject = first.verdict.subject
    return {
        "step": subject.step,
        "op": subject.op,
        "buffer": subject.buffer,
        "diagnosis": [
            {"kind": d.kind, "says": d.says, "explains": d.explains, "of": d.of}
            for d in first.diagnosis
        ],
        "culprit": _culprit(first.culprit) if first.culprit else None,
    }


def _culprit(culprit: Culprit) -> dict[str, Any]:
    return {
        **_suspect(culprit.likeliest),
        "element": culprit.element,
        "candidates": [_suspect(suspect) for suspect in culprit.candidates],
        "notes": list(culprit.notes),
    }


def _suspect(suspect: Suspect) -> dict[str, Any]:
    return {
        "address": f"{suspect.address:#x}",
        "function": suspect.function,
        "file": suspect.file,
        "line": suspect.line,
        "instruction": suspect.instruction,
        "says": suspect.says,
    }


def _element(element: Element) -> dict[str, Any]:
    return {
        "index": list(element.index),
        "actual": _number(element.actual),
        "expected": _number(element.expected),
        "bound": _number(element.bound),
        "ulps": element.ulps,
    }


def _distance(distance: Distance) -> dict[str, Any]:
    return {
        "largest": _number(distance.largest),
        "mean": _number(distance.mean),
        "cosine": _number(distance.cosine),
    }


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
