"""What a report concludes from its verdicts."""

from __future__ import annotations

import pytest

from nndbg.compare import Mode, Status
from nndbg.report import Report

WRONG = [Status.DIVERGED, Status.NONFINITE, Status.UNWRITTEN]


def test_all_outputs_that_agree_are_agreement(verdict):
    report = Report("p", (0, 1), (verdict(0), verdict(1)))
    assert report.agrees
    assert report
    assert (report.wrong, report.first) == ((), None)


def test_no_verdict_is_no_agreement():
    assert not Report("p", (), ())
    assert not Report("p", (0,), ())


def test_an_error_is_no_agreement(verdict):
    assert not Report("p", (0,), (verdict(0),), "it crashed")


@pytest.mark.parametrize("status", WRONG)
def test_one_wrong_output_is_no_agreement(verdict, status: Status):
    report = Report("p", (0,), (verdict(0, "a"), verdict(0, "b", status), verdict(0, "c", status)))
    assert not report
    assert [v.subject.op for v in report.wrong] == ["b", "c"]
    assert report.first is not None
    assert report.first.verdict.subject.op == "b"


def test_what_could_not_be_checked_is_no_agreement_and_not_wrong(verdict):
    report = Report("p", (0,), (verdict(0, status=Status.UNCHECKED),))
    assert not report
    assert report.wrong == ()


def test_a_chain_bound_too_loose_takes_nothing_away_from_local_agreement(verdict):
    loose = verdict(0, status=Status.UNCHECKED, mode=Mode.CHAIN)
    assert Report("p", (0,), (verdict(0), loose))


@pytest.mark.parametrize("status", WRONG)
def test_a_chain_verdict_that_is_wrong_counts(verdict, status: Status):
    assert not Report("p", (0,), (verdict(0), verdict(0, status=status, mode=Mode.CHAIN)))
