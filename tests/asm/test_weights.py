"""Weights are saved whole, and loaded only if they are what was saved."""

import itertools
import os
import re
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from .conftest import Run

LAYERS = (784, 128, 64, 10)
HEADER = struct.pack("<8s2I4I", b"NNWEIGHT", 1, 3, *LAYERS)
PARAMETERS = sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(LAYERS))
SIZE = len(HEADER) + 4 * PARAMETERS + 4


def sealed(content: bytes) -> bytes:
    return content + struct.pack("<I", zlib.crc32(content))


def file_of(values: np.ndarray) -> bytes:
    return sealed(HEADER + values.astype("<f4").tobytes())


def losses(output: str) -> list[str]:
    return re.findall(r"loss (\S+)", output)


@pytest.fixture
def few(tiny: Path) -> list[str]:
    """Options for a short training."""
    return ["--data", str(tiny), "--epochs", "2"]


def test_the_file_is_what_the_manual_says(run: Run, few: list[str], root: Path, tmp_path: Path):
    saved = tmp_path / "weights.bin"
    assert run(*few, "--save", saved).returncode == 0
    manual = (root / "docs" / "weights.md").read_text()
    example = manual.split("```python\n")[1].split("```")[0]
    found: dict = {}
    exec(example.replace("weights.bin", str(saved)), found)
    assert found["sizes"] == LAYERS
    assert len(found["values"]) == 0
    for (W, b), (inputs, outputs) in zip(
        found["parameters"], itertools.pairwise(LAYERS), strict=True
    ):
        assert W.shape == (inputs, outputs)
        assert b.shape == (outputs,)
        assert W.std() == pytest.approx(np.sqrt(2 / (inputs + outputs)), rel=0.2)
        assert (b != 0).any()


def mean_loss(data: Path, prefix: str, values: np.ndarray) -> float:
    """What a network with these parameters, in the order of the file, has as its loss."""
    h = np.fromfile(data / f"{prefix}-images-idx3-ubyte", np.uint8)[16:].reshape(-1, 784) / 255
    y = np.fromfile(data / f"{prefix}-labels-idx1-ubyte", np.uint8)[8:]
    for inputs, outputs in itertools.pairwise(LAYERS):
        W, b, values = np.split(values, [inputs * outputs, (inputs + 1) * outputs])
        z = h @ W.reshape(inputs, outputs) + b
        h = np.maximum(z, 0)
    return (np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]).mean()


def test_numpy_computes_the_test_loss_from_a_saved_file(run: Run, few, tiny: Path, tmp_path: Path):
    saved = tmp_path / "weights"
    result = run(*few, "--save", saved)
    values = np.frombuffer(saved.read_bytes()[len(HEADER) : -4], "<f4").astype(float)
    expected = mean_loss(tiny, "t10k", values)
    assert float(losses(result.stdout)[-1]) == pytest.approx(expected, abs=2e-6)


def test_what_numpy_wrote_is_what_training_begins_with(run: Run, few, tiny: Path, tmp_path: Path):
    written = tmp_path / "weights"
    values = (np.random.default_rng(1).standard_normal(PARAMETERS) / 10).astype(np.float32)
    written.write_bytes(file_of(values))
    result = run(*few, "--batch", "150", "--load", written)
    assert f"weights   from {written}\n" in result.stdout
    expected = mean_loss(tiny, "train", values.astype(float))
    assert float(losses(result.stdout)[0]) == pytest.approx(expected, abs=2e-6)


