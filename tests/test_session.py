"""A run seen op by op: where it stands, what it yields, when it is over."""

from __future__ import annotations

import numpy as np
import pytest

from nndbg.errors import GdbError, ProgramError, UsageError
from nndbg.hunt import check_steps
from nndbg.session import Session

OPS = ("load", "dense", "relu", "dz", "dx", "dW", "update")


@pytest.fixture
def source(fake):
    return fake([OPS, OPS, OPS])


@pytest.fixture
def session(source) -> Session:
    return Session(source)


def names(observations) -> list[tuple[int, str]]:
    return [(o.step, o.op.name) for o in observations]


def test_it_starts_where_a_step_begins(session):
    capture = session.start(1)
    assert (capture.step, capture.op) == (1, None)
    assert session.capture is capture
    assert not session.has_ended


def test_it_has_neither_begun_nor_ended_before_it_starts(session):
    assert session.capture is None
    assert session.has_ended is False


def test_the_first_step_is_where_it_starts_unless_told_otherwise(session, source):
    assert names(session.next_op()) == [(0, "load")]
    assert source.starts == [0]


def test_next_op_goes_from_op_to_op_and_across_steps(session):
    heard = []
    while found := session.next_op():
        heard += names(found)
    assert heard == [(step, op) for step in range(3) for op in OPS]
    assert session.has_ended
    assert session.next_op() == ()


def test_finish_step_yields_what_is_left_of_the_step(session):
    session.next_op()
    session.next_op()
    assert names(session.finish_step()) == [(0, op) for op in OPS[2:]]
    assert session.capture is not None
    assert (session.capture.step, session.capture.op) == (1, None)


def test_finish_step_of_the_last_step_ends_the_run(session):
    session.start(2)
    assert names(session.finish_step()) == [(2, op) for op in OPS]
    assert session.has_ended
    assert list(session.finish_step()) == []


def test_finish_step_starts_a_session_that_has_not_started(session):
    assert names(session.finish_step()) == [(0, op) for op in OPS]


def test_starting_again_begins_anew(session, source):
    list(session.finish_step())
    session.start(0)
    assert names(session.next_op()) == [(0, "load")]
    assert source.starts == [0, 0]


def test_a_session_that_has_ended_can_start_again(session):
    while session.next_op():
        pass
    session.start(2)
    assert not session.has_ended
    assert names(session.next_op()) == [(2, "load")]


# Running to an op


def test_run_to_returns_the_op_where_it_comes_next(session):
    assert names([session.run_to("dz")]) == [(0, "dz")]
    assert names([session.run_to("dense")]) == [(1, "dense")]


def test_run_to_goes_to_the_step_that_is_asked_for(session, source):
    assert names([session.run_to("dz", step=2)]) == [(2, "dz")]
    assert source.starts == [2]


def test_run_to_stays_in_the_step_where_the_op_is_still_to_come(session, source):
    session.run_to("dense", step=1)
    assert names([session.run_to("dW", step=1)]) == [(1, "dW")]
    assert source.starts == [1]


def test_run_to_goes_back_for_an_op_of_this_step_that_is_over(session):
    session.run_to("dW", step=1)
    assert names([session.run_to("dense", step=1)]) == [(1, "dense")]


def test_run_to_an_op_that_no_map_has_is_refused(session):
    with pytest.raises(UsageError, match=r"no op dens\. It has: load, dense, relu"):
        session.run_to("dens")


def test_run_to_an_op_that_does_not_come_again_is_refused(session):
    session.run_to("update", step=2)
    with pytest.raises(UsageError, match="the program ended before dense was complete"):
        session.run_to("dense")


def test_run_to_a_step_that_does_not_exist_says_so(session):
    with pytest.raises(ProgramError, match="the program ended before step 7"):
        session.run_to("dense", step=7)


# Buffers


def test_a_buffer_is_seen_in_its_shape_at_this_stop(session):
    session.run_to("dense")
    z = session["z"]
    assert (z.shape, z.dtype) == ((3, 2), np.float32)
    assert np.array_equal(z, session["x"] @ session["W"] + session["b"])
    assert session["lr"].shape == ()


def test_a_constant_buffer_is_read_from_the_source(session):
    session.start()
    assert session["table"].shape == (5, 3)


def test_a_buffer_that_no_map_has_is_refused(session):
    session.start()
    with pytest.raises(UsageError, match=r"no buffer zz\. It has: table, index, x"):
        session["zz"]


def test_a_buffer_before_anything_ran_is_refused(session):
    with pytest.raises(UsageError, match="nothing has run yet"):
        session["z"]


# Endings


def test_a_program_that_ends_within_a_step_leaves_the_rest_unknown(fake):
    session = Session(fake([OPS, OPS[:3]]))
    session.start(1)
    assert names(list(session.finish_step())) == [(1, op) for op in OPS[:3]]
    assert session.has_ended
    assert session.ended_after == OPS[2]


def test_an_error_of_the_program_comes_through(fake):
    session = Session(fake([["load", ProgramError("it crashed"), "dense"]]))
    session.start()
    with pytest.raises(ProgramError, match="it crashed"):
        list(session.finish_step())


def test_a_with_statement_lets_go_of_the_source(source):
    with pytest.raises(KeyError), Session(source):
        raise KeyError
    assert source.is_closed


def test_an_interrupt_reaches_the_source(session, source):
    session.interrupt()
    assert source.was_interrupted


def test_a_session_without_a_file_goes_by_the_name_in_the_map(session):
    assert session.program == "small"
    assert session.output == "what the program said\n"


# A range of steps


def test_every_op_of_the_steps_is_judged(session):
    done = []
    report = check_steps(session, range(1, 3), done.append)
    assert report
    assert (report.steps, done, report.error) == ((1, 2), [1, 2], None)
    assert [(v.subject.step, v.subject.op) for v in report.verdicts] == [
        (step, op) for step in (1, 2) for op in OPS
    ]


def test_verdicts_of_ops_out_of_order_are_sorted_as_the_map_has_them(fake):
    report = check_steps(Session(fake([["load", "dense", "dz", *OPS[4:], "relu"]])), range(1))
    assert [v.subject.op for v in report.verdicts] == list(OPS)


def test_steps_beyond_the_end_are_an_error_beside_what_was_judged(session):
    report = check_steps(session, range(1, 5))
    assert report.steps == (1, 2)
    assert len(report.verdicts) == 2 * len(OPS)
    assert report.error == "the program ended after step 2: there is no step 3 to check."
    assert not report


@pytest.mark.parametrize("error", [ProgramError("it crashed"), GdbError("GDB died")])
def test_a_failure_on_the_way_keeps_what_was_judged(fake, error):
    report = check_steps(Session(fake([OPS, ["load", "dense", error]])), range(2))
    assert report.steps == (0,)
    assert len(report.verdicts) == len(OPS) + 2
    assert report.error == str(error)
    assert not report.agrees
    assert report.first is None


def test_a_mistake_of_usage_is_not_taken_for_the_program_s(fake):
    with pytest.raises(UsageError):
        check_steps(Session(fake([["load", UsageError("no")]])), range(1))
