"""Pictures: which are shown, and that what is packed is what was given."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from nndbg.chart import braille
from nndbg.dataset import write_idx
from nndbg.errors import UsageError
from nndbg.plot.digits import TEST_IMAGES, choose, png, read_images, shrink
from nndbg.plot.metrics import Evaluation, Metrics, Sample


def graded(*pairs: tuple[int, int, int]) -> Metrics:
    samples = tuple(Sample(index, label, taken, 0.5) for index, label, taken in pairs)
    return Metrics("m", test=Evaluation(0.1, 0.9, samples=samples))


WRONG = [(i, 1, 2) for i in range(8)]
RIGHT = [(i, 1, 1) for i in range(10, 18)]


def test_half_of_the_samples_shown_are_wrong_ones(images: np.ndarray):
    chosen = choose(graded(*WRONG, *RIGHT), images, 6)
    assert [s.index for s in chosen.wrong] == [0, 1, 2]
    assert [s.index for s in chosen.right] == [10, 11, 12]
    assert chosen.says == "5 more wrong and 5 more right ones are in the metrics"


@pytest.mark.parametrize(
    ("pairs", "wrong", "right"), [([*WRONG, RIGHT[0]], 5, 1), ([WRONG[0], *RIGHT], 1, 5)]
)
def test_one_kind_fills_the_places_that_the_other_leaves(images, pairs, wrong: int, right: int):
    chosen = choose(graded(*pairs), images, 6)
    assert (len(chosen.wrong), len(chosen.right)) == (wrong, right)
    kind = "wrong" if wrong > right else "right"
    assert chosen.says == f"3 more {kind} ones are in the metrics"


def test_samples_without_an_image_are_left_out_and_said(images: np.ndarray):
    chosen = choose(graded((0, 1, 1), (20, 1, 1), (99, 1, 2)), images, 6)
    assert [s.index for s in chosen.right] == [0]
    assert chosen.says == "2 of them lie beyond the 20 test images"
    assert "no test images" in choose(graded((0, 1, 1)), None, 6).says
    assert choose(graded(), None, 6).says == ""
    assert choose(Metrics("m"), images, 6).says == ""


def unpacked(data: bytes) -> np.ndarray:
    """The pixels of a grey PNG whose lines have no filter; every checksum is checked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (told,) = struct.unpack_from(">I", data, at + 8 + length)
        assert told == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + length
    width, height, *rest = struct.unpack(">2I5B", chunks[b"IHDR"])
    assert rest == [8, 0, 0, 0, 0]
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width)
    assert not lines[:, 0].any()
    return lines[:, 1:]


@pytest.mark.parametrize("shape", [(28, 28), (1, 1), (3, 50)])
def test_a_png_holds_the_image(shape: tuple[int, int]):
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    kind, _, packed = png(image).partition(",")
    assert kind == "data:image/png;base64"
    np.testing.assert_array_equal(unpacked(base64.b64decode(packed)), image)


@pytest.mark.parametrize(
    ("shape", "small"),
    [((28, 28), (14, 14)), ((29, 28), (10, 10)), ((8, 8), (8, 8)), ((1, 30), (1, 10))],
)
def test_shrinking_fits_an_image_into_its_place(shape, small: tuple[int, int]):
    assert shrink(np.zeros(shape, np.uint8), 14).shape == small


def test_shrinking_takes_the_mean_of_a_block():
    image = np.array([[0, 100, 255, 255], [100, 200, 255, 255]], np.uint8)
    np.testing.assert_array_equal(shrink(image, 2), [[100, 255]])


def test_braille_has_a_dot_for_every_dot():
    for row, column, character in [(0, 0, "⠁"), (3, 0, "⡀"), (0, 1, "⠈"), (3, 1, "⢀")]:
        dots = np.zeros((4, 2), bool)
        dots[row, column] = True
        assert braille.text(dots) == [character]
    assert braille.text(np.ones((5, 3))) == ["⣿⡇", "⠉⠁"]
    assert braille.text(np.zeros((4, 4))) == ["  "]


def test_a_line_of_dots_leaves_no_gap():
    dots = np.zeros((9, 5), bool)
    braille.line(dots, (8, 0), (0, 4))
    assert dots.any(axis=1).all()
    assert dots[8, 0]
    assert dots[0, 4]


def test_images_are_found_in_a_data_set_directory(tmp_path: Path, images: np.ndarray):
    assert read_images(tmp_path) is None
    assert read_images(tmp_path / "none") is None
    write_idx(tmp_path / TEST_IMAGES, images)
    np.testing.assert_array_equal(read_images(tmp_path), images)


def test_labels_in_the_place_of_images_are_named(tmp_path: Path):
    write_idx(tmp_path / TEST_IMAGES, np.zeros(5, np.uint8))
    with pytest.raises(UsageError, match=r"holds \[5\]; wanted images"):
        read_images(tmp_path)
