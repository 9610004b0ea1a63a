"""Side by side over many steps: what is proved, what only noise tells, and what is mere luck."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import nndbg
from nndbg import Mode, Status
from nndbg.errors import GdbError, ProgramError, UsageError
from nndbg.report import Report
from nndbg.report.drift import sentences
from nndbg.session import Session
from nndbg.trajectory import follow_steps

OPS = ("load", "dense", "relu", "dz", "dx", "dW", "update")
U = 2.0**-24


def rate(step: int) -> Callable[[dict], None]:
    """Sets a learning rate that no op owns, another one in every step."""
    value = np.random.default_rng([9, step]).uniform(0.5e-4, 1.5e-4)

    def change(state: dict) -> None:
        state["lr"] = np.array(value, "<f4")

    return change


@pytest.fixture
def follow(fake) -> Callable[..., Report]:
    """Follows a script: all ops of the small map in each step, but for what is `changed` in it."""

    def run(count: int, changed: Callable[[int], dict] = lambda step: {}, **options) -> Report:
        script = [[rate(step), *(changed(step).get(op, op) for op in OPS)] for step in range(count)]
        return follow_steps(Session(fake(script)), range(count), **options)

    return run


def after(op: str, correct, change: Callable[[dict], None]) -> tuple[str, Callable[[dict], None]]:
    def act(state: dict) -> None:
        correct[op](state)
        change(state)

    return op, act


def test_a_sound_program_is_within_the_noise_for_as_long_as_it_runs(follow):
    done: list[int] = []
    report = follow(60, progress=done.append)
    assert report.agrees
    assert report.steps == tuple(range(60))
    assert done == list(range(1, 61))
    trajectory = report.trajectory
    assert trajectory is not None
    assert trajectory.departure is None
    assert trajectory.most < 3
    assert "Float32 noise explains the drift over 60 steps" in sentences(report)[0]


def test_what_a_step_hands_on_has_a_point_in_every_step(follow):
    trajectory = follow(5).trajectory
    assert trajectory is not None
    (series,) = trajectory.series
    assert (series.buffer, series.is_scalar) == ("W", False)
    assert [point.step for point in series.points] == [0, 1, 2, 3, 4]
    assert all(p.drift < p.bound for p in series.points if p.bound is not None)
    assert series.points[0].bound is not None


def test_the_reference_does_not_begin_anew_in_every_step(follow):
    bounds = [p.bound for p in follow(5).trajectory.series[0].points]
    assert None not in bounds
    assert bounds == sorted(bounds)
    assert bounds[4] > 2 * bounds[0]


def test_a_wrong_op_is_proved_wrong_and_its_step_and_op_are_named(follow, correct):
    def forget(state: dict) -> None:
        state["dW"][1, 0] = 0

    report = follow(6, lambda step: {"dW": after("dW", correct, forget)} if step >= 3 else {})
    assert not report.agrees
    assert report.first is not None
    subject = report.first.verdict.subject
    assert (subject.step, subject.op) == (3, "dW")
    assert report.diagnosis != ()
    departure = report.trajectory.departure
    assert (departure.step, departure.op, departure.buffer) == (3, "dW", "dW")
    assert sentences(report)[0].startswith("Wrong, not unlucky: dW is proved wrong in step 3; ")
    chained = [v for v in report.wrong if v.subject.mode is Mode.TRAJECTORY]
    assert chained[0].subject.op == "dW"


def upwards(state: dict) -> None:
    """An update that no bound forbids: rounded up wherever the bound has room for it."""
    product = float(state["lr"]) * state["dW"].astype(float)
    exact = state["W"].astype(float) - product
    nearest = exact.astype("<f4")
    above = np.where(nearest < exact, np.nextafter(nearest, np.float32(np.inf)), nearest)
    allowed = 0.95 * U * (np.abs(exact) + np.abs(product))
    state["W"] = np.where(np.abs(above - exact) <= allowed, above, nearest).astype("<f4")


def test_what_no_bound_forbids_shows_in_the_long_run_and_is_not_called_proved(follow, fake):
    report = follow(260, lambda step: {"update": ("update", upwards)})
    assert report.wrong == ()
    assert not report.agrees
    departure = report.trajectory.departure
    assert (departure.op, departure.buffer) == ("update", "W")
    assert 20 < departure.step < 260
    told = sentences(report)[0]
    assert told.startswith(f"Likely wrong, not unlucky: in step {departure.step} the drift leaves")
    assert f"--mode local --steps {departure.step}:{departure.step + 1} checks" in told
    first = report.unproved[0]
    assert (first.status, first.subject.step) == (Status.UNCHECKED, departure.step)
    assert "times as far from the reference as float32 noise" in first.says


def test_weights_that_change_between_two_steps_are_not_taken_over(fake):
    def overwrite(state: dict) -> None:
        state["W"][0, 0] = 0

    script = [[*OPS], [*OPS, overwrite], [*OPS], [*OPS]]
    report = follow_steps(Session(fake(script)), range(4))
    assert not report.agrees
    points = report.trajectory.series[0].points
    assert [p.drift > 0 for p in points] == [False, False, True, True]
    assert report.trajectory.departure.step == 2


def test_a_trajectory_may_begin_anywhere(fake):
    report = follow_steps(Session(fake([OPS] * 6)), range(2, 6))
    assert report.agrees
    assert [p.step for p in report.trajectory.series[0].points] == [2, 3, 4, 5]


def test_an_op_that_runs_twice_is_followed_once(fake):
    report = follow_steps(Session(fake([[*OPS[:3], "relu", *OPS[3:]]] * 3)), range(3))
    assert report.agrees
    assert report.trajectory.most < 3


def test_ops_in_another_order_are_followed_in_the_order_of_the_map(fake):
    report = follow_steps(Session(fake([["load", "dense", "dz", *OPS[4:], "relu"]] * 3)), range(3))
    assert report.agrees
    assert report.trajectory.departure is None


def test_an_op_that_never_comes_is_done_by_the_reference_all_the_same(fake):
    report = follow_steps(Session(fake([OPS, OPS[:-1], OPS])), range(3))
    assert report.first.verdict.status is Status.UNWRITTEN
    assert report.trajectory.departure.op == "update"
    assert report.trajectory.series[0].points[1].drift > 0


@pytest.mark.parametrize("error", [ProgramError("it crashed"), GdbError("GDB died")])
def test_a_failure_on_the_way_keeps_what_was_followed(fake, error):
    report = follow_steps(Session(fake([OPS, OPS, ["load", error]])), range(3))
    assert (report.steps, report.error) == ((0, 1), str(error))
    assert [p.step for p in report.trajectory.series[0].points] == [0, 1]
    assert not report.agrees


def test_steps_beyond_the_end_are_an_error_beside_what_was_followed(fake):
    report = follow_steps(Session(fake([OPS, OPS])), range(4))
    assert report.steps == (0, 1)
    assert report.error == "the program ended after step 1: there is no step 2 to follow."


def test_a_failure_before_the_first_step_has_no_trajectory_to_tell_of(fake):
    report = follow_steps(Session(fake([[ProgramError("it crashed")]])), range(1))
    assert report.error == "it crashed"
    assert sentences(report) == []


def test_a_session_follows_no_trajectory_by_itself(program):
    with pytest.raises(UsageError, match="follow a trajectory with check"):
        nndbg.open(program, modes=(Mode.TRAJECTORY,))


def test_a_trajectory_goes_alone(program):
    with pytest.raises(UsageError, match="a trajectory goes alone"):
        nndbg.check(program, modes=(Mode.LOCAL, Mode.TRAJECTORY))
