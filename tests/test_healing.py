"""Ops that are repaired while the program runs: what agrees then, and which have to be."""

from __future__ import annotations

import numpy as np
import pytest

from nndbg.compare import Mode, Status
from nndbg.errors import ProgramError, UsageError
from nndbg.healing import AUTO, heal_steps
from nndbg.session import Session

OPS = ("load", "dense", "relu", "dz", "dx", "dW", "update")
MODES = (Mode.LOCAL, Mode.CHAIN)


def broken(correct, op, harm):
    """An op of that name which does its work, and then `harm` to the state."""

    def act(state):
        correct[op](state)
        harm(state)

    return (op, act)


def script(*changed, steps=3):
    """Steps in which these events stand in the place of the ops of their names."""
    events = {event[0]: event for event in changed}
    return [[events.get(op, op) for op in OPS]] * steps


@pytest.fixture
def heal(fake):
    def heal(events, *ops, steps=None, modes=(Mode.LOCAL,)):
        source = fake(events)
        with Session(source, modes) as session:
            return heal_steps(session, steps or range(len(events)), ops)

    return heal


@pytest.fixture
def bad_z(correct):
    return broken(correct, "dense", lambda s: s["z"].__setitem__((0, 1), 77))


@pytest.fixture
def bad_dW(correct):
    return broken(correct, "dW", lambda s: s["dW"].__imul__(2))


def wrong(report, mode=Mode.LOCAL):
    return {(v.subject.step, v.subject.op) for v in report.wrong if v.subject.mode is mode}


def test_what_is_healed_is_still_told_to_be_wrong(heal, bad_z):
    report = heal(script(bad_z), "dense")
    assert wrong(report) == {(step, "dense") for step in range(3)}
    assert report.first is not None
    assert report.first.verdict.worst is not None
    assert report.first.verdict.worst.actual == 77
    assert not report.agrees


def test_one_fault_needs_one_op(heal, bad_z):
    report = heal(script(bad_z), "dense")
    assert report.healed is not None
    assert report.healed.agrees
    assert report.healed.steps == {"dense": (0, 1, 2)}
    assert report.healed.says == "Repairing dense alone makes every other output agree."


def test_healing_ends_what_travels_down_the_chain(heal, bad_z):
    sick = heal(script(bad_z), "load", modes=MODES)
    assert (0, "relu") in wrong(sick, Mode.CHAIN)
    assert sick.healed is not None
    assert not sick.healed.agrees
    healed = heal(script(bad_z), "dense", modes=MODES)
    assert wrong(healed, Mode.CHAIN) == wrong(healed) == {(step, "dense") for step in range(3)}
    assert healed.healed is not None
    assert healed.healed.agrees


def test_two_faults_are_not_healed_by_one(heal, bad_z, bad_dW):
    report = heal(script(bad_z, bad_dW), "dense")
    assert report.healed is not None
    assert not report.healed.agrees
    assert report.healed.says == ("With dense repaired, dW is still wrong, first in step 0 (dW).")


def test_the_fewest_ops_are_found(heal, bad_z, bad_dW):
    one = heal(script(bad_z), AUTO).healed
    assert one is not None
    assert (one.ops, one.is_found, one.agrees) == (("dense",), True, True)
    two = heal(script(bad_z, bad_dW), AUTO).healed
    assert two is not None
    assert (two.ops, two.agrees) == (("dense", "dW"), True)
    assert two.says == (
        "Repairing dense and dW makes every other output agree. None of them can be left out."
    )


def test_what_is_wrong_because_of_another_is_not_among_the_fewest(heal, correct):
    # NaNs spread: the ops behind are wrong too, until the first of them is repaired.
    nan = broken(correct, "load", lambda s: s["x"].__setitem__((0, 0), np.nan))
    sick = heal(script(nan), "update")
    assert {op for _, op in wrong(sick)} >= {"load", "dense", "dW", "update"}
    report = heal(script(nan), AUTO)
    assert report.healed is not None
    assert report.healed.ops == ("load",)
    assert wrong(report) == {(step, "load") for step in range(3)}


def test_an_op_that_a_later_repair_makes_needless_is_left_out(heal, correct):
    # In step 1 `update` leaves a NaN, so that `dense` is wrong in step 2; but in step 0 it is not.
    poisoned = broken(correct, "update", lambda s: s["W"].__setitem__((0, 0), np.nan))
    events = [list(OPS), [poisoned if op == "update" else op for op in OPS], list(OPS)]
    report = heal(events, AUTO)
    assert report.healed is not None
    assert report.healed.ops == ("update",)
    assert report.healed.steps == {"update": (1,)}


