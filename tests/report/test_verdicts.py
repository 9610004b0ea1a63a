"""Verdicts in any number: as they were, in order, and not in memory."""

from __future__ import annotations

import json
import math
import tempfile
import tracemalloc
from pathlib import Path

import pytest

from nndbg.compare import Mode, Status
from nndbg.errors import UsageError
from nndbg.report import Report, Verdicts
from nndbg.report.as_json import pieces, render
from nndbg.report.as_sarif import render as render_sarif
from nndbg.report.verdicts import _MOST_KEPT

MANY = 4 * _MOST_KEPT + 17


def steps(verdicts) -> list[int]:
    return [v.subject.step for v in verdicts]


@pytest.fixture(scope="module")
def many(verdict) -> Verdicts:
    """More than are kept in memory; that of step 5000 is wrong, and no number."""
    verdicts = Verdicts()
    for step in range(MANY):
        status = Status.NONFINITE if step == 5000 else Status.AGREE
        verdicts.extend([verdict(step, status=status, actual=math.nan if step == 5000 else 1.0)])
    return verdicts


def test_all_come_back_in_order_as_often_as_wanted(many):
    assert len(many) == MANY
    assert steps(many) == steps(many) == list(range(MANY))


def test_two_readers_do_not_disturb_each_other(many):
    ours = iter(many)
    assert next(ours).subject.step == 0
    assert len(list(many)) == MANY
    assert steps(ours) == list(range(1, MANY))


def test_what_is_added_while_it_is_read_comes_behind(verdict):
    verdicts = Verdicts(verdict(step) for step in range(_MOST_KEPT + 1))
    reader = iter(verdicts)
    next(reader)
    verdicts.extend(verdict(step) for step in range(_MOST_KEPT + 1, 2 * _MOST_KEPT + 2))
    assert steps(verdicts) == list(range(2 * _MOST_KEPT + 2))


def test_a_verdict_comes_back_as_it_was(verdict):
    one = verdict(3, "dense1", Status.UNWRITTEN, mode=Mode.CHAIN, says="ö\x1b")
    verdicts = Verdicts([one, *(verdict(4) for _ in range(MANY))])
    assert next(iter(verdicts)) == one
    assert one in verdicts
    assert verdict(5) not in verdicts


def test_the_first_wrong_one_is_the_same_object_wherever_it_comes(many):
    found = [v for v in many if v.status.is_wrong]
    assert many.wrong == 1
    assert found[0] is many.first_wrong
    report = Report("p", (), many)
    assert report.first is not None
    assert report.first.verdict is found[0]


def test_a_report_of_many_says_what_one_of_few_does(many):
    report = Report("p", tuple(range(MANY)), many)
    assert not report.agrees
    assert steps(report.wrong) == [5000]
    assert report.unproved == ()
    results = json.loads(render_sarif(report))["runs"][0]["results"]
    assert [result["ruleId"] for result in results] == ["nonfinite"]


def test_what_is_open_in_one_step_is_not_proved_by_another(verdict):
    loose = Status.UNCHECKED
    assert Verdicts([verdict(0, status=loose), verdict(1)]).unproved == 1
    assert Verdicts([verdict(0), verdict(1, status=loose)]).unproved == 1
    assert Verdicts([verdict(0, status=loose, mode=Mode.CHAIN), verdict(0)]).unproved == 0
    assert Verdicts([verdict(0), verdict(0, status=loose, mode=Mode.CHAIN)]).unproved == 0
    assert Verdicts([verdict(0, mode=Mode.CHAIN), verdict(0, status=loose)]).unproved == 1


def test_json_is_written_verdict_by_verdict(many):
    report = Report("p", tuple(range(3)), many)
    made = pieces(report)
    assert max(map(len, made)) < 1000
    document = json.loads(render(report))
    assert [v["step"] for v in document["verdicts"]] == list(range(MANY))
    assert document["first"]["step"] == 5000


def test_json_without_a_verdict_is_json():
    assert json.loads(render(Report("p", (), ())))["verdicts"] == []


def test_memory_does_not_grow_with_the_verdicts(verdict):
    def peak(count: int) -> int:
        tracemalloc.start()
        verdicts = Verdicts()
        for step in range(count):
            verdicts.extend([verdict(step)])
        for _ in pieces(Report("p", (), verdicts)):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(8 * _MOST_KEPT) < 1.1 * peak(4 * _MOST_KEPT)


def test_where_there_is_no_room_it_says_where_and_what_to_do(verdict, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match=r"gone: the verdicts cannot be kept there: .*TMPDIR"):
        Verdicts(verdict(step) for step in range(MANY))
