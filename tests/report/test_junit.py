"""The JUnit report, read as CI systems read it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from nndbg.compare import Mode, Status
from nndbg.report import Report
from nndbg.report.as_junit import render

# Elements and attributes of the schema that Jenkins and GitLab read, as far as they are used here.
KNOWN = {
    "testsuites": {"name", "tests", "failures", "errors", "skipped"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped"},
    "testcase": {"classname", "name"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"message"},
}


def parsed(report: Report) -> ET.Element:
    """The document: XML that the schema knows, whose numbers are those of its cases."""
    root = ET.fromstring(render(report))
    for element in root.iter():
        assert set(element.keys()) == KNOWN[element.tag]
    for suite in (root, *root.iter("testsuite")):
        cases = list(suite.iter("testcase"))
        assert int(suite.get("tests", "")) == len(cases)
        for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(count, "")) == len([c for c in cases if c.find(tag) is not None])
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(names) == len(set(names))
    return root


def case(root: ET.Element, classname: str, name: str) -> ET.Element:
    (found,) = root.findall(f".//testcase[@classname='{classname}'][@name='{name}']")
    return found


def test_an_output_is_one_case_whatever_its_steps(mixed):
    root = parsed(mixed)
    names = [(c.get("classname"), c.get("name")) for c in root.iter("testcase")]
    assert names == [
        ("dense1", "z1 (local)"),
        ("dense2", "z2 (local)"),
        ("relu", "h (local)"),
        ("nndbg", "run"),
    ]
    assert [s.get("name") for s in root.iter("testsuite")] == ["bin/prog"]


def test_what_agrees_passes(mixed):
    assert len(case(parsed(mixed), "dense1", "z1 (local)")) == 0


def test_what_is_wrong_fails_with_its_type_message_and_diagnosis(mixed):
    (failure,) = case(parsed(mixed), "dense2", "z2 (local)")
    assert (failure.tag, failure.get("type")) == ("failure", "diverged")
    assert failure.get("message") == "wrong in steps 1-2; z2[:, 63]: 64 of 4096 elements are wrong"
    assert failure.text is not None
    assert failure.text.splitlines() == [
        "diverged in steps 1-2, first:",
        "z2[:, 63]: 64 of 4096 elements are wrong",
        "worst: z2[3, 63]: program 0.125, reference 0.25 ±1.1e-06, apart 4194304 ulps",
        "the term k=127 is missing (explains 60 of 64)",
        "dense2 is complete at asm/forward.asm:60 in forward (0x4019a3)",
    ]


def test_the_diagnosis_is_of_the_first_divergence_alone(verdict, mixed):
    other = verdict(2, "zzz", Status.DIVERGED, buffer="q")
    report = Report("p", (0,), (*mixed.verdicts, other), diagnosis=mixed.diagnosis)
    assert render(report).count("k=127") == 1


def test_every_way_of_being_wrong_is_told(verdict):
    statuses = (Status.UNWRITTEN, Status.AGREE, Status.NONFINITE)
    verdicts = tuple(verdict(step, status=status) for step, status in enumerate(statuses))
    (failure,) = case(parsed(Report("p", (0, 1, 2), verdicts)), "dense2", "z2 (local)")
    assert failure.get("type") == "unwritten"
    assert "unwritten in step 0, first:" in (failure.text or "")
    assert "nonfinite in step 2, first:" in (failure.text or "")


def test_what_could_not_be_checked_is_skipped_with_the_reason(mixed):
    (skipped,) = case(parsed(mixed), "relu", "h (local)")
    assert (skipped.tag, skipped.get("message")) == ("skipped", "float32 overflows")


def test_a_sound_run_passes(verdict):
    root = parsed(Report("p", (0,), (verdict(0),)))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("2", "0", "0")


def test_a_run_that_is_wrong_is_told_by_its_outputs(verdict):
    root = parsed(Report("p", (0,), (verdict(0, status=Status.DIVERGED),)))
    assert (root.get("failures"), root.get("errors")) == ("1", "0")


def test_a_program_that_fails_is_an_error(verdict):
    root = parsed(Report("p", (0,), (verdict(0),), "it crashed\nin main"))
    (error,) = case(root, "nndbg", "run")
    assert (error.tag, error.get("message")) == ("error", "it crashed")
    assert (error.text or "").endswith("it crashed\nin main")


def test_a_report_with_nothing_in_it_is_an_error():
    (error,) = case(parsed(Report("p", (0,), ())), "nndbg", "run")
    assert (error.tag, error.get("message")) == ("error", "nothing was checked")


def test_a_report_that_proves_nothing_fails(verdict):
    root = parsed(Report("p", (0,), (verdict(0, status=Status.UNCHECKED, says="why"),)))
    (failure,) = case(root, "nndbg", "run")
    assert failure.get("message") == "1 of 1 outputs could not be checked"


def test_a_loose_chain_bound_is_skipped_and_the_run_passes(verdict):
    loose = verdict(0, status=Status.UNCHECKED, mode=Mode.CHAIN, says="why")
    root = parsed(Report("p", (0,), (verdict(0), loose)))
    assert (root.get("failures"), root.get("errors"), root.get("skipped")) == ("0", "0", "1")


def test_hostile_text_stays_text(infested, hostile: str):
    root = parsed(infested)
    assert [c.find("*").tag for c in root.iter("testcase")] == ["failure", "skipped", "error"]
    if hostile.isascii() and hostile.isprintable():
        assert root[0][0].get("classname") == hostile


@pytest.mark.parametrize("text", ["]]>", "<b>&amp;"])
def test_what_xml_marks_comes_back(verdict, text: str):
    root = parsed(Report(text, (0,), (verdict(0, text, Status.DIVERGED, says=text),)))
    assert root[0].get("name") == text
    (failure,) = root.iter("failure")
    assert text in (failure.text or "")