def test_training_goes_on_where_it_stopped(run: Run, few: list[str], tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    whole = run(*few, "--no-shuffle", "--save", second)
    half = run(*few[:2], "--epochs", "1", "--no-shuffle", "--save", first)
    rest = run(*few[:2], "--epochs", "1", "--no-shuffle", "--load", first, "--save", first)
    assert losses(half.stdout)[0] == losses(whole.stdout)[0]
    assert losses(rest.stdout) == losses(whole.stdout)[1:]
    assert first.read_bytes() == second.read_bytes()


def test_a_loaded_run_draws_no_weights(run: Run, few: list[str], tmp_path: Path):
    saved = tmp_path / "weights"
    run(*few, "--save", saved)
    same = [run(*few, "--load", saved, "--init", scheme).stdout for scheme in ("glorot", "he")]
    assert losses(same[0]) == losses(same[1])


def test_saving_replaces_a_file_and_leaves_nothing_beside_it(run: Run, few, tmp_path: Path):
    saved = tmp_path / "place" / "weights"
    saved.parent.mkdir()
    saved.write_bytes(b"old")
    assert run(*few, "--save", saved).returncode == 0
    assert len(saved.read_bytes()) == SIZE
    assert list(saved.parent.iterdir()) == [saved]


def test_a_killed_program_leaves_the_old_file(program: Path, tiny: Path, tmp_path: Path):
    saved = tmp_path / "weights"
    saved.write_bytes(b"old")
    process = subprocess.Popen(
        [program, "--data", tiny, "--epochs", "100000", "--save", saved],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("epoch"):
        pass
    process.kill()
    process.communicate(timeout=30)
    assert saved.read_bytes() == b"old"


def patched(at: int, value: bytes) -> Callable[[bytes], bytes]:
    """The file with other bytes in one place, and a checksum that fits."""
    return lambda file: sealed(file[:at] + value + file[at + len(value) : -4])


def word(at: int, value: int) -> Callable[[bytes], bytes]:
    return patched(at, struct.pack("<I", value))


FAULTS = [
    ("nothing", lambda file: b"", "does not begin as a file of weights"),
    ("one byte", lambda file: b"N", "does not begin as a file of weights"),
    ("half a header", lambda file: file[:20], "does not begin as a file of weights"),
    ("another magic", patched(0, b"NNWEIGHS"), "does not begin as a file of weights"),
    ("text", lambda file: b"no weights at all\n" * 40, "does not begin as a file of weights"),
    ("version 0", word(8, 0), "is of version 0, wanted 1"),
    ("version 2", word(8, 2), "is of version 2, wanted 1"),
    ("big-endian", word(8, 1 << 24), "is of version 16777216, wanted 1"),
    ("2 layers", word(12, 2), "a network of 2 layers, wanted 3"),
    ("2**32 - 1 layers", word(12, 2**32 - 1), "a network of 4294967295 layers"),
    ("785 inputs", word(16, 785), "size 0 of its network is 785, wanted 784"),
    ("no hidden layer", word(20, 0), "size 1 of its network is 0, wanted 128"),
    ("11 classes", word(28, 11), "size 3 of its network is 11, wanted 10"),
    ("only a header", lambda file: file[:32], f"truncated: holds 32 bytes, wanted {SIZE}"),
    ("no checksum", lambda file: file[:-4], "is truncated"),
    ("one byte short", lambda file: file[:-1], "is truncated"),
    ("one byte too many", lambda file: file + b"x", "is too long"),
    ("twice", lambda file: file * 2, "is too long"),
    ("a flipped bit", lambda file: file[:999] + bytes([file[999] ^ 4]) + file[1000:], "damaged"),
    ("another checksum", lambda file: file[:-4] + b"\0\0\0\0", "its checksum is 0x00000000"),
]


@pytest.mark.parametrize(
    ("fault", "says"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS]
)
def test_a_broken_file_is_one_clear_line(run: Run, few, tmp_path: Path, fault, says: str):
    broken = tmp_path / "broken"
    broken.write_bytes(fault(file_of(np.zeros(PARAMETERS))))
    refused(run(*few, "--load", broken), f"mnist: {broken}: ", says)


def refused(result: subprocess.CompletedProcess[str], begins: str, says: str) -> None:
    assert result.returncode == 3, result
    assert result.stdout == ""
    assert result.stderr.startswith(begins)
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--load", "--save", "--metrics"])
def test_a_place_that_is_none_is_one_clear_line(run: Run, few, tmp_path: Path, option: str):
    (tmp_path / "file").touch()
    for name, says in [
        ("nowhere/file", "No such file or directory"),
        ("", "s a directory"),
        ("file/inside", "Not a directory"),
        ("x" * 300, "File name too long"),
    ]:
        place = f"{tmp_path}/{name}"
        refused(run(*few, option, place), f"mnist: {place}: ", says)


@pytest.mark.parametrize("option", ["--load", "--save"])
@pytest.mark.parametrize("place", ["/dev/null", "/dev/zero", "fifo"])
def test_a_device_or_a_fifo_is_left_alone(run: Run, few, tmp_path: Path, option: str, place: str):
    path = Path(place)
    if place == "fifo":
        path = tmp_path / "fifo"
        os.mkfifo(path)
    refused(run(*few, option, path), f"mnist: {path}: ", "is no regular file")
    assert path.exists()
    assert not path.is_file()


def test_a_disk_that_is_full_in_the_end_is_no_success(program: Path, few, tmp_path: Path):
    limits = f"ulimit -f 300; trap '' XFSZ; exec {program} {' '.join(few)} --save {tmp_path}/new"
    result = subprocess.run(
        ["bash", "-c", limits], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 3
    assert result.stderr == (
        f"mnist: {tmp_path}/new: cannot be written: File too large; name another file with --save\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
