"""Captures of a live program: a network in C whose every number is known, and its accidents."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nndbg.compare import Mode
from nndbg.elf import read_executable
from nndbg.errors import ExitCode, GdbError, InterruptedByUser, ProgramError
from nndbg.hunt import check_steps
from nndbg.inferior import LiveSource
from nndbg.layermap import load_map
from nndbg.session import Session

from .conftest import DEBUG, NET, NET_MAP, line_of, read_pid

TABLE = np.float32([[1, -2, 3], [-4, 5, -6], [7, -8, 9], [-10, 11, -12], [13, -14, 15]])
WITHOUT_COUNTER = NET_MAP.replace('counter = "number"\n', "")


def picks(step: int) -> list[int]:
    return [(step + 2 * i) % 5 for i in range(2)]


def shaped(live: LiveSource, capture, name: str) -> np.ndarray:
    return capture.shaped(live.layer_map.buffers[name])


# Captures


@pytest.mark.parametrize("text", [NET_MAP, WITHOUT_COUNTER], ids=["counter", "counted"])
def test_captures_come_step_by_step_and_op_by_op(source, text: str):
    live = source(text=text)
    captures = [live.start(0)]
    while (capture := live.next()) is not None:
        captures.append(capture)
    assert [(c.step, c.op) for c in captures] == [
        (step, op) for step in range(3) for op in (None, "load", "relu")
    ]
    assert [c.stop for c in captures] == list(range(9))
    assert all(c.sizes == {"rows": 2} for c in captures)


def test_a_capture_holds_what_the_program_has(source):
    live = source()
    live.start(1)
    loaded = live.next()
    assert loaded is not None
    assert np.array_equal(shaped(live, loaded, "z"), TABLE[picks(1)])
    assert shaped(live, loaded, "order").tolist() == picks(1)
    relu = live.next()
    assert relu is not None
    assert np.array_equal(shaped(live, relu, "h"), np.maximum(TABLE[picks(1)], 0))
    symbols = live.executable.symbols
    assert relu.address == symbols["done"].address
    assert relu.addresses["h"] == symbols["h"].address
    assert relu.addresses["order"] == symbols["picks"].address


def test_an_earlier_capture_stays_as_it_was(source):
    live = source()
    live.start(0)
    first = live.next()
    assert first is not None
    before = shaped(live, first, "z").copy()
    while live.next() is not None:
        pass
    assert np.array_equal(shaped(live, first, "z"), before)


def test_a_capture_cannot_be_written(source):
    live = source()
    capture = live.start(0)
    with pytest.raises(ValueError, match="read-only"):
        capture.flat["z"][0] = 1
    with pytest.raises(TypeError):
        capture.flat["z"] = capture.flat["h"]


def test_constants_are_read_once_and_apart(source):
    live = source("spoil")
    capture = live.start(0)
    assert "table" not in capture.flat
    table = live.layer_map.buffers["table"]
    assert np.array_equal(live.constant(table).reshape(5, 3), TABLE)
    while live.next() is not None:
        pass
    assert live.constant(table)[0] == 1


def test_constants_are_read_again_after_another_start(source):
    live = source("spoil")
    table = live.layer_map.buffers["table"]
    live.start(2)
    assert live.constant(table)[0] == 99
    live.start(0)
    assert live.constant(table)[0] == 1


@pytest.mark.parametrize(
    "flags", [("-static-pie",), ("-no-pie",), ("-pie",)], ids=["static PIE", "dynamic", "PIE"]
)
def test_a_program_may_be_loaded_anywhere(source, build, flags):
    program = build("net", NET, *DEBUG, *flags)
    assert check_steps(Session(source(program=program)), range(3))


@pytest.mark.parametrize("step", [0, 1, 2])
def test_it_starts_at_any_step(source, step: int):
    capture = source().start(step)
    assert (capture.step, capture.op) == (step, None)


@pytest.mark.parametrize("text", [NET_MAP, WITHOUT_COUNTER], ids=["counter", "counted"])
@pytest.mark.parametrize("stops", range(3))
def test_it_goes_on_to_a_later_step_from_any_stop(source, text: str, stops: int):
    live = source(text=text)
    live.start(0)
    for _ in range(stops):
        live.next()
    capture = live.go_to(2)
    assert (capture.step, capture.op) == (2, None)
    assert shaped(live, capture, "order").tolist() == picks(2)
    assert [live.next().op for _ in range(2)] == ["load", "relu"]
    assert live.next() is None


def test_a_step_that_does_not_come_after_this_one_is_told(source):
    live = source()
    live.start(1)
    with pytest.raises(ProgramError, match="it has no step 3"):
        live.go_to(3)


def test_it_can_start_again(source):
    live = source()
    live.start(2)
    assert live.start(1).step == 1
    following = live.next()
    assert following is not None
    assert (following.step, following.op) == (1, "load")


# Verdicts of a real program


@pytest.mark.parametrize("text", [NET_MAP, WITHOUT_COUNTER], ids=["counter", "counted"])
def test_a_correct_program_agrees_in_both_modes(source, text: str):
    report = check_steps(Session(source(text=text), (Mode.LOCAL, Mode.CHAIN)), range(3))
    assert report
    assert len(report.verdicts) == 12


def test_a_wrong_element_is_found_where_it_is(source):
    report = check_steps(Session(source("wrong")), range(3))
    (wrong,) = report.wrong
    assert (wrong.subject.step, wrong.subject.op, wrong.where) == (1, "relu", "h[1, 2]")
    assert wrong.worst is not None
    assert (wrong.worst.actual, wrong.worst.expected) == (0.5, 0.0)


def test_a_pointer_that_moves_is_followed(source):
    assert check_steps(Session(source("pointer")), range(3))


def test_a_pointer_that_is_null_is_no_error_until_it_is_needed(source):
    # The program itself crashes on it, on its way to step 2.
    report = check_steps(Session(source("null")), range(3))
    assert [(v.subject.step, v.subject.op) for v in report.verdicts] == [
        (step, op) for step in range(2) for op in ("load", "relu")
    ]
    assert not report.wrong
    assert report.error is not None
    assert "got SIGSEGV in main" in report.error


def test_two_ops_at_one_boundary_are_both_judged(source):
    text = NET_MAP.replace('done = "enter:loaded"', 'done = "enter:done"')
    report = check_steps(Session(source(text=text)), range(3))
    assert report
    assert len(report.verdicts) == 6


def test_a_step_that_begins_where_the_last_op_is_complete_is_seen_as_both(source):
    text = NET_MAP.replace('step = "enter:step"', 'step = "enter:done"').replace(
        'counter = "number"\n', ""
    )
    live = source(text=text)
    captures = [live.start(0)]
    while (capture := live.next()) is not None:
        captures.append(capture)
    assert [(c.step, c.op) for c in captures] == [
        *((0, op) for op in (None, "load", "relu")),
        *((1, op) for op in (None, "load", "relu")),
        (2, None),
    ]


# Accidents


ACCIDENTS = {
    "a crash": (["crash"], f"got SIGSEGV in crash (.*net.c:{line_of('line of the crash')}) at 0x"),
    "an early end": (["exit", "7"], "ended with exit code 7, after load of step 1."),
    "a signal": (["die"], "ended by SIGKILL, after load of step 1."),
    "a hang": (["spin"], "did not reach the next boundary within 0.5 s. It was in spin"),
    "a size beyond its max": (
        ["rows"],
        "net.toml:7: size rows is 3 in the program (rows), and the map says at most 2.",
    ),
}


@pytest.mark.parametrize("case", ACCIDENTS)
def test_an_accident_is_told_and_what_was_before_it_is_kept(source, case: str):
    import re

    arguments, says = ACCIDENTS[case]
    report = check_steps(Session(source(*arguments, timeout=0.5)), range(3))
    assert report.error is not None
    assert re.search(re.escape(says).replace(r"\.\*", ".*"), report.error), report.error
    assert report.steps == (0,)
    assert [v.subject.op for v in report.verdicts] == ["load", "relu", "load"]
    assert not report.wrong


def test_an_early_end_that_calls_itself_good_is_told(source):
    report = check_steps(Session(source("exit", "0")), range(3))
    assert report.wrong == ()
    assert report.error == "the program ended in the middle of step 1, after load."


def test_a_crash_before_the_step_that_is_sought_is_told(source):
    with pytest.raises(
        ProgramError, match=r"got SIGSEGV in crash .*, at the beginning of step 1\."
    ):
        source("crash").start(2)


def test_the_last_words_of_a_program_are_quoted(source, build):
    said = r"one\ntwo\n\n \nthree\nfour\n"
    program = build("net", NET.replace("step();", f'step(); printf("{said}"); exit(3);'), *DEBUG)
    live = source(program=program)
    live.start(0)
    with pytest.raises(ProgramError, match=r"with exit code 3, .*\. It said: two / three / four$"):
        live.next()


def test_a_step_that_never_comes_is_told(source):
    with pytest.raises(ProgramError, match=r"the program ended .*: it has no step 3\. Name an"):
        source().start(3)


def test_a_program_that_ends_before_any_step_is_told(source, build):
    program = build("net", NET.replace("number < 3", "number < 0"), *DEBUG, "-static")
    with pytest.raises(ProgramError, match=r"ended before the first step: it has no step 0"):
        source(program=program).start(0)


def test_a_flood_of_output_changes_nothing(source):
    assert check_steps(Session(source("flood")), range(3))


def test_an_interrupt_from_another_thread_ends_the_wait(source, fifo: Path):
    live = source("report", str(fifo))
    live.start(1)
    live.next()
    thread = threading.Thread(target=lambda: (read_pid(fifo), live.interrupt()))
    thread.start()
    with pytest.raises(InterruptedByUser) as error:
        live.next()
    thread.join(10)
    assert error.value.exit_code == ExitCode.INTERRUPTED


def test_a_closed_source_can_start_again(source):
    live = source()
    live.start(0)
    live.close()
    live.close()
    live.interrupt()
    with pytest.raises(ProgramError, match="is not running"):
        live.next()
    assert live.output == ""
    assert live.start(0).step == 0


def test_without_gdb_the_error_is_gdb_s(net: Path, tmp_path: Path):
    path = tmp_path / "net.toml"
    path.write_text(NET_MAP)
    live = LiveSource(load_map(read_executable(net), path), gdb="nosuchgdb")
    with pytest.raises(GdbError, match="no nosuchgdb on this machine"):
        live.start(0)


# The trainer


@pytest.fixture
def trainer(program: Path, tiny: Path, gdb: str) -> Callable[..., LiveSource]:
    del gdb

    def trainer(*options: str) -> LiveSource:
        return LiveSource(load_map(read_executable(program)), ("--data", str(tiny), *options))

    return trainer


def test_the_trainer_is_sought_to_a_step_with_a_short_batch(trainer):
    # 150 samples are two batches of 64 and one of 22; step 5 ends the second epoch.
    with Session(trainer("--epochs", "2")) as session:
        assert session.start(5).sizes["batch"] == 22
        assert session["x"].shape == (22, 784)
        assert session["images"].shape == (150, 784)


def test_the_trainer_agrees_in_both_modes_in_every_step_of_two_epochs(trainer):
    with Session(trainer("--epochs", "2"), (Mode.LOCAL, Mode.CHAIN)) as session:
        report = check_steps(session, range(6))
        assert session.next_op() == ()
    assert report, report.error or report.wrong
    assert report.steps == tuple(range(6))
    # A plain run has no ops of momentum, weight decay and dropout.
    ops = {op.name for op in session.layer_map.ops if op.when is None}
    assert {v.subject.op for v in report.verdicts} >= ops
    assert len(report.verdicts) == 6 * len({v.subject.op for v in report.verdicts}) * 2


def test_a_step_after_the_trainer_s_last_one_is_told(trainer):
    with Session(trainer("--epochs", "1")) as session:
        report = check_steps(session, range(1, 4))
    assert report.steps == (1, 2)
    assert report.error is not None
    assert "there is no step 3" in report.error


def test_the_trainer_goes_on_to_a_later_step_without_starting_again(trainer):
    with Session(trainer("--epochs", "3")) as session, Session(trainer("--epochs", "3")) as other:
        session.start(1)
        session.run_to("dense1")
        output = session.output
        capture = session.go_to(7)
        assert session.output.startswith(output)
        assert (capture.step, capture.op) == (7, None)
        assert capture.stop > 0
        assert np.array_equal(session["W1"], (other.start(7), other["W1"])[1])
        assert [o.op.name for o in session.finish_step()][:3] == ["load_x", "load_y", "dense1"]
        # Behind it lies a step that is captured at every op again.
        assert session.go_to(8).step == 8
        assert session.run_to("softmax").step == 8


def test_the_trainer_goes_back_by_starting_again(trainer):
    with Session(trainer("--epochs", "3")) as session:
        session.start(5)
        assert session.go_to(2).step == 2
        session.run_to("dense1")
        again = session.go_to(2)
        assert (again.step, again.op) == (2, None)


def test_a_sampled_check_of_the_trainer_agrees(trainer):
    with Session(trainer("--epochs", "20")) as session:
        report = check_steps(session, range(0, 60, 7))
    assert report.agrees, report.error or report.wrong
    assert report.steps == tuple(range(0, 60, 7))


@pytest.mark.parametrize("step", [3, 1000, 2**63 - 1])
def test_a_step_far_beyond_the_trainer_s_last_one_is_told(trainer, step: int):
    with Session(trainer("--epochs", "1")) as session, pytest.raises(ProgramError) as error:
        session.start(step)
    assert str(error.value).startswith(f"the program ended before step {step}.")


def test_numbers_changed_behind_the_trainer_s_back_are_found(trainer):
    with Session(trainer("--epochs", "1")) as session:
        session.run_to("dense2")
        source = session._source
        inferior = source._inferior  # type: ignore[attr-defined]
        address = inferior.executable.symbols["z2"].address
        inferior.memory.write(address, np.float32([1e3]).tobytes())
        found = session.run_to("relu2")
    changed = [v for v in found.verdicts if v.says]
    assert [(v.subject.buffer, v.where) for v in changed] == [("z2", "z2[0, 0]")]
