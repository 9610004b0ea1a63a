"""The data set directory, its files and IDX itself."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nndbg.dataset import MNIST, Dataset, IdxFile, Recipe, prepare, read_idx, write_idx
from nndbg.dataset.directory import MARKER
from nndbg.dataset.idx import format_idx
from nndbg.errors import ExitCode, UsageError

REAL = Path(__file__).resolve().parents[2] / "shared" / "mnist"
SMALL = Recipe(train=30, test=20)


def images(count: int, ink: int) -> bytes:
    return format_idx(np.full((count, 28, 28), ink, np.uint8))


def labels(count: int) -> bytes:
    return format_idx((np.arange(count) % 10).astype(np.uint8))


CONTENTS = {
    "train-images-idx3-ubyte": images(6, 3),
    "train-labels-idx1-ubyte": labels(6),
    "t10k-images-idx3-ubyte": images(4, 5),
    "t10k-labels-idx1-ubyte": labels(4),
}

# MNIST in small: every file has its own SHA-256, so all rules apply.
FILES = tuple(
    IdxFile(
        file.name,
        (6 if file.name.startswith("train") else 4, *file.shape[1:]),
        hashlib.sha256(CONTENTS[file.name]).hexdigest(),
    )
    for file in MNIST
)


def hold(directory: Path, spelling: Callable[[str], str] = str, packed: bool = False) -> Path:
    directory.mkdir(exist_ok=True)
    for name, data in CONTENTS.items():
        (directory / spelling(name)).write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return directory


def get(directory: Path, source: Path | None = None, synthetic: bool = False) -> Dataset:
    """`prepare` where no mirror is ever there."""
    return prepare(
        directory, source=source, synthetic=synthetic, recipe=SMALL, mirrors=(), files=FILES
    )


def holds_the_set(directory: Path) -> bool:
    return {path.name: path.read_bytes() for path in directory.iterdir()} == CONTENTS


# IDX


@pytest.mark.parametrize("shape", [(5,), (2, 28, 28), (0, 28, 28), (2, 3, 4, 5)])
def test_an_array_survives_being_written_and_read(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    write_idx(tmp_path / "a", array)
    assert np.array_equal(read_idx(tmp_path / "a"), array)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_header_is_the_one_that_mnist_has(tmp_path: Path) -> None:
    write_idx(tmp_path / "a", np.zeros((2, 28, 28), np.uint8))
    assert (tmp_path / "a").read_bytes()[:16].hex(" ", 4) == "00000803 00000002 0000001c 0000001c"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "starts with nothing"),
        (b"\0\0\x08", "starts with 00 00 08, wanted"),
        (b"<html>", "starts with 3c 68 74 6d"),
        (b"\0\0\x0d\1\0\0\0\1\0\0\0\0", "not an IDX file of bytes: it starts with 00 00 0d 01"),
        (b"\0\0\x08\0", "starts with 00 00 08 00"),
        (b"\0\0\x08\3\0\0\0\1", "ends within its 16-byte header"),
        (labels(9)[:-1], r"cut short: its header says \[9\], 17 bytes, but it has 16"),
        (labels(9) + b"\0", "too long: .* 17 bytes, but it has 18"),
        (gzip.compress(labels(9), mtime=0), "compressed with gzip"),
        (b"\0\0\x08\3" + b"\xff" * 12, "cut short: .*4294967295"),
    ],
)
def test_a_broken_idx_file_is_refused_with_what_is_wrong(
    tmp_path: Path, data: bytes, says: str
) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(UsageError, match=says) as caught:
        read_idx(tmp_path / "a")
    assert str(tmp_path / "a") in str(caught.value)
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing cannot be read: No such file"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_idx(tmp_path)
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        write_idx(tmp_path / "no" / "where", np.zeros(1, np.uint8))


@pytest.mark.parametrize("array", [np.zeros(3, np.float32), np.uint8(3)])
def test_what_idx_cannot_hold_is_not_written(tmp_path: Path, array: NDArray[np.uint8]) -> None:
    with pytest.raises(UsageError, match="cannot hold"):
        write_idx(tmp_path / "a", array)
    assert not list(tmp_path.iterdir())


# From a directory


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_a_copy_is_found_in_every_spelling(tmp_path: Path, packed: bool, dotted: bool) -> None:
    def spelling(name: str) -> str:
        return (name.replace("-idx", ".idx") if dotted else name) + ".gz" * packed

    source = hold(tmp_path / "source", spelling, packed)
    assert get(tmp_path / "new" / "to", source) == Dataset(
        tmp_path / "new" / "to", "mnist", "copied"
    )
    assert holds_the_set(tmp_path / "new" / "to")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("train-labels-idx1-ubyte", images(6, 3), "holds images, wanted labels. Is it misnamed"),
        ("train-images-idx3-ubyte", labels(6), "holds labels, wanted images. Is it misnamed"),
        (
            "train-images-idx3-ubyte",
            images(4, 5),
            r"holds \[4, 28, 28\], wanted \[6, 28, 28\]. Is it misnamed",
        ),
        (
            "t10k-images-idx3-ubyte",
            format_idx(np.zeros((4, 784), np.uint8)),
            "holds 2 dimensions, wanted images",
        ),
        (
            "t10k-images-idx3-ubyte",
            images(4, 9),
            "not MNIST's (.|\n)*Fashion-MNIST.* SHA-256 is "
            f"{hashlib.sha256(images(4, 9)).hexdigest()}, wanted {FILES[2].sha256}",
        ),
        (
            "t10k-labels-idx1-ubyte",
            gzip.compress(labels(4), mtime=0)[:-6],
            "does not unpack: .*cut short",
        ),
        (
            "t10k-labels-idx1-ubyte",
            gzip.compress(labels(4), mtime=0)[:-9] + b"123456789",
            "not unpack",
        ),
        ("t10k-labels-idx1-ubyte", b"\x1f\x8b not gzip at all", "does not unpack"),
        ("t10k-labels-idx1-ubyte", labels(4)[:-1], "cut short"),
        (
            "t10k-labels-idx1-ubyte",
            gzip.compress(bytes(1 << 26), mtime=0),
            "more than 47,040,016 bytes",
        ),
        ("t10k-labels-idx1-ubyte", b"PK\3\4", "not an IDX file of bytes: it starts with 50 4b"),
        ("t10k-labels-idx1-ubyte", None, "has no t10k-labels-idx1-ubyte; wanted one of .*[.]gz"),
    ],
)
def test_a_wrong_copy_is_refused_and_nothing_is_written(
    tmp_path: Path, name: str, data: bytes | None, says: str
) -> None:
    source = hold(tmp_path / "source")
    (source / name).unlink()
    if data is not None:
        (source / name).write_bytes(data)
    with pytest.raises(UsageError, match=says) as caught:
        get(tmp_path / "to", source)
    assert str(source) in str(caught.value)
    assert not (tmp_path / "to").exists()


def test_a_source_that_is_not_there_is_said_to_be_no_directory(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere is not a directory; wanted one of"):
        get(tmp_path / "to", tmp_path / "nowhere")


def test_a_directory_can_be_its_own_source(tmp_path: Path) -> None:
    hold(tmp_path, "{}.gz".format, packed=True)
    assert get(tmp_path, tmp_path).kind == "mnist"
    assert {path.name for path in tmp_path.iterdir()} >= CONTENTS.keys()


def test_the_real_mnist_is_recognised(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip("MNIST is not in ../shared/mnist")
    assert prepare(tmp_path, source=REAL).came == "copied"
    assert prepare(tmp_path, mirrors=()) == Dataset(tmp_path, "mnist", "present")
    assert [read_idx(tmp_path / file.name).shape for file in MNIST] == [f.shape for f in MNIST]
    assert read_idx(tmp_path / "train-labels-idx1-ubyte")[:5].tolist() == [5, 0, 4, 1, 9]


# What the directory holds


def test_a_whole_set_is_kept_without_asking_anybody(tmp_path: Path) -> None:
    dataset = get(hold(tmp_path))
    assert dataset == Dataset(tmp_path, "mnist", "present")
    assert "holds MNIST, there already" in str(dataset)


def test_where_no_mirror_answers_the_digits_are_drawn_and_called_synthetic(tmp_path: Path) -> None:
    drawn = get(tmp_path)
    assert (drawn.kind, drawn.came, drawn.why) == (
        "synthetic",
        "drawn",
        "there is no mirror to ask",
    )
    assert "SYNTHETIC digits, not MNIST" in str(drawn)
    assert "could not be downloaded (there is no mirror to ask)" in str(drawn)
    marker = (tmp_path / MARKER).read_text()
    assert "not MNIST" in marker
    assert "seed=1998 train=30 test=20" in marker
    for file in FILES:
        data = (tmp_path / file.name).read_bytes()
        assert f"{hashlib.sha256(data).hexdigest()}  {file.name}" in marker


def test_a_synthetic_set_is_recognised_and_said_to_be_one(tmp_path: Path) -> None:
    get(tmp_path, synthetic=True)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    for again in (get(tmp_path), get(tmp_path, synthetic=True)):
        assert again == Dataset(tmp_path, "synthetic", "present")
        assert "SYNTHETIC digits, not MNIST, there already" in str(again)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_another_recipe_replaces_a_synthetic_set(tmp_path: Path) -> None:
    get(tmp_path, synthetic=True)
    other = prepare(tmp_path, synthetic=True, recipe=Recipe(train=12, test=11))
    assert other.came == "drawn"
    assert read_idx(tmp_path / "train-images-idx3-ubyte").shape == (12, 28, 28)


def test_mnist_replaces_a_synthetic_set_and_its_marker(tmp_path: Path) -> None:
    get(tmp_path / "to", synthetic=True)
    assert get(tmp_path / "to", hold(tmp_path / "source")).came == "copied"
    assert holds_the_set(tmp_path / "to")


def test_a_marker_does_not_outlive_its_digits(tmp_path: Path) -> None:
    get(tmp_path, synthetic=True)
    hold(tmp_path)
    assert get(tmp_path).kind == "mnist"
    assert not (tmp_path / MARKER).exists()


@pytest.mark.parametrize("left", range(4))
def test_a_set_that_was_cut_short_is_made_whole(tmp_path: Path, left: int) -> None:
    source = hold(tmp_path / "source")
    hold(tmp_path / "real")
    get(tmp_path / "drawn", synthetic=True)
    for name in list(CONTENTS)[left:]:
        (tmp_path / "real" / name).unlink()
        (tmp_path / "drawn" / name).unlink()
    assert get(tmp_path / "real", source).came == "copied"
    assert holds_the_set(tmp_path / "real")
    assert get(tmp_path / "drawn").came == "drawn"
    assert get(tmp_path / "drawn").came == "present"


@pytest.mark.parametrize("synthetic", [False, True])
@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_of_somebody_else_is_named_and_kept(
    tmp_path: Path, name: str, synthetic: bool
) -> None:
    hold(tmp_path)
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(UsageError, match=f"{name} is neither MNIST's nor drawn by nndbg"):
        get(tmp_path, synthetic=synthetic)
    assert (tmp_path / name).read_bytes() == b"mine"


def test_a_synthetic_file_that_was_changed_is_somebody_elses(tmp_path: Path) -> None:
    get(tmp_path, synthetic=True)
    with (tmp_path / FILES[0].name).open("ab") as file:
        file.write(b"!")
    with pytest.raises(UsageError, match="neither MNIST's nor drawn by nndbg"):
        get(tmp_path)


def test_synthetic_digits_never_replace_mnist(tmp_path: Path) -> None:
    hold(tmp_path)
    with pytest.raises(UsageError, match=r"holds MNIST itself .* do not replace"):
        get(tmp_path, synthetic=True)
    (tmp_path / FILES[0].name).unlink()
    with pytest.raises(UsageError, match="the rest could not be downloaded: there is no mirror"):
        get(tmp_path)
    assert (tmp_path / FILES[1].name).read_bytes() == CONTENTS[FILES[1].name]


def test_what_cannot_be_asked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ask for one of both"):
        get(tmp_path / "to", tmp_path, synthetic=True)
    for wrong in ({"seed": -1}, {"train": 0}, {"test": -5}):
        with pytest.raises(UsageError, match="no recipe"):
            Recipe(**wrong)


def test_a_directory_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file.* cannot be read: Not a directory"):
        get(tmp_path / "file")
