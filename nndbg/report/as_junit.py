"""Renders a report as JUnit XML, which test dashboards read: a case an output, one for the run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from nndbg.report.audits import Said, gathered
from nndbg.report.drift import sentences
from nndbg.report.model import First, Report
from nndbg.report.tally import Output, Part, Tally, tally
from nndbg.report.words import (
    ENDED_EARLY,
    accused,
    boundary,
    crashed,
    explained,
    found,
    headline,
    in_words,
    line,
    numbered,
)
from nndbg.text import printable

# What XML 1.0 (section 2.2) admits no character reference to either.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COUNTED = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}


def render(report: Report) -> str:
    """Return one XML document.

    The case of the run passes where everything was checked, so that a report with no output, or
    with one that nothing is known of, is never green.
    """
    counts = tally(report)
    root = ET.Element("testsuites", name="nndbg")
    suite = ET.SubElement(root, "testsuite", name=_text(line(report.program)))
    first = report.first
    suite.extend(_case(report, first, output) for output in counts.outputs)
    suite.extend(map(_finding, gathered(report)))
    if told := sentences(report):
        suite.append(_trajectory(report, told))
    suite.append(_run(report, counts))
    for count, tag in _COUNTED.items():
        number = str(len(list(suite.iter(tag))))
        suite.set(count, number)
        root.set(count, number)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, "unicode")}\n'


def _case(report: Report, first: First | None, output: Output) -> ET.Element:
    subject = output.subject
    case = ET.Element("testcase", classname=_text(line(subject.op)))
    case.set("name", _text(f"{line(subject.buffer)} ({output.mode})"))
    if output.wrong:
        verdict = output.wrong[0].first
        failure = ET.SubElement(case, "failure", type=verdict.status.value)
        told = f"wrong in {numbered(output.wrong_steps)}; {found(verdict)}"
        failure.set("message", _text(told))
        failure.text = _text("\n".join(_told(report, first, part) for part in output.wrong))
    elif output.unchecked is not None:
        says = line(output.unchecked.first.says)
        ET.SubElement(case, "skipped", message=_text(says))
    return case


def _finding(said: Said) -> ET.Element:
    """Return a case that fails where the program is at fault, and else only says so."""
    case = ET.Element(
        "testcase", classname=_text(said.op), name=_text(f"{said.audit}: {said.says}")
    )
    if said.is_error:
        ET.SubElement(case, "failure", type=said.audit.value, message=_text(said.text))
    else:
        ET.SubElement(case, "system-out").text = _text(said.text)
    return case


def _told(report: Report, first: First | None, part: Part) -> str:
    """Return what is known of the first verdict of a part, and the diagnosis if it is of that."""
    verdict = part.first
    told = [f"{verdict.status} in {numbered(part.steps)}, first:", in_words(verdict)]
    if first is not None and verdict == first.verdict:
        told += map(explained, first.diagnosis)
    if (place := report.boundaries.get(verdict.subject.op)) is not None:
        told.append(f"{line(verdict.subject.op)} is complete at {boundary(place)}")
    if first is not None and verdict == first.verdict and first.culprit is not None:
        told += accused(first.culprit)
    return "\n".join(told)


def _trajectory(report: Report, told: Sequence[str]) -> ET.Element:
    """Return a case that fails where the program is proved wrong, skipped where it may be."""
    case = ET.Element("testcase", classname="trajectory", name="drift")
    departed = report.trajectory is not None and report.trajectory.departure is not None
    if report.first is not None:
        ET.SubElement(case, "failure", type="drift", message=_text(told[0]))
    elif departed:
        ET.SubElement(case, "skipped", message=_text(told[0]))
    ET.SubElement(case, "system-out").text = _text("\n".join(told))
    return case


def _run(report: Report, counts: Tally) -> ET.Element:
    case = ET.Element("testcase", classname="nndbg", name="run")
    told = headline(report, counts)
    if report.error is not None:
        error = printable(report.error)
        element = ET.SubElement(case, "error", type=ENDED_EARLY)
        element.set("message", _text(error.partition("\n")[0]))
        how = crashed(report.crash) if report.crash is not None else []
        element.text = _text("\n".join([told, error, *how]))
    elif not counts.ops:
        ET.SubElement(case, "error", type="no verdict", message=told)
    elif not report.agrees and not counts.wrong:
        ET.SubElement(case, "failure", type="unchecked", message=told)
    if report.healed is not None:
        ET.SubElement(case, "system-out").text = _text(f"Healed: {line(report.healed.says)}")
    return case


def _text(text: str) -> str:
    """Return `text` without the characters that no XML document may hold."""
    return _NO_XML.sub("\ufffd", text)
