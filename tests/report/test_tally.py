"""What a report holds, counted in one pass."""

from __future__ import annotations

import pytest

from nndbg.compare import Mode, Status
from nndbg.report import Report
from nndbg.report.tally import Steps, tally

from .conftest import Once


def test_one_pass_is_enough(verdict):
    verdicts = Once(tuple(verdict(step) for step in range(3)))
    tally(Report("p", (0, 1, 2), verdicts))
    assert verdicts.passes == 1


def test_outputs_are_told_apart_by_op_buffer_and_mode(verdict):
    found = tally(
        Report(
            "p",
            (0,),
            (
                verdict(0, "b"),
                verdict(0, "b", mode=Mode.CHAIN),
                verdict(0, "b", buffer="b"),
                verdict(0, "a"),
            ),
        )
    )
    names = [[(o.subject.op, o.subject.buffer, o.mode) for o in outputs] for outputs in found.ops]
    assert names == [
        [("b", "z2", "local"), ("b", "z2", "chain"), ("b", "b", "local")],
        [("a", "z2", "local")],
    ]


def test_every_verdict_is_counted_once(mixed):
    found = tally(mixed)
    assert (found.wrong, found.unchecked, found.unproved) == (2, 1, 1)
    dense1, dense2, relu = found.outputs
    assert (dense1.status, dense1.checked, dense1.bad) == (Status.AGREE, 3 * 4096, 0)
    assert (dense2.status, dense2.checked, dense2.bad) == (Status.DIVERGED, 3 * 4096, 128)
    assert list(dense2.wrong_steps) == [1, 2]
    assert relu.unchecked is not None
    assert list(relu.unchecked.steps) == [1]


def test_the_status_is_what_was_wrong_first(verdict):
    statuses = [Status.UNCHECKED, Status.UNWRITTEN, Status.DIVERGED, Status.AGREE]
    verdicts = tuple(verdict(step, status=status) for step, status in enumerate(statuses))
    (output,) = tally(Report("p", (), verdicts)).outputs
    assert output.status is Status.UNWRITTEN
    assert [part.first.subject.step for part in output.wrong] == [1, 2]


@pytest.mark.parametrize(
    ("first", "last", "status"),
    [
        (0, 0, Status.AGREE),
        (0, 2, Status.UNCHECKED),
        (2, 4, Status.DIVERGED),
        (4, 9, Status.NONFINITE),
        (0, 9, Status.DIVERGED),
        (5, 9, None),
    ],
)
def test_a_stretch_of_steps_shows_what_was_wrong_first_in_it(verdict, first, last, status):
    statuses = [
        Status.AGREE,
        Status.UNCHECKED,
        Status.AGREE,
        Status.DIVERGED,
        Status.NONFINITE,
    ]
    verdicts = tuple(verdict(step, status=status) for step, status in enumerate(statuses))
    (output,) = tally(Report("p", (), verdicts)).outputs
    assert output.status_in(first, last) is status


def test_what_the_local_mode_proves_a_loose_chain_does_not_leave_open(verdict):
    loose = verdict(0, status=Status.UNCHECKED, mode=Mode.CHAIN)
    found = tally(Report("p", (0,), (loose, verdict(0))))
    assert (found.unchecked, found.unproved) == (1, 0)
    other_step = tally(Report("p", (0, 1), (verdict(0), verdict(1, status=Status.UNCHECKED))))
    assert (other_step.unchecked, other_step.unproved) == (1, 1)


def test_the_largest_share_is_kept_and_absent_where_there_is_none(verdict):
    half, whole = verdict(0, actual=0.2505, bound=1e-3), verdict(1, actual=0.251, bound=1e-3)
    (output,) = tally(Report("p", (0, 1), (whole, half))).outputs
    assert output.share == pytest.approx(1)
    (none,) = tally(Report("p", (0,), (verdict(status=Status.UNWRITTEN, worst=False),))).outputs
    assert none.share is None


def test_steps_are_held_as_runs():
    steps = Steps([0, 1, 1, 2, 5, 7, 8])
    assert list(steps) == [0, 1, 2, 5, 7, 8]
    assert list(steps.runs) == [(0, 2), (5, 5), (7, 8)]


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [(0, 0, 0), (1, 9, 1), (3, 4, None), (3, 5, 5), (6, 6, None), (8, 99, 8), (9, 99, None)],
)
def test_the_first_step_of_a_stretch_is_found(first: int, last: int, found: int | None):
    assert Steps([0, 1, 2, 5, 7, 8]).first_in(first, last) == found
