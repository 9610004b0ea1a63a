"""The metrics file: every line is JSON, says what the terminal says, and is whole at any kill."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import idx_images, idx_labels

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
    for label, row in enumerate(confusion):
        cells = "".join(f"{count:6}" for count in row)
        line = f"label {label:<3}{cells}  {100 * per_class[label]:6.2f} %\n"
        assert line in result.stdout


def noise(directory: Path, tests: int, labels: np.ndarray) -> Path:
    """A directory with 64 training samples and `tests` other ones, all of noise."""
    directory.mkdir()
    random = np.random.default_rng(5)
    for prefix, known in (("train", labels[:64]), ("t10k", labels[:tests])):
        pixels = random.integers(0, 256, (len(known), 28, 28))
        (directory / f"{prefix}-images-idx3-ubyte").write_bytes(idx_images(pixels))
        (directory / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_labels(known))
    return directory


def samples_of(run: Run, data: Path, path: Path) -> tuple[list[dict], np.ndarray]:
    """The samples, and the confusion matrix of the run that named them."""
    assert run("--data", data, "--epochs", "2", "--metrics", path).returncode == 0
    test = events(path)[-1]
    return test["samples"], np.array(test["confusion"])


def test_the_samples_are_the_first_40_and_then_the_first_40_wrong_ones(run: Run, tmp_path: Path):
    labels = np.random.default_rng(6).integers(0, 10, 500)
    samples, _ = samples_of(run, noise(tmp_path / "data", 500, labels), tmp_path / "metrics")
    indices = [sample["index"] for sample in samples]
    assert indices[:40] == list(range(40))
    assert indices == sorted(set(indices))
    assert len(samples) == 80
    assert all(sample["predicted"] != sample["label"] for sample in samples[40:])
    assert [sample["label"] for sample in samples] == labels[indices].tolist()
    assert all(0.1 <= sample["p"] <= 1 for sample in samples)


@pytest.mark.parametrize("tests", [39, 40, 41, 64, 65, 130])
def test_no_wrong_sample_is_passed_over(run: Run, tmp_path: Path, tests: int):
    labels = np.zeros(tests + 64, np.uint8)
    labels[1::3] = 9
    data = noise(tmp_path / "data", tests, labels)
    samples, confusion = samples_of(run, data, tmp_path / "metrics")
    wrong = sum(sample["predicted"] != sample["label"] for sample in samples)
    everywhere = int(confusion.sum() - confusion.trace())
    first = sum(s["predicted"] != s["label"] for s in samples if s["index"] < 40)
    assert wrong == min(everywhere, first + 40)
    assert len(samples) == min(tests, 40) + wrong - first


def test_the_time_of_a_test_is_no_time_of_the_training(run: Run, tmp_path: Path):
    epochs = 15
    labels = np.random.default_rng(6).integers(0, 10, 5000)
    options = ["--data", noise(tmp_path / "data", 5000, labels), "--epochs", f"{epochs}"]
    path = tmp_path / "metrics"
    begin = time.monotonic()
    assert run(*options, "--metrics-every", "1", "--metrics", path).returncode == 0
    whole = time.monotonic() - begin
    seconds = [event["seconds"] for event in events(path)[1:-1]]
    assert len(seconds) == 2 * epochs
    # One step of 64 samples an epoch, against a test of 5000: the median is far below the whole.
    assert np.median(np.diff([0, *seconds[1::2]])) < whole / epochs / 4


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
    [
        b'quo"te',
        b"back\\slash",
        b"new\nline",
        b"\x01\x7f",
        "Gr\u00f6\u00dfe".encode(),
        "\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff".encode(),
        b"\xff\xfe",
        b"\xc3",
        b"\xc3(",
        b"\x80\xbf",
        b"\xc0\xaf\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xe2\x82",
        b"\xed\xa0\x80\xed\xbf\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80\xf8",
        b"\xf0\x9f\x98\x80\xf0\x9f\x98",
    ],
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
    written = events(path)[0]["data"]
    assert written == os.fsdecode(renamed)
    # What is UTF-8 is there as it is: only other bytes, quotes and control characters are escaped.
    told = (
        "".join(
            character
            if character > "\x7f" and not "\udc80" <= character <= "\udcff"
            else json.dumps(character)[1:-1]
            for character in written.replace("\n", "\0")
        )
        .replace("\\u0000", "\\u000a")
        .replace("\x7f", "\\u007f")
    )
    assert f'"data":"{told}"'.encode() in path.read_bytes()


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
