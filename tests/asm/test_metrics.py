"""The metrics file: every line is JSON, says what the terminal says, and is whole at any kill."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from .conftest import Run


def events(path: Path) -> list[dict]:
    """All lines; a line without its end, or one that is no JSON in the strict sense, fails."""
    content = path.read_bytes()
    assert content.endswith(b"\n")
    return [json.loads(line, parse_constant=pytest.fail) for line in content.splitlines()]


def test_the_lines_say_what_the_terminal_says(run: Run, tiny: Path, tmp_path: Path):
    path = tmp_path / "metrics"
    result = run("--data", tiny, "--epochs", "3", "--metrics", path, "--metrics-every", "4")
    assert result.returncode == 0, result.stderr
    found = events(path)
    names = ["start", "step", "epoch", "step", "epoch", "step", "epoch", "test"]
    assert [event.pop("event") for event in found] == names

    start, test = found[0], found[-1]
    assert start == {
        "network": [784, 128, 64, 10],
        "data": str(tiny),
        "train": 150,
        "test": 70,
        "epochs": 3,
        "batch": 64,
        "lr": 0.01,
        "momentum": 0,
        "weight_decay": 0,
        "dropout": 0,
        "init": "glorot",
        "seed": 42,
        "shuffle": True,
        "kernels": start["kernels"],
        "load": None,
        "save": None,
    }
    steps = [event for event in found[1:-1] if "step" in event]
    assert [(event["epoch"], event["step"]) for event in steps] == [(1, 0), (2, 4), (3, 8)]
    epochs = [event for event in found[1:-1] if "step" not in event]
    printed = [float(loss) for loss in re.findall(r"loss (\S+)", result.stdout)]
    assert [event["loss"] for event in epochs] == pytest.approx(printed[:3], abs=1e-6)
    assert [event["epoch"] for event in epochs] == [1, 2, 3]
    seconds = [event["seconds"] for event in found[1:-1]]
    assert seconds == sorted(seconds)

    assert test["loss"] == epochs[-1]["test_loss"] == pytest.approx(printed[3], abs=1e-6)
    assert test["accuracy"] == epochs[-1]["test_accuracy"]
    assert f"accuracy {100 * test['accuracy']:.2f} %" in result.stdout


def test_the_confusion_matrix_counts_every_sample(run: Run, tiny: Path, tmp_path: Path):
    path = tmp_path / "metrics"
    result = run("--data", tiny, "--epochs", "1", "--metrics", path)
    test = events(path)[-1]
    labels = np.fromfile(tiny / "t10k-labels-idx1-ubyte", np.uint8)[8:]
    confusion = np.array(test["confusion"])
    assert confusion.shape == (10, 10)
    np.testing.assert_array_equal(confusion.sum(axis=1), np.bincount(labels, minlength=10))
    assert test["accuracy"] == pytest.approx(confusion.trace() / 70)
    per_class = confusion.diagonal() / confusion.sum(axis=1)
    assert test["per_class"] == pytest.approx(per_class.tolist())
    assert [sample["index"] for sample in test["samples"]] == list(range(40))
    assert [sample["label"] for sample in test["samples"]] == labels[:40].tolist()
    assert all(0.1 <= sample["p"] <= 1 for sample in test["samples"])
    for label, row in enumerate(confusion):
        cells = "".join(f"{count:6}" for count in row)
        line = f"label {label:<3}{cells}  {100 * per_class[label]:6.2f} %\n"
        assert line in result.stdout


def test_a_digit_that_the_test_set_lacks_has_no_accuracy(run: Run, tiny: Path, tmp_path: Path):
    path = tmp_path / "metrics"
    result = run("--data", tiny, "--epochs", "1", "--test-limit", "1", "--metrics", path)
    test = events(path)[-1]
    label = test["samples"][0]["label"]
    assert [value is None for value in test["per_class"]] == [i != label for i in range(10)]
    assert len(test["samples"]) == 1
    assert result.stdout.count("       -\n") == 9


def test_evaluating_every_epoch_changes_no_number(run: Run, tiny: Path, tmp_path: Path):
    options = ["--data", tiny, "--dropout", "0.3", "--momentum", "0.5", "--epochs", "3"]
    plain, followed = run(*options), run(*options, "--metrics", tmp_path / "metrics")
    without_seconds = [re.sub(r"[\d.]+ s$", "", r.stdout, flags=re.M) for r in (plain, followed)]
    assert without_seconds[0] == without_seconds[1]


def test_numbers_that_json_does_not_have_are_texts(run: Run, tiny: Path, tmp_path: Path):
    path = tmp_path / "metrics"
    options = ["--lr", "10", "--momentum", "0.99", "--weight-decay", "10", "--epochs", "40"]
    assert run("--data", tiny, *options, "--metrics", path).returncode == 0
    test = events(path)[-1]
    assert test["loss"] in ("nan", "inf")
    assert test["samples"][0]["p"] == "nan"


@pytest.mark.parametrize(
    "name",
    [b'quo"te', b"back\\slash", b"new\nline", b"\x01\x7f", "Gr\u00f6\u00dfe".encode(), b"\xff\xfe"],
)
def test_any_file_name_comes_back(program: Path, tiny: Path, tmp_path: Path, name: bytes):
    renamed = tiny.rename(tmp_path / os.fsdecode(name))
    path = tmp_path / "metrics"
    subprocess.run(
        [program, "--data", renamed, "--epochs", "1", "--metrics", path],
        stdout=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )
    assert os.fsencode(events(path)[0]["data"]) == os.fsencode(renamed)


@pytest.mark.parametrize("moment", range(8))
def test_a_killed_program_leaves_whole_lines(program: Path, tiny: Path, tmp_path: Path, moment):
    path = tmp_path / "metrics"
    options = ["--epochs", "100000", "--batch", "16", "--metrics-every", "1", "--metrics", path]
    process = subprocess.Popen([program, "--data", tiny, *options], stdout=subprocess.DEVNULL)
    wanted = 1 + 2_000 * moment
    deadline = time.monotonic() + 60
    while (path.stat().st_size if path.exists() else 0) < wanted:
        assert process.poll() is None
        assert time.monotonic() < deadline
    process.kill()
    process.wait(timeout=30)
    assert events(path)[0]["event"] == "start"


def test_an_older_file_is_replaced(run: Run, tiny: Path, tmp_path: Path):
    path = tmp_path / "metrics"
    path.write_text("older\n" * 10_000)
    assert run("--data", tiny, "--epochs", "1", "--metrics", path).returncode == 0
    assert events(path)[0]["event"] == "start"


def test_a_fifo_that_nobody_reads_is_no_hang(run: Run, tiny: Path, tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    result = run("--data", tiny, "--metrics", tmp_path / "fifo")
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1


def test_a_full_disk_is_one_clear_line(run: Run, tiny: Path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    result = run("--data", tiny, "--metrics", "/dev/full")
    assert result.returncode == 3
    assert result.stderr == (
        "mnist: /dev/full: cannot be written: No space left on device; "
        "name another file with --metrics\n"
    )