def test_what_a_step_hands_on_is_healed_too(heal, correct):
    bad = broken(correct, "update", lambda s: s["W"].__iadd__(1))
    report = heal(script(bad), "update", modes=MODES)
    assert wrong(report) == {(step, "update") for step in range(3)}
    assert report.healed is not None
    assert report.healed.agrees


def test_a_buffer_that_an_op_changed_and_does_not_own_is_given_back(heal, correct):
    stray = broken(correct, "relu", lambda s: s["z"].__setitem__((1, 1), 99))
    report = heal(script(stray), "relu", modes=MODES)
    assert {v.subject.buffer for v in report.wrong} == {"z"}
    assert report.healed is not None
    assert report.healed.agrees


def test_an_op_that_works_in_place_is_healed(heal, correct):
    bad = broken(correct, "update", lambda s: s["W"].__setitem__((2, 1), -5))
    report = heal(script(bad), AUTO)
    assert report.healed is not None
    assert report.healed.ops == ("update",)


def test_our_own_writing_is_no_change_of_the_program_s(heal, bad_z):
    report = heal(script(bad_z), "dense")
    assert {v.subject.buffer for v in report.wrong} == {"z"}
    assert all("none of its outputs" not in v.says for v in report.verdicts)


def test_a_right_op_is_left_as_it_is(heal, bad_z):
    report = heal(script(bad_z), "relu")
    assert report.healed is not None
    assert report.healed.steps == {"relu": ()}
    assert report.healed.says == "relu is right in every step, and nothing was written."
    assert not report.healed.agrees
    sound = heal(script(), "relu")
    assert sound.healed is not None
    assert sound.healed.agrees
    assert sound.agrees


def test_in_a_sound_program_nothing_has_to_be_repaired(heal):
    report = heal(script(), AUTO)
    assert report.agrees
    assert report.healed is not None
    assert (report.healed.ops, report.healed.agrees) == ((), True)
    assert report.healed.says == "No output is wrong: there is nothing to repair."


@pytest.mark.parametrize("ops", [("relu",), (AUTO,)], ids=["named", "auto"])
def test_an_op_that_is_never_reached_cannot_be_healed(heal, ops):
    events = [[op for op in OPS if op != "relu"]] * 2
    report = heal(events, *ops)
    assert report.healed is not None
    assert not report.healed.agrees
    assert report.healed.says.startswith(
        "relu cannot be repaired: it never came to its boundary in step 0."
    )


@pytest.mark.parametrize("ops", [("dense",), (AUTO,)], ids=["named", "auto"])
def test_an_op_that_is_given_nans_cannot_be_healed(heal, ops):
    # They are there before the step begins, so that no op of it made them.
    def spoil(state):
        state["W"][0, 0] = np.nan

    report = heal([[*OPS, spoil], list(OPS)], *ops, steps=range(1, 2))
    assert report.healed is not None
    assert (report.healed.agrees, report.healed.steps) == (False, {"dense": ()})
    assert report.healed.says == (
        "dense cannot be repaired: in step 1 it is given NaNs, or what makes them, so that z "
        "should hold some too."
    )


def test_an_op_that_is_complete_too_early_cannot_be_healed(heal, correct):
    bad = broken(correct, "dz", lambda s: s["dz"].__setitem__((0, 0), 55))
    events = [["load", bad, "dense", "relu", *OPS[4:]]]
    report = heal(events, "dz")
    assert report.healed is not None
    assert not report.healed.agrees
    assert "dz cannot be repaired: in step 0 it was complete before an op that" in (
        report.healed.says
    )


def test_a_program_that_fails_all_the_same_is_not_healed(heal, bad_z):
    events = [["load", bad_z, ProgramError("it crashed")]]
    report = heal(events, AUTO)
    assert report.error == "it crashed"
    assert report.healed is not None
    assert not report.healed.agrees
    assert report.healed.says == "With dense repaired, the program still does not get through."


def test_a_long_run_is_healed_at_every_op(heal, bad_z):
    report = heal(script(bad_z, steps=12), "dense")
    assert report.healed is not None
    assert report.healed.steps == {"dense": tuple(range(12))}
    assert report.healed.agrees


def test_a_pointer_s_array_is_written_where_it_is(heal, correct):
    report = heal(script(broken(correct, "dx", lambda s: s["dx"].fill(3))), "dx")
    assert report.healed is not None
    assert report.healed.agrees


def test_an_op_that_the_map_does_not_have_is_refused(heal):
    with pytest.raises(UsageError, match=r"no op nosuch to heal\. It has: load, dense"):
        heal(script(), "nosuch")


def test_what_comes_of_it_is_wrong_as_before(heal, bad_z):
    report = heal(script(bad_z), "dense")
    assert {v.status for v in report.wrong} == {Status.DIVERGED}
    assert report.steps == (0, 1, 2)
