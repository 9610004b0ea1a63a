"""A run taken down, and seen again: over sources that need no program."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from nndbg.capture import Capture
from nndbg.crash import Crash, CrashError
from nndbg.errors import GdbError, NndbgError, ProgramError, UsageError
from nndbg.hunt import check_steps
from nndbg.layermap import parse_map
from nndbg.recording import RecordedSource, Recorder, Tee, record_step
from nndbg.recording.model import RecordedStop
from nndbg.report import Report, as_json
from nndbg.session import Session
from tests.conftest import IN_ORDER, SMALL_MAP, FakeSource

CRASH = Crash("SIGSEGV", 4198400, "dense", "a.asm", 7, "mov eax, [rax]", 0, "rax is null")


def record(path: Path, script: Sequence, steps: Sequence[int]) -> Report:
    """Check some steps of a script, and take them down."""
    session = Session(FakeSource(script))
    with (
        session,
        Recorder(path, session.layer_map, None) as recorder,
        session.tapped(lambda source: Tee(source, recorder)),
    ):
        report = check_steps(session, steps, sweep=False)
        recorder.conclude(report)
    return report


def replayed(path: Path, steps: Sequence[int]) -> Report:
    source = RecordedSource(path)
    with Session(source) as session:
        return source.completed(check_steps(session, steps, sweep=False))


def wrong_z(state) -> None:
    state["z"][:3] = state["x"][:3] @ state["W"] + state["b"]
    state["z"][1, 1] += 1


WRONG = ["load", ("dense", wrong_z), "relu", "dz", "dx", "dW", "update"]
SCRIPTS = {
    "sound": [IN_ORDER, IN_ORDER, IN_ORDER],
    "wrong": [IN_ORDER, WRONG, IN_ORDER],
    "out of order": [["dW", "load", "dense", "relu", "dz", "dx", "update"], IN_ORDER, IN_ORDER],
    "changed behind its back": [
        [*IN_ORDER[:3], lambda s: s["b"].__setitem__(0, 9), *IN_ORDER[3:]],
        IN_ORDER,
        IN_ORDER,
    ],
    "an op that never comes": [IN_ORDER[:-1], IN_ORDER, IN_ORDER],
    "a crash": [IN_ORDER, ["load", CrashError("it got SIGSEGV", CRASH)]],
    "a failure": [IN_ORDER, ["load", "dense", ProgramError("it ended with exit code 3")]],
    "GDB dies": [IN_ORDER, ["load", GdbError("GDB has died")]],
    "the end in a step": [IN_ORDER, ["load", "dense"]],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_recording_is_judged_as_the_run_was(tmp_path, name):
    path = tmp_path / "run.nndbg"
    live = record(path, SCRIPTS[name], range(2))
    assert as_json.render(replayed(path, range(2))) == as_json.render(live)
    with ZipFile(path) as archive:
        assert archive.read("report.json").decode() == as_json.render(live)


def test_a_wrong_run_stays_wrong_and_a_sound_one_sound(tmp_path):
    assert record(tmp_path / "a", SCRIPTS["sound"], range(2))
    report = record(tmp_path / "b", SCRIPTS["wrong"], range(2))
    assert report.first.verdict.where == "z[1, 1]"
    assert replayed(tmp_path / "a", range(2))
    assert replayed(tmp_path / "b", range(2)).first.verdict == report.first.verdict


def test_a_session_walks_through_a_recording_as_through_a_program(tmp_path):
    record(tmp_path / "run", SCRIPTS["wrong"], range(3))
    with Session(RecordedSource(tmp_path / "run")) as session:
        session.start(1)
        names = [session.next_op()[0].op.name for _ in range(3)]
        assert names == ["load", "dense", "relu"]
        assert session.output == "what the program said\n"
        assert session["z"].shape == (3, 2)
        session.back()
        assert session.capture.op == "dense"
        session.start(0)
        for _ in session.finish_step():
            pass
        assert session.capture.step == 1


def test_steps_with_gaps_between_them_are_kept_with_what_follows_each(tmp_path):
    live = record(tmp_path / "run", [IN_ORDER] * 6, range(0, 6, 2))
    source = RecordedSource(tmp_path / "run")
    assert source.recording.steps == (0, 2, 4)
    source.close()
    again = replayed(tmp_path / "run", (0, 2, 4))
    assert again.steps == (0, 2, 4)
    assert as_json.render(again) == as_json.render(live)


def test_a_step_that_was_left_is_kept_as_far_as_it_was_seen(tmp_path):
    session = Session(FakeSource([IN_ORDER] * 4))
    with (
        session,
        Recorder(tmp_path / "run", session.layer_map, None) as recorder,
        session.tapped(lambda source: Tee(source, recorder)),
    ):
        session.start(0)
        for op in ("load", "dense"):
            session.run_to(op)
        session.start(1)
        session.run_to("load")
        session.start(0)
        session.run_to("load")
    source = RecordedSource(tmp_path / "run")
    assert source.recording.steps == (0, 1)
    assert [stop.op for stop in source.recording.step(0).stops] == [None, "load", "dense"]
    source.start(0)
    source.next(), source.next()
    with pytest.raises(ProgramError, match="the recording ends here, in step 0"):
        source.next()
    source.close()


def test_what_needs_the_program_is_refused_in_words(tmp_path):
    record(tmp_path / "run", SCRIPTS["sound"], range(1, 2))
    source = RecordedSource(tmp_path / "run")
    for act, says in (
        (lambda: source.start(0), "no step 0. It holds step 1"),
        (lambda: source.start(1, poison=True), "cannot be run with poison"),
        (lambda: source.heal({}), "cannot be repaired"),
    ):
        with pytest.raises(UsageError, match=says):
            act()
    source.close()


def test_what_was_repaired_swept_or_poisoned_is_not_taken_down(tmp_path):
    session = Session(FakeSource([WRONG, IN_ORDER, IN_ORDER]))
    with (
        Recorder(tmp_path / "run", session.layer_map, None) as recorder,
        session,
        session.tapped(lambda source: Tee(source, recorder)),
    ):
        session.heal(["dense"])
        session.start(0)
        for _ in session.finish_step():
            pass
        session.heal([])
        session.sweep(True)
        session.start(1)
        session.record_step()
        session.sweep(False)
        session.start(2)
        session.run_to("relu")
    source = RecordedSource(tmp_path / "run")
    held = {step: [s.op for s in source.recording.step(step).stops] for step in (0, 2)}
    assert source.recording.steps == (0, 2)
    assert held == {0: [None, "load", "dense"], 2: [None, "load", "dense", "relu"]}
    # The dense that was captured is the program's own, not the repaired one.
    source.start(0)
    captures = [source.next(), source.next()]
    source.close()
    live = FakeSource([WRONG])
    live.start(0)
    live.next()
    assert np.array_equal(captures[1].flat["z"], live.next().flat["z"])


def test_a_step_is_taken_down_and_the_session_is_where_it_was(tmp_path):
    with Session(FakeSource([WRONG, IN_ORDER])) as session:
        session.run_to("relu")
        record_step(session, 0, tmp_path / "run")
        assert session.capture.op == "relu"
        assert session.next_op()[0].op.name == "dz"
        session.heal(["dense"])
        session.start(0)
        with pytest.raises(UsageError, match="what is repaired is not recorded"):
            record_step(session, 0, tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert replayed(tmp_path / "run", [0]).first.verdict.where == "z[1, 1]"


def test_nothing_is_taken_down_behind_a_stop_that_was_missed(tmp_path):
    """As when somebody moves the program on by other means than the session."""
    session = Session(FakeSource([IN_ORDER] * 2))
    with (
        session,
        Recorder(tmp_path / "run", session.layer_map, None) as recorder,
        session.tapped(lambda source: Tee(source, recorder)),
    ):
        session.run_to("load")
        session.source.next()
        for _ in session.finish_step():
            pass
        session.run_to("load", step=1)
    source = RecordedSource(tmp_path / "run")
    held = {step: [s.op for s in source.recording.step(step).stops] for step in (0, 1)}
    assert held == {0: [None, "load"], 1: [None, "load"]}
    assert not source.recording.step(0).is_whole
    source.close()


def test_equal_arrays_are_written_once(tmp_path):
    record(tmp_path / "run", [IN_ORDER] * 4, range(3))
    with ZipFile(tmp_path / "run") as archive:
        arrays = [n for n in archive.namelist() if n.startswith("arrays/")]
        contents = {archive.read(name) for name in arrays}
    stops = 3 * (len(IN_ORDER) + 1)
    assert len(contents) == len(arrays) < stops * 11 / 4


def test_a_recording_is_not_there_before_it_is_whole(tmp_path):
    session = Session(FakeSource([IN_ORDER]))
    recorder = Recorder(tmp_path / "run", session.layer_map, None)
    with session.tapped(lambda source: Tee(source, recorder)):
        session.start(0)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="nothing was recorded"):
        recorder.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match=r"no/such/run: the recording cannot be written"):
        Recorder(tmp_path / "no/such/run", session.layer_map, None)


def test_an_error_of_the_run_is_not_covered_by_one_of_the_recording(tmp_path):
    session = Session(FakeSource([IN_ORDER]))
    with (
        pytest.raises(NndbgError, match="something else"),
        Recorder(tmp_path / "run", session.layer_map, None),
    ):
        raise UsageError("something else")


def test_a_full_disk_ends_the_recording_and_not_the_run(tmp_path, monkeypatch):
    session = Session(FakeSource([IN_ORDER] * 3))
    recorder = Recorder(tmp_path / "run", session.layer_map, None)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder._arrays, "add", full)
    with session.tapped(lambda source: Tee(source, recorder)):
        assert check_steps(session, range(2), sweep=False)
    with pytest.raises(UsageError, match="cannot be written: No space left on device"):
        recorder.close()
    assert list(tmp_path.iterdir()) == []


def test_stretches_of_memory_come_back_as_they_were(tmp_path):
    """Buffers in a stretch, gaps between, one over another, one elsewhere."""
    source = FakeSource([IN_ORDER] * 2)
    block = bytearray(range(256)) * 2
    begin = source.start(0)
    flats = dict(begin.flat)
    at = {"x": 16, "W": 100, "dW": 104}
    for name, offset in at.items():
        flats[name] = np.frombuffer(block, flats[name].dtype, flats[name].size, offset)
    padding = np.frombuffer(block, np.uint8, 4, 64)
    seen = {
        "sizes": begin.sizes,
        "addresses": begin.addresses,
        "flat": flats,
        "memory": {0x5000: memoryview(block)},
        "padding": {"x": padding},
    }
    with Recorder(tmp_path / "run", source.layer_map, None) as recorder:
        recorder.stop(Capture(0, None, 0, 1, **seen), "")
        recorder.stop(Capture(0, "load", 1, 2, **seen), "")
    again = RecordedSource(tmp_path / "run")
    captures = [again.start(0), again.next()]
    assert captures[0].flat is captures[1].flat
    for capture in captures:
        assert {n: bytes(m) for n, m in capture.memory.items()} == {0x5000: bytes(block)}
        assert {n: a.tobytes() for n, a in capture.flat.items()} == {
            n: a.tobytes() for n, a in flats.items()
        }
        assert np.array_equal(capture.padding["x"], padding)
    again.close()


def test_a_recording_has_everything_that_a_capture_has():
    """But for what only a step run with poison has: that is not taken down."""
    taken = {field.name for field in fields(RecordedStop)} - {"is_same", "printed"}
    assert taken == {field.name for field in fields(Capture)} - {"unwritten"}


def test_what_a_program_told_between_two_stops_comes_back(tmp_path):
    source = FakeSource([IN_ORDER])
    missed = {"relu": "relu was never passed"}
    begin = replace(source.start(0), missed=missed, others=frozenset({"train"}))
    found = {"z": np.arange(8, dtype=np.float32)}
    with Recorder(tmp_path / "run", source.layer_map, None) as recorder:
        recorder.stop(begin, "")
        recorder.stop(replace(source.next(), found=found), "")
    again = RecordedSource(tmp_path / "run")
    there = again.start(0)
    assert (there.missed, there.others) == (missed, {"train"})
    assert np.array_equal(again.next().found["z"], found["z"])
    again.close()


def test_a_run_that_python_judges_is_not_recorded(tmp_path):
    """It could not be judged again: a file from elsewhere calls nothing here."""
    (tmp_path / "own.py").write_text("def double(z):\n    return 2 * z\n")
    text = SMALL_MAP.replace('kind = "relu"', 'kind = "python:own.py:double"')
    layer_map = parse_map(text, "small.toml", scripts=tmp_path)
    with pytest.raises(UsageError, match=r"run: the layer map calls Python, and a recording"):
        Recorder(tmp_path / "run", layer_map, None)
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_leaves_what_it_came_by(tmp_path):
    session = Session(FakeSource([IN_ORDER] * 2))
    with (
        suppress(KeyboardInterrupt),
        Recorder(tmp_path / "run", session.layer_map, None) as recorder,
        session.tapped(lambda source: Tee(source, recorder)),
    ):
        session.run_to("relu")
        raise KeyboardInterrupt
    source = RecordedSource(tmp_path / "run")
    assert source.recording.steps == (0,)
    source.close()
