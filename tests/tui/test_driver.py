"""What the commands do to a session, without a screen."""

from dataclasses import replace
from threading import Event, Thread

from nndbg.compare import Status
from nndbg.session import Session
from nndbg.tui.commands import FindDivergence, FinishStep, NextOp, Start
from nndbg.tui.driver import Driver
from nndbg.tui.op_list import rows_of
from nndbg.tui.snapshot import Condition, Progress
from nndbg.tui.tensor import verdict_on
from nndbg.tui.worker import Arrived, Worker

from .fake import DEADLINE, FakeSource


def driven(source: FakeSource) -> tuple[Driver, list[Progress]]:
    told: list[Progress] = []
    return Driver(Session(source), told.append), told


def test_the_progress_counts_the_ops_of_the_command():
    driver, told = driven(FakeSource())
    driver.carry_out(Start(0))
    driver.carry_out(FindDivergence())
    assert [p.judged for p in told] == list(range(1, 10))
    assert told[-1] == Progress(2, "dense2", 9, "made up\n")


def test_a_step_keeps_what_was_judged_before_it_was_interrupted():
    source = FakeSource(blocks=(0, "relu1"))
    driver, _ = driven(source)
    driver.carry_out(Start(0))

    def interrupt() -> None:
        assert source.blocked.wait(DEADLINE)
        driver.stop.set()
        source.interrupt()

    thread = Thread(target=interrupt)
    thread.start()
    snapshot = driver.carry_out(FinishStep())
    thread.join(DEADLINE)
    assert snapshot.condition is Condition.INTERRUPTED
    assert list(snapshot.observations) == ["dense1"]
    assert snapshot.look_at == "dense1"
    assert snapshot.can_go_on
    assert list(driver.carry_out(FinishStep()).observations) == ["dense1", "relu1", "dense2"]


def test_after_a_failure_nothing_goes_on():
    driver, _ = driven(FakeSource(fails=(0, "relu1")))
    driver.carry_out(Start(0))
    snapshot = driver.carry_out(FinishStep())
    assert snapshot.condition is Condition.FAILED
    assert not snapshot.can_go_on
    assert list(snapshot.observations) == ["dense1"]


def test_after_a_failure_the_screen_looks_at_what_was_wrong_before_it():
    driver, _ = driven(FakeSource(wrong=(0, "dense1"), fails=(0, "dense2")))
    driver.carry_out(Start(0))
    assert driver.carry_out(FinishStep()).look_at == "dense1"


def test_a_program_that_ends_within_a_step_is_told():
    driver, _ = driven(FakeSource(exits=(1, "dense2")))
    driver.carry_out(Start(0))
    snapshot = driver.carry_out(FindDivergence())
    assert snapshot.condition is Condition.ENDED
    assert snapshot.says.startswith("in the middle of step 1, after relu1")
    assert list(snapshot.observations) == ["dense1", "relu1"]


def test_a_snapshot_does_not_change_with_the_next_command():
    driver, _ = driven(FakeSource())
    driver.carry_out(Start(0))
    first = driver.carry_out(NextOp())
    driver.carry_out(NextOp())
    assert list(first.observations) == ["dense1"]


def test_a_verdict_that_comes_late_joins_those_of_its_op():
    source = FakeSource(wrong=None)
    session = Session(source)
    driver = Driver(session, lambda _: None)
    driver.carry_out(Start(0))
    judged = driver.carry_out(FinishStep()).observations["dense1"]
    agrees = judged.verdicts[0]
    stray = replace(agrees, subject=replace(agrees.subject, buffer="h1"), status=Status.DIVERGED)
    late = replace(judged, expected={}, verdicts=(stray,), step=1)
    session.stops_of_step = lambda: iter(((replace(judged, step=1), late),))
    observation = driver.carry_out(FinishStep()).observations["dense1"]
    assert observation.verdicts == (agrees, stray)
    assert observation.expected
    assert verdict_on(observation, "z1") is agrees
    assert verdict_on(observation, "h1") is stray
    driver.carry_out(Start(0))


def test_a_buffer_that_an_op_should_have_left_alone_has_a_line_of_its_own():
    source = FakeSource(wrong=None)
    driver, _ = driven(source)
    driver.carry_out(Start(0))
    snapshot = driver.carry_out(FinishStep())
    judged = snapshot.observations["dense1"]
    stray = replace(judged.verdicts[0], subject=replace(judged.verdicts[0].subject, buffer="W2"))
    changed = replace(judged, verdicts=(*judged.verdicts, stray))
    snapshot = replace(snapshot, observations={**snapshot.observations, "dense1": changed})
    rows = rows_of(source.layer_map, snapshot)
    assert [(row.op, row.buffer, row.is_first) for row in rows[:3]] == [
        ("dense1", "z1", True),
        ("dense1", "W2", False),
        ("relu1", "h1", True),
    ]


def test_an_op_that_the_step_leaves_out_is_skipped():
    source = FakeSource()
    driver, _ = driven(source)
    snapshot = driver.carry_out(Start(0))
    capture = replace(snapshot.capture, skipped=frozenset({"relu1"}))
    rows = rows_of(source.layer_map, replace(snapshot, capture=capture))
    assert [row.word for row in rows] == ["not yet", "skipped", "not yet"]


def test_the_worker_carries_out_only_the_newest_of_the_queued_commands():
    source = FakeSource(blocks=(0, "dense1"))
    posted: list[Arrived] = []
    arrived = Event()

    def post(message: Arrived) -> None:
        posted.append(message)
        if message.generation == 4:
            arrived.set()

    worker = Worker(Session(source), post)
    worker.start()
    worker.submit(Start(0))
    while not posted:
        pass
    worker.submit(NextOp())
    assert source.blocked.wait(DEADLINE)
    worker.submit(Start(1))
    worker.submit(Start(2))
    worker.interrupt()
    assert arrived.wait(DEADLINE)
    worker.close()
    assert source.starts == [0, 2]
    assert not worker.is_alive
    assert source.closed.is_set()


def test_a_worker_that_never_began_closes_the_session():
    source = FakeSource()
    Worker(Session(source), lambda _: None).close()
    assert source.closed.is_set()
