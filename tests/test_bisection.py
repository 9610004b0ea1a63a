"""Bisection on a run without a program: which steps it looks at, and what it says of them."""

from __future__ import annotations

import pytest

from nndbg.bisection import bisect_steps
from nndbg.compare import Status
from nndbg.errors import ProgramError
from nndbg.session import Session

OPS = ("load", "dense", "relu", "dz", "dx", "dW", "update")
STEP = 'step = "enter:step"\n'
SEEK = 'counter = "n"\nseek = { boundary = "enter:seek", target = "at" }\n'
LONG = 1000


def wrong(state):
    state["h"][0, 1] = 77.0


BAD = [("relu", wrong) if op == "relu" else op for op in OPS]


@pytest.fixture
def bisect(fake):
    """Bisects `steps` of a run that is wrong in the steps of `bad`."""

    def bisect(steps: range, bad, crash: int | None = None, seeks: bool = True):
        script = [BAD if step in bad else OPS for step in range(steps.stop)]
        if crash is not None:
            script[crash] = ["load", ProgramError("it crashed")]
        text = fake([]).text
        assert STEP in text
        told: list[int] = []
        source = fake(script, text.replace(STEP, STEP + SEEK) if seeks else text)
        report = bisect_steps(Session(source), steps, told.append)
        return report, told

    return bisect


@pytest.mark.parametrize("first", [1, 2, 499, 500, 501, 998, 999])
def test_the_first_step_of_a_mistake_that_stays_is_found(bisect, first: int):
    report, told = bisect(range(LONG), range(first, LONG))
    assert report.first is not None
    assert report.first.verdict.subject.step == first
    assert report.steps == (first,)
    assert f"Step {first - 1}, the one before, is right." in report.says
    assert len(told) <= 12
    assert told == list(range(1, len(told) + 1))
    assert report.says.startswith(f"Found by bisection: {len(told)} of 1000 steps were checked.")


def test_a_mistake_from_the_beginning_on_takes_one_look(bisect):
    report, told = bisect(range(3, LONG), range(LONG))
    assert report.steps == (3,)
    assert told == [1]
    assert "It is the first of them." in report.says


def test_a_single_step_is_a_range(bisect):
    assert bisect(range(5, 6), {5})[0].steps == (5,)
    report, _ = bisect(range(5, 6), {})
    assert report.agrees
    assert report.says == "1 of 1 steps were checked, and none of them is wrong."


@pytest.mark.parametrize("bad", [range(300, 500), range(70, 80), {700}, {117, 900}], ids=str)
def test_what_comes_and_goes_is_a_wrong_step_behind_a_right_one_or_nothing(bisect, bad):
    report, told = bisect(range(LONG), bad)
    if report.first is None:
        assert report.agrees
        assert not set(report.steps) & set(bad)
        assert "comes and goes" in report.says
        assert report.says.startswith(f"{len(told)} of 1000 steps were checked")
    else:
        (found,) = report.steps
        assert found in bad
        assert found - 1 not in bad
        assert "The mistake comes and goes: step 999 is right again" in report.says


def test_a_mistake_of_a_fifth_of_the_run_is_not_missed(bisect):
    report, _ = bisect(range(LONG), range(300, 500))
    assert report.steps == (300,)


def test_the_steps_between_the_looked_at_are_sampled_where_asked(bisect):
    report, _ = bisect(range(0, LONG, 10), range(333, LONG))
    assert report.steps == (340,)
    assert "Step 330, the one before, is right." in report.says


def test_a_crash_is_found_where_it_happens(bisect):
    report, _ = bisect(range(LONG), {}, crash=640)
    assert report.error == "it crashed"
    assert report.first is None
    assert [v.subject.step for v in report.verdicts] == [640]
    assert "Step 639, the one before, is right." in report.says


def test_a_mistake_before_a_crash_is_found_before_it(bisect):
    report, _ = bisect(range(LONG), range(400, LONG), crash=640)
    assert report.steps == (400,)
    assert report.error is None


def test_what_was_looked_at_is_the_report_of_a_sound_run(bisect):
    report, told = bisect(range(LONG), {})
    assert report.agrees
    assert list(report.steps) == sorted(report.steps)
    assert len(report.steps) == len(told) == 18
    assert len(report.verdicts) == 18 * len(OPS)
    assert {v.status for v in report.verdicts} == {Status.AGREE}


def test_without_seek_every_step_is_swept_up_to_the_first(bisect):
    report, told = bisect(range(50), {20, 40}, seeks=False)
    assert report.first is not None
    assert report.first.verdict.subject.step == 20
    assert report.steps == tuple(range(20))
    assert told == list(range(1, 21))
    assert report.says.startswith("The layer map has no `seek`")
