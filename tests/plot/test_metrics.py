"""Metrics are read as written, and what is not metrics is named with its line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from nndbg.errors import UsageError
from nndbg.plot import metrics as module
from nndbg.plot.metrics import Epoch, Sample, Step, read_metrics, shown_settings

from .conftest import START, Write, epoch, graded, step, whole_run


def test_a_whole_run_is_read_as_it_was_written(write: Write):
    found = read_metrics(write(START, step(0, 2.3), step(1, 2), epoch(1), graded()))
    assert found.settings == {"epochs": 3, "learning_rate": 0.01, "shuffle": True}
    assert found.steps == (Step(0, 1, 0, 2.3, 0.0), Step(1, 1, 1, 2.0, 0.01))
    assert found.epochs == (Epoch(1, 1, 0.4, 0.4, 0.9, 0.5),)
    assert found.test is not None
    assert found.test.confusion[3][3] == 82
    assert found.test.samples[0] == Sample(0, 0, 1, 0.75)
    assert not found.test.samples[0].is_right
    assert found.test.count == 10 * (9 * 2 + 82)


@pytest.mark.parametrize("loss", ["nan", "inf", "-inf"])
def test_losses_that_are_no_numbers_come_as_strings(write: Write, loss: str):
    found = read_metrics(write(START, step(0, loss), epoch(1, loss)))
    assert str(found.steps[0].loss) == loss
    assert str(found.epochs[0].loss) == loss


def test_unknown_events_keys_and_blank_lines_are_passed_over(write: Write):
    path = write({"event": "moon", "loss": []}, b"", {**step(0), "heat": {"a": 1}}, b"  ")
    assert len(read_metrics(path).steps) == 1


def test_only_the_last_of_several_runs_counts(write: Write):
    path = write(*whole_run(1, 5), START | {"seed": 7}, step(0))
    found = read_metrics(path)
    assert (len(found.steps), found.epochs, found.test) == (1, (), None)
    assert found.settings["seed"] == 7


def test_a_last_line_that_was_cut_is_passed_over(write: Write):
    line = json.dumps(step(1)).encode()
    for cut in range(1, len(line)):
        assert len(read_metrics(write(step(0), line[:cut], end=b"")).steps) == 1
    assert len(read_metrics(write(step(0), line, end=b"")).steps) == 2


def test_a_character_cut_in_its_middle_is_passed_over(write: Write):
    path = write(step(0), '{"event":"é'.encode()[:-1], end=b"")
    assert len(read_metrics(path).steps) == 1


def test_a_run_may_begin_in_the_line_that_a_killed_run_left(write: Write):
    joined = b'{"event":"step","epo' + json.dumps(START).encode()
    assert [s.step for s in read_metrics(write(step(8), joined, step(0))).steps] == [0]


def test_steps_that_begin_again_in_each_epoch_go_on_along_the_run(write: Write):
    path = write(step(0), step(10), epoch(1), step(0, epoch=2), step(10, epoch=2), epoch(2))
    found = read_metrics(path)
    assert [s.at for s in found.steps] == [0, 10, 11, 21]
    assert [e.at for e in found.epochs] == [10, 21]


def test_the_time_is_what_the_run_said_last(write: Write):
    assert read_metrics(write(step(0), step(250), epoch(1))).seconds == 2.5
    assert read_metrics(write(step(0), epoch(1), epoch(2) | {"seconds": 0.75})).seconds == 0.75
    assert read_metrics(write(graded())).seconds is None


@pytest.mark.parametrize(
    ("numbers", "reached", "every"),
    [((), 0, 1), ((5,), 1, 1), ((0, 1, 2), 3, 1), ((0, 100, 200), 201, 100), ((0, 1, 5), 6, 0)],
)
def test_the_rhythm_of_the_steps_is_found(
    write: Write, numbers: tuple[int, ...], reached: int, every: int
):
    found = read_metrics(write(*map(step, numbers), graded()))
    assert (found.reached, found.every) == (reached, every)


def test_an_epoch_needs_no_test(write: Write):
    (found,) = read_metrics(write({"event": "epoch", "epoch": 1, "loss": 1})).epochs
    assert found == Epoch(None, 1, 1.0)


def test_a_test_needs_no_matrix_and_no_samples(write: Write):
    test = read_metrics(write({"event": "test", "loss": "inf", "accuracy": 0.5})).test
    assert test is not None
    assert (test.count, test.samples) == (0, ())
    assert math.isinf(test.loss)


def test_settings_are_shown_as_people_write_them(write: Write):
    start = START | {
        "momentum": 0.0,
        "odd\u202e": "a\nb" + "x" * 99,
        "network": [784, 10],
        "nested": [[1]],
        "load": None,
    }
    shown = dict(shown_settings(read_metrics(write(start, step(0)))))
    assert shown["shuffle"] == "yes"
    assert shown["momentum"] == "0"
    assert shown["odd\\u202e"].startswith("a bxxx")
    assert len(shown["odd\\u202e"]) == 60
    assert shown["network"] == "784-10"
    assert not {"nested", "load"} & set(shown)


BAD = {
    "not JSON": (b"loss 0.5", "not JSON: Expecting value at column 1"),
    "cut in the middle of the file": (b'{"event":"step","ep', "not JSON"),
    "not UTF-8": (b'{"event":"\xff"}', "byte 11 is not UTF-8"),
    "nested without end": (b"[" * 100_000, "nested too deeply"),
    "a number": (b"3", "3 is not an object"),
    "a list": (b"[1]", r"\[1\] is not an object"),
    "no event": (b"{}", "event is null; wanted the name"),
    "an event that is a number": (b'{"event":1}', "event is 1"),
    "no loss": (b'{"event":"step","epoch":1,"step":0}', 'no loss; wanted a number, "nan"'),
    "a loss in words": (step(0, "low"), 'loss is "low"; wanted'),
    "a loss that is true": (step(0, True), "loss is true"),
    "a loss beyond all numbers": (step(0, 10**400), "loss is 1000"),
    "digits without end": (b'{"event":"step","loss":' + b"1" * 5000 + b"}", "not JSON"),
    "a negative step": (step(-1), "step is -1; wanted a whole number"),
    "half a step": (step(0) | {"step": 0.5}, "step is 0.5"),
    "an accuracy in per cent": (epoch(1, accuracy=97.5), "test_accuracy is 97.5; wanted a share"),
    "an accuracy that is NaN": (graded(accuracy="nan"), 'accuracy is "nan"; wanted a share'),
    "a flat matrix": (graded(confusion=[1, 2]), r"confusion is \[1, 2\]; wanted a list of rows"),
    "a matrix that is not square": (graded(confusion=[[1, 2], [3]]), "row 1 has 1 numbers"),
    "half a sample in the matrix": (graded(confusion=[[0.5]]), "confusion counts 0.5 in row 0"),
    "a negative count": (graded(confusion=[[-1]]), "confusion counts -1"),
    "too many classes": (graded(confusion=[[0] * 65] * 65), "confusion has 65 rows"),
    "samples that are numbers": (
        graded(samples=[1]),
        r"samples is \[1\]; wanted a list of objects",
    ),
    "a sample without a label": (
        graded(samples=[{"index": 0}]),
        r"samples\[0\]: no label; wanted a whole number",
    ),
    "a line without end": (b" " * (1 << 20) + b"{}", "longer than 1,048,576 bytes"),
}


@pytest.mark.parametrize(("line", "says"), BAD.values(), ids=BAD)
def test_a_line_that_is_not_metrics_is_named(write: Write, line: bytes, says: str):
    path = write(START, step(0), line, step(1))
    with pytest.raises(UsageError, match=rf":3: .*{says}") as error:
        read_metrics(path)
    assert str(error.value).startswith(f"{path}:3: ")
    assert len(str(error.value)) < len(str(path)) + 200


def test_more_steps_than_can_be_held_are_refused(write: Write, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_STEPS", 2)
    with pytest.raises(UsageError, match=r":3: more than 2 steps"):
        read_metrics(write(step(0), step(1), step(2)))


@pytest.mark.parametrize("content", [b"", b"\n\n", b'{"event":"start"}\n', b'{"event":"st'])
def test_a_file_with_nothing_to_plot_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="holds no step, epoch or test to plot"):
        read_metrics(path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match=r"none\.jsonl cannot be read: No such file"):
        read_metrics(tmp_path / "none.jsonl")
