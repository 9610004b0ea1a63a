"""A sweep, and the walk where it finds something: the same verdicts, found with fewer stops."""

from __future__ import annotations

import pytest

from nndbg.compare import Mode, Status
from nndbg.errors import GdbError, InterruptedByUser, ProgramError
from nndbg.hunt import check_steps
from nndbg.session import Session

OPS = ("load", "dense", "relu", "dz", "dx", "dW", "update")
LONG = 12


def wrong(state):
    state["h"][0, 1] = 77.0


BAD = [("relu", wrong) if op == "relu" else op for op in OPS]


def verdicts(report):
    return [(v.subject.step, v.subject.op, v.status) for v in report.verdicts]


def test_a_sweep_says_the_same_as_a_check_of_every_op(fake):
    source = fake([OPS] * LONG)
    modes = (Mode.LOCAL, Mode.CHAIN)
    swept = check_steps(Session(source, modes), range(LONG))
    walked = []
    for step in range(LONG):
        session = Session(fake([OPS] * LONG), modes)
        walked += check_steps(session, range(step, step + 1)).verdicts
    assert swept.agrees
    assert list(swept.verdicts) == walked
    assert source.starts == [0]


def test_progress_counts_the_steps_that_are_done(fake):
    told = []
    check_steps(Session(fake([OPS] * LONG)), range(2, LONG), told.append)
    assert told == list(range(1, LONG - 1))


def test_what_a_sweep_finds_wrong_is_run_again_op_by_op(fake):
    source = fake([*[OPS] * 9, BAD, OPS, OPS])
    report = check_steps(Session(source), range(LONG))
    assert source.starts == [0, 9]
    assert [v for v in verdicts(report) if v[2] is not Status.AGREE] == [
        (9, "relu", Status.DIVERGED)
    ]
    assert report.steps == tuple(range(LONG))
    assert len(report.verdicts) == LONG * len(OPS)
    assert source.sweeps is False


def test_until_the_first_divergence_nothing_behind_it_is_judged(fake):
    report = check_steps(Session(fake([*[OPS] * 9, BAD, BAD])), range(11), until_first=True)
    assert verdicts(report)[-1] == (9, "relu", Status.DIVERGED)
    assert report.steps == tuple(range(9))
    assert report.says == "The rest of step 9 was not checked."


def test_until_the_first_divergence_in_few_steps(fake):
    source = fake([OPS, BAD, OPS])
    report = check_steps(Session(source), range(3), until_first=True)
    assert verdicts(report)[-1] == (1, "relu", Status.DIVERGED)
    assert report.steps == (0,)
    assert source.stops == 2 + len(OPS) + 3


def test_without_a_divergence_until_first_checks_all(fake):
    report = check_steps(Session(fake([OPS] * LONG)), range(LONG), until_first=True)
    assert report.agrees
    assert report.steps == tuple(range(LONG))
    assert report.says == ""


def test_a_failure_in_a_sweep_is_walked_into_again(fake):
    crash = ["load", ("dense", lambda state: state["z"].fill(3)), ProgramError("it crashed")]
    source = fake([*[OPS] * 10, crash])
    report = check_steps(Session(source), range(11))
    assert source.starts == [0, 10]
    assert report.error == "it crashed"
    assert report.steps == tuple(range(10))
    assert report.first is not None
    assert report.first.verdict.subject.op == "dense"


def test_a_mistake_before_a_failure_is_found_before_it(fake):
    source = fake([*[OPS] * 9, BAD, [ProgramError("it crashed")]])
    report = check_steps(Session(source), range(11), until_first=True)
    assert report.error is None
    assert report.first is not None
    assert report.first.verdict.subject.step == 9


def test_gdb_that_dies_in_a_sweep_keeps_what_was_judged(fake):
    report = check_steps(Session(fake([*[OPS] * 9, [GdbError("GDB died")]])), range(10))
    assert report.error == "GDB died"
    assert report.steps == tuple(range(9))
    assert len(report.verdicts) == 9 * len(OPS)


def test_a_step_cut_short_in_a_sweep_is_said_to_be(fake):
    report = check_steps(Session(fake([*[OPS] * 9, OPS[:3]])), range(10))
    assert report.error == "the program ended in the middle of step 9, after relu."
    assert report.steps == tuple(range(9))
    assert len(report.verdicts) == 9 * len(OPS) + 3


def test_a_sweep_beyond_the_end_says_where_the_end_was(fake):
    report = check_steps(Session(fake([OPS] * 10)), range(LONG))
    assert report.error == "the program ended after step 9: there is no step 10 to check."
    assert report.steps == tuple(range(10))


def test_an_interrupt_leaves_a_sweep(fake):
    session = Session(fake([*[OPS] * 9, [InterruptedByUser("interrupted in a loop")]]))
    with pytest.raises(InterruptedByUser):
        check_steps(session, range(10))


def test_a_mistake_in_the_judging_comes_to_the_caller(fake, monkeypatch):
    session = Session(fake([OPS] * LONG))

    def fails(record):
        if record.begin.step == 5:
            raise RuntimeError("in a thread")
        return iter(())

    monkeypatch.setattr(session, "judge", fails)
    with pytest.raises(RuntimeError, match="in a thread"):
        check_steps(session, range(LONG))


@pytest.mark.parametrize("steps", [range(0, LONG, 5), range(1, 10, 1)], ids=str)
def test_every_nth_step_is_checked_without_starting_again(fake, steps: range):
    source = fake([OPS] * LONG)
    report = check_steps(Session(source), steps)
    assert report.agrees
    assert report.steps == tuple(steps)
    assert {v.subject.step for v in report.verdicts} == set(steps)
    assert source.starts == [steps[0]]


def test_a_mistake_between_the_sampled_steps_is_passed_by(fake):
    script = [BAD if step == 7 else OPS for step in range(30)]
    assert check_steps(Session(fake(script)), range(0, 30, 3)).agrees
    report = check_steps(Session(fake(script)), range(1, 30, 3))
    assert report.first is not None
    assert report.first.verdict.subject.step == 7
