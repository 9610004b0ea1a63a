"""Renders a report as JSON, version `nndbg-report/1`.

JSON has no NaN and no infinity: such numbers are the strings "nan", "inf" and "-inf".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from nndbg.compare import Distance, Element, Verdict
from nndbg.crash import Crash
from nndbg.drift import Point
from nndbg.finding import Finding
from nndbg.report.drift import sentences
from nndbg.report.healed import Healed
from nndbg.report.model import CodePlace, Computed, Culprit, First, Report, Suspect

SCHEMA = "nndbg-report/1"


def render(report: Report) -> str:
    """Return the report as one JSON document that ends in a newline."""
    return "".join(pieces(report))


def pieces(report: Report) -> Iterator[str]:
    """Yield the document of `render` as it is made, a line for each key and each verdict.

    A run of thousands of steps has more verdicts than one would hold in memory at once.
    """
    head = {
        "schema": SCHEMA,
        "program": report.program,
        "agrees": report.agrees,
        "steps": report.steps,
    }
    tail = {
        "first": _first(report, report.first) if report.first else None,
        "findings": [_finding(finding) for finding in report.findings],
        "error": report.error,
        "crash": _crash(report.crash) if report.crash else None,
        "healed": _healed(report.healed) if report.healed else None,
        "trajectory": _trajectory(report),
        "says": report.says,
    }
    yield "{\n"
    for key, value in head.items():
        yield f' "{key}": {_json(value)},\n'
    yield ' "verdicts": ['
    separator = "\n"
    for verdict in report.verdicts:
        yield f"{separator}  {_json(_verdict(verdict))}"
        separator = ",\n"
    yield "\n ]"
    for key, value in tail.items():
        yield f',\n "{key}": {_json(value)}'
    yield "\n}\n"


def _json(value: object) -> str:
    return json.dumps(value, allow_nan=False)


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


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "step": finding.step,
        "op": finding.op,
        "audit": finding.audit.value,
        "level": finding.level.value,
        "says": finding.says,
        "buffer": finding.buffer,
        "where": finding.where,
    }


def _first(report: Report, first: First) -> dict[str, Any]:
    subject = first.verdict.subject
    return {
        "step": subject.step,
        "op": subject.op,
        "buffer": subject.buffer,
        "diagnosis": [
            {"kind": d.kind, "says": d.says, "explains": d.explains, "of": d.of}
            for d in first.diagnosis
        ],
        "boundary": _place(report.boundaries.get(subject.op)),
        "culprit": _culprit(first.culprit) if first.culprit else None,
    }


def _culprit(culprit: Culprit) -> dict[str, Any]:
    return {
        **_suspect(culprit.likeliest),
        "element": culprit.element,
        "candidates": [_suspect(suspect) for suspect in culprit.candidates],
        "notes": list(culprit.notes),
        "computed": _computed(culprit.computed) if culprit.computed is not None else None,
    }


def _computed(how: Computed) -> dict[str, Any]:
    return {
        "element": how.element,
        "says": how.says,
        "lane": how.lane,
        "turns": [
            {
                "label": turn.label,
                "took": turn.took,
                "value": _number(turn.value),
                "expected": _number(turn.expected),
                "bound": _number(turn.bound),
            }
            for turn in how.turns
        ],
    }


def _suspect(suspect: Suspect) -> dict[str, Any]:
    return {
        "address": f"{suspect.address:#x}",
        "function": suspect.function,
        "file": suspect.file,
        "line": suspect.line,
        "instruction": suspect.instruction,
        "says": suspect.says,
        "amended": suspect.amended,
    }


def _crash(crash: Crash) -> dict[str, Any]:
    last = crash.last_agreed
    return {
        "signal": crash.signal,
        "address": f"{crash.address:#x}",
        "function": crash.function,
        "file": crash.file,
        "line": crash.line,
        "instruction": crash.instruction,
        "operand": None if crash.operand is None else f"{crash.operand:#x}",
        "says": crash.says,
        "last_agreed": last and {"step": last.step, "op": last.op},
    }


def _healed(healed: Healed) -> dict[str, Any]:
    return {
        "ops": healed.ops,
        "steps": healed.steps,
        "found": healed.is_found,
        "agrees": healed.agrees,
        "says": healed.says,
    }


def _place(place: CodePlace | None) -> dict[str, Any] | None:
    if place is None:
        return None
    return {
        "address": f"{place.address:#x}",
        "function": place.function,
        "file": place.file,
        "line": place.line,
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


def _trajectory(report: Report) -> dict[str, Any] | None:
    trajectory = report.trajectory
    if trajectory is None:
        return None
    departure = trajectory.departure
    return {
        "says": sentences(report),
        "departure": departure
        and {
            "step": departure.step,
            "op": departure.op,
            "buffer": departure.buffer,
            "ratio": _number(departure.ratio),
        },
        "most": _number(trajectory.most),
        "beyond": trajectory.beyond,
        "members": trajectory.members,
        "turns": trajectory.turns,
        "series": [
            {
                "buffer": series.buffer,
                "scalar": series.is_scalar,
                "points": [_point(point) for point in series.points],
            }
            for series in trajectory.series
        ],
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "step": point.step,
        "drift": _number(point.drift),
        "floor": _number(point.floor),
        "largest": _number(point.largest),
        "largest_floor": _number(point.largest_floor),
        "bound": None if point.bound is None else _number(point.bound),
        "size": _number(point.size),
    }


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
