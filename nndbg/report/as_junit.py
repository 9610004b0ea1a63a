"""Renders a report as JUnit XML, which test dashboards read: a suite a step, a case an output."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from nndbg.compare import Status, Verdict
from nndbg.report.drift import sentences
from nndbg.report.model import Report
from nndbg.report.outputs import Output, found, headline, in_words, line
from nndbg.text import printable

# What XML 1.0 (section 2.2) admits no character reference to either.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report) -> str:
    """Return one XML document; the run itself has a case where it ended early or saw nothing."""
    root = ET.Element("testsuites", name=_text(f"nndbg: {line(report.program)}"))
    for step, verdicts in groupby(report.verdicts, key=lambda verdict: verdict.subject.step):
        root.append(_suite(f"step {step}", _cases(report, verdicts)))
    if told := sentences(report):
        root.append(_suite("trajectory", [_trajectory(report, told)]))
    if report.error is not None or not report.verdicts:
        root.append(_suite("run", [_run(report)]))
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in root)))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, "unicode")}\n'


def _suite(name: str, cases: Iterable[ET.Element]) -> ET.Element:
    suite = ET.Element("testsuite", name=name)
    suite.extend(cases)
    suite.set("tests", str(len(suite)))
    for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(len(suite.findall(f"testcase/{tag}"))))
    return suite


def _cases(report: Report, verdicts: Iterable[Verdict]) -> Iterable[ET.Element]:
    """Return a case for each output: two may not have the same name in a suite."""
    groups: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in verdicts:
        subject = verdict.subject
        groups.setdefault((subject.op, subject.buffer, subject.mode), []).append(verdict)
    for same in groups.values():
        yield _case(report, Output(tuple(same)))


def _case(report: Report, output: Output) -> ET.Element:
    case = ET.Element("testcase", classname=_text(output.op))
    case.set("name", _text(f"{output.buffer} ({output.mode})"))
    if output.wrong:
        verdict = output.wrong[0]
        failure = ET.SubElement(case, "failure", type=verdict.status.value)
        failure.set("message", _text(line(verdict.says) or found(verdict)))
        words = [in_words(wrong) for wrong in output.wrong]
        if report.first is not None and verdict is report.first.verdict:
            words += [
                f"{line(d.says)} (explains {d.explains} of {d.of})" for d in report.first.diagnosis
            ]
        failure.text = _text("\n".join(words))
    elif output.status is Status.UNCHECKED:
        says = [v.says for v in output.verdicts if v.status is Status.UNCHECKED]
        ET.SubElement(case, "skipped", message=_text(line(says[0])))
    return case


def _trajectory(report: Report, told: Sequence[str]) -> ET.Element:
    """Return a case that fails where the program is proved wrong, skipped where it may be."""
    case = ET.Element("testcase", classname="trajectory", name="drift")
    departed = report.trajectory is not None and report.trajectory.departure is not None
    if report.wrong:
        ET.SubElement(case, "failure", type="drift", message=_text(told[0]))
    elif departed:
        ET.SubElement(case, "skipped", message=_text(told[0]))
    ET.SubElement(case, "system-out").text = _text("\n".join(told))
    return case


def _run(report: Report) -> ET.Element:
    case = ET.Element("testcase", classname="nndbg", name="run")
    error = printable(report.error) if report.error is not None else headline(report)
    element = ET.SubElement(
        case, "error", type="no verdict" if report.error is None else "ended early"
    )
    element.set("message", _text(error.splitlines()[0] if error else ""))
    element.text = _text(error)
    return case


def _text(text: str) -> str:
    """Return `text` without the characters that no XML document may hold."""
    return _NO_XML.sub("", text)
