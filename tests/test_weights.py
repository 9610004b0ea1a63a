"""Weights files: what is written is read again, and damage is named."""

from __future__ import annotations

import os
import struct
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nndbg.errors import UsageError
from nndbg.weights import (
    MOST_BYTES,
    MOST_LAYERS,
    Weights,
    format_weights,
    parse_weights,
    read_weights,
    write_weights,
)


def network(*sizes: int) -> Weights:
    rng = np.random.default_rng(7)
    weights: Weights = {}
    for layer, (i, o) in enumerate(pairwise(sizes), 1):
        weights[f"W{layer}"] = rng.standard_normal((i, o)).astype(np.float32)
        weights[f"b{layer}"] = rng.standard_normal(o).astype(np.float32)
    return weights


def sealed(body: bytes) -> bytes:
    """The bytes with the checksum that belongs to them."""
    return body + struct.pack("<I", zlib.crc32(body))


GOOD = format_weights(network(3, 4, 2))


@pytest.mark.parametrize("sizes", [(1, 1), (3, 4, 2), (784, 128, 64, 10), (1,) * (MOST_LAYERS + 1)])
def test_what_is_written_is_read_again(tmp_path: Path, sizes: tuple[int, ...]):
    weights = network(*sizes)
    write_weights(tmp_path / "w", weights)
    found = read_weights(tmp_path / "w")
    assert list(found) == list(weights)
    for name, array in weights.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], array)


