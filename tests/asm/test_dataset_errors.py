"""Whatever lies where MNIST should be: one line on stderr, exit code 3, no crash and no hang."""

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Run

IMAGES = "train-images-idx3-ubyte"
LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"


def remove(name: str) -> Callable[[Path], None]:
    return lambda data: (data / name).unlink()


def directory(name: str) -> Callable[[Path], None]:
    def fault(data: Path) -> None:
        (data / name).unlink()
        (data / name).mkdir()

    return fault


def fifo(name: str) -> Callable[[Path], None]:
    def fault(data: Path) -> None:
        (data / name).unlink()
        os.mkfifo(data / name)

    return fault


def link(name: str, target: str) -> Callable[[Path], None]:
    def fault(data: Path) -> None:
        (data / name).unlink()
        (data / name).symlink_to(target)

    return fault


def cut(name: str, size: int) -> Callable[[Path], None]:
    """Keeps the first `size` bytes; a negative size removes so many from the end."""
    return lambda data: write(data / name, (data / name).read_bytes()[:size])


def append(name: str, more: bytes) -> Callable[[Path], None]:
    return lambda data: write(data / name, (data / name).read_bytes() + more)


def word(name: str, index: int, value: int) -> Callable[[Path], None]:
    """Overwrites a word of the header."""

    def fault(data: Path) -> None:
        content = bytearray((data / name).read_bytes())
        struct.pack_into(">I", content, 4 * index, value)
        write(data / name, content)

    return fault


def label(name: str, index: int, value: int) -> Callable[[Path], None]:
    def fault(data: Path) -> None:
        content = bytearray((data / name).read_bytes())
        content[8 + index] = value
        write(data / name, content)

    return fault


def swap(one: str, other: str) -> Callable[[Path], None]:
    def fault(data: Path) -> None:
        (data / one).rename(data / "one")
        (data / other).rename(data / one)
        (data / "one").rename(data / other)

    return fault


def compress(name: str) -> Callable[[Path], None]:
    return lambda data: write(data / name, gzip.compress((data / name).read_bytes()))


def fewer_labels(data: Path) -> None:
    write(data / LABELS, struct.pack(">2I", 0x801, 149) + (data / LABELS).read_bytes()[8:-1])


def write(path: Path, content: bytes | bytearray) -> None:
    path.write_bytes(content)


FAULTS = [
    ("images missing", remove(IMAGES), IMAGES, "No such file"),
    ("labels missing", remove(LABELS), LABELS, "No such file"),
    ("test images missing", remove(TEST_IMAGES), TEST_IMAGES, "No such file"),
    ("test labels missing", remove(TEST_LABELS), TEST_LABELS, "--data"),
    ("a directory", directory(IMAGES), IMAGES, "is a directory"),
    ("a fifo", fifo(LABELS), LABELS, "no regular file"),
    ("a device", link(IMAGES, "/dev/zero"), IMAGES, "no regular file"),
    ("a link to itself", link(IMAGES, IMAGES), IMAGES, "cannot be read"),
    ("a link to nothing", link(IMAGES, "nowhere"), IMAGES, "No such file"),
    ("empty file", cut(IMAGES, 0), IMAGES, "holds 0 bytes"),
    ("half a magic", cut(LABELS, 2), LABELS, "holds 2 bytes"),
    ("half a header", cut(IMAGES, 12), IMAGES, "at least the 16"),
    ("only a header", cut(IMAGES, 16), IMAGES, "truncated"),
    ("one pixel short", cut(IMAGES, -1), IMAGES, "truncated"),
    ("one label short", cut(LABELS, -1), LABELS, "truncated"),
    ("one test label short", cut(TEST_LABELS, -1), TEST_LABELS, "truncated"),
    ("one byte too many", append(IMAGES, b"x"), IMAGES, "too long"),
    ("not IDX", word(IMAGES, 0, 0x89504E47), IMAGES, "0x89504e47"),
    ("little-endian magic", word(LABELS, 0, 0x01080000), LABELS, "wanted 0x00000801"),
    ("compressed", compress(IMAGES), IMAGES, "gunzip"),
    ("images and labels swapped", swap(IMAGES, LABELS), IMAGES, "swapped"),
    ("labels are images", link(LABELS, IMAGES), LABELS, "swapped"),
    ("training images, test labels", swap(LABELS, TEST_LABELS), LABELS, "holds 70 labels"),
    ("no samples", word(IMAGES, 1, 0), IMAGES, "no samples"),
    ("no labels", word(LABELS, 1, 0), LABELS, "no samples"),
    ("more samples than the file", word(IMAGES, 1, 151), IMAGES, "151 samples"),
    ("2**32 - 1 images", word(IMAGES, 1, 2**32 - 1), IMAGES, "4294967295 samples"),
    ("2**32 - 1 labels", word(LABELS, 1, 2**32 - 1), LABELS, "4294967295 samples"),
    ("27 rows", word(IMAGES, 2, 27), IMAGES, "27 rows"),
    ("no columns", word(IMAGES, 3, 0), IMAGES, "0 columns"),
    ("2**31 columns", word(TEST_IMAGES, 3, 2**31), TEST_IMAGES, "2147483648 columns"),
    ("fewer labels than images", fewer_labels, LABELS, "holds 149 labels"),
    ("first label is 10", label(LABELS, 0, 10), LABELS, "sample 0 is 10"),
    ("last label is 255", label(TEST_LABELS, 69, 255), TEST_LABELS, "sample 69 is 255"),
]


@pytest.mark.parametrize(
    ("fault", "name", "says"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS]
)
def test_a_broken_data_set_is_one_clear_line(run: Run, tiny: Path, fault, name: str, says: str):
    fault(tiny)
    result = run("--data", tiny)
    assert result.returncode == 3, result
    assert result.stdout == ""
    assert result.stderr.startswith(f"mnist: {tiny / name}: ")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith("\n")


def test_a_file_without_permission_is_one_clear_line(run: Run, tiny: Path):
    (tiny / IMAGES).chmod(0)
    if os.access(tiny / IMAGES, os.R_OK):
        pytest.skip("this user may read everything")
    result = run("--data", tiny)
    assert result.returncode == 3
    assert "Permission denied" in result.stderr


@pytest.mark.parametrize("name", ["", "nowhere", "a\nb", "x" * 5000, "%s%n%s%n"])
def test_a_directory_that_is_none_is_one_clear_line(run: Run, tmp_path: Path, name: str):
    result = run("--data", f"{tmp_path}/{name}")
    assert result.returncode == 3
    assert result.stderr.startswith("mnist: ")
    assert result.stderr.count("\n") == 1


def test_without_data_it_looks_into_dataset(run: Run, tmp_path: Path):
    result = run(cwd=tmp_path)
    assert result.returncode == 3
    assert result.stderr.startswith("mnist: dataset/train-images-idx3-ubyte: No such file")