def test_the_layout_is_the_one_that_trainers_write():
    body = b"NNWEIGHT" + struct.pack("<IIII", 1, 1, 2, 3)
    body += struct.pack("<9f", *range(9))
    found = parse_weights(body + struct.pack("<I", zlib.crc32(body)), "w")
    np.testing.assert_array_equal(found["W1"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(found["b1"], [6, 7, 8])


def test_nan_and_infinity_come_through():
    weights = {"W1": np.array([[np.nan, np.inf]], np.float32), "b1": np.zeros(2, np.float32)}
    found = parse_weights(format_weights(weights), "w")["W1"]
    assert np.isnan(found[0, 0])
    assert found[0, 1] == np.inf


def test_the_arrays_are_those_of_the_file_and_stay_so():
    with pytest.raises(ValueError, match="read-only"):
        parse_weights(GOOD, "w")["W1"][0, 0] = 1


def test_a_strided_array_is_written_in_its_own_order():
    W = np.arange(6, dtype=np.float32).reshape(2, 3).T
    data = format_weights({"W1": W, "b1": np.zeros(2, np.float32)})
    np.testing.assert_array_equal(parse_weights(data, "w")["W1"], W)


DAMAGE = {
    "empty": (b"", "is cut short: its 0 bytes"),
    "a piece of the magic": (GOOD[:5], "is cut short: its 5 bytes"),
    "another kind of file": (b"\x7fELF" + GOOD, r"starts with 7f 45 4c 46 .*\(NNWEIGHT\)"),
    "one wrong byte of the magic": (b"NNWEIGHS" + GOOD[8:], "is not a weights file"),
    "cut within the header": (GOOD[:13], "13 bytes end within its 16-byte header"),
    "version 2": (GOOD[:8] + b"\2\0\0\0" + GOOD[12:], "of version 2; wanted 1"),
    "big endian": (GOOD[:8] + b"\0\0\0\1" + GOOD[12:], "of version 16777216"),
    "no layers": (GOOD[:12] + b"\0\0\0\0" + GOOD[16:], "holds 0 layers"),
    "too many layers": (
        GOOD[:12] + struct.pack("<I", MOST_LAYERS + 1),
        f"holds {MOST_LAYERS + 1} layers; wanted 1 to {MOST_LAYERS}",
    ),
    "layers beyond reason": (GOOD[:12] + b"\xff" * 4 + GOOD[16:], "holds 4294967295 layers"),
    "cut within the sizes": (GOOD[:27], "end within the sizes of its 2 layers"),
    "a size of 0": (
        GOOD[:20] + b"\0\0\0\0" + GOOD[24:],
        "a layer of size 0: 3 -> 0 -> 2",
    ),
    "sizes beyond reason": (
        GOOD[:16] + b"\xff" * 12 + GOOD[28:],
        rf"at most {MOST_BYTES:,}. Its header is damaged",
    ),
    "just too large": (
        sealed(b"NNWEIGHT" + struct.pack("<IIII", 1, 1, 1 << 14, 1 << 14)),
        "Its header is damaged",
    ),
    "cut within the numbers": (GOOD[:-20], r"cut short: its layers 3 -> 4 -> 2 take 136 bytes"),
    "one byte missing": (GOOD[:-1], "is cut short"),
    "one byte too many": (GOOD + b"\0", "is too long"),
    "other sizes": (sealed(GOOD[:16] + b"\4" + GOOD[17:-4]), "cut short: its layers 4 -> 4 -> 2"),
    "a flipped bit": (GOOD[:40] + bytes([GOOD[40] ^ 1]) + GOOD[41:], "is damaged: its checksum"),
    "a wrong checksum": (GOOD[:-4] + b"\0\0\0\0", "its checksum is 00000000"),
}


@pytest.mark.parametrize(("data", "says"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_named(tmp_path: Path, data: bytes, says: str):
    path = tmp_path / "weights.bin"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=says) as error:
        read_weights(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("at", range(0, len(GOOD) * 8, 7))
def test_no_flipped_bit_goes_unseen(at: int):
    data = bytearray(GOOD)
    data[at // 8] ^= 1 << at % 8
    with pytest.raises(UsageError):
        parse_weights(bytes(data), "w")


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_no_cut_goes_unseen(length: int):
    with pytest.raises(UsageError, match="cut short"):
        parse_weights(GOOD[:length], "w")


def test_what_is_not_there_or_not_a_file_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_weights(tmp_path / "none")
    with pytest.raises(UsageError, match="is not a file"):
        read_weights(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is not a file"):
        read_weights(tmp_path / "pipe")


def test_a_file_beyond_reason_is_not_read(tmp_path: Path):
    with (tmp_path / "w").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(UsageError, match="has 1,073,741,825 bytes"):
        read_weights(tmp_path / "w")


def f32(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


UNFIT = {
    "nothing": ({}, "cannot hold nothing"),
    "no bias": ({"W1": f32(2, 3)}, "cannot hold W1;"),
    "other names": ({"W1": f32(2, 3), "bias": f32(3)}, "cannot hold W1, bias"),
    "a layer left out": (
        {"W1": f32(2, 3), "b1": f32(3), "W3": f32(3, 1), "b3": f32(1)},
        "cannot hold",
    ),
    "doubles": ({"W1": np.zeros((2, 3)), "b1": f32(3)}, "Layer 1 is float64 and float32"),
    "a short bias": ({"W1": f32(2, 3), "b1": f32(2)}, r"W1 is \[2, 3\] and b1 \[2\]"),
    "a flat weight": ({"W1": f32(6), "b1": f32(3)}, "Layer 1 does not fit"),
    "an empty layer": ({"W1": f32(0, 3), "b1": f32(3)}, "Layer 1 does not fit"),
    "layers that do not meet": (
        {"W1": f32(2, 3), "b1": f32(3), "W2": f32(4, 1), "b2": f32(1)},
        r"Layer 2 does not fit: W2 is \[4, 1\] and b2 \[1\] after 3 outputs",
    ),
}


@pytest.mark.parametrize(("weights", "says"), UNFIT.values(), ids=UNFIT)
def test_what_is_no_network_is_not_written(tmp_path: Path, weights: Weights, says: str):
    with pytest.raises(UsageError, match=says):
        write_weights(tmp_path / "w", weights)
    assert not list(tmp_path.iterdir())
