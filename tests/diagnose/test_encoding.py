"""Numbers that went through another type on their way."""

import struct

import numpy as np
import pytest

from .scene import F, Scene, dense, numbers

Z = dense()
WIDE = Scene("relu", {"z": np.random.default_rng(1).random((12, 10)) - 0.5}, names={"h": "h1"})


def bfloat16(array: np.ndarray, rounded: bool = False) -> np.ndarray:
    pattern = array.astype(F).view(np.uint32)
    return ((pattern + np.uint32(0x8000 * rounded)) & np.uint32(0xFFFF0000)).view(F)


@pytest.mark.parametrize(
    ("actual", "says"),
    [
        (Z.right.astype(np.float16), "z went through float16"),
        (bfloat16(Z.right), "z is cut off to bfloat16"),
        (bfloat16(Z.right, rounded=True), "z is rounded to bfloat16"),
        (np.rint(Z.right), "z is rounded to whole numbers"),
        (np.trunc(Z.right), "z is cut off to whole numbers"),
    ],
)
def test_a_narrower_type_is_told(actual: np.ndarray, says: str):
    assert Z.first(actual) == ("truncated", says)


@pytest.mark.parametrize(
    "actual",
    [Z.right.astype(np.float16) * F(1.001), np.rint(Z.right * 7) / 7, Z.right + F(0.002)],
    ids=["float16 and a factor", "sevenths", "an offset"],
)
def test_what_only_looks_coarse_is_not(actual: np.ndarray):
    assert "truncated" not in [d.kind for d in Z.told(actual)]


def test_int8_wraps_around():
    x = np.asarray(numbers(12, 10) * 200, F)
    scene = Scene("relu", {"z": x}, names={"h": "h1"})
    told = scene.first(np.trunc(scene.right).astype(np.int32).astype(np.int8))
    assert told[0] == "truncated"
    assert "int8" in told[1]


def test_float64_through_float32_is_told():
    assert WIDE.first(WIDE.right.astype(F)) == ("truncated", "h1 went through float32")
    assert WIDE.first(WIDE.right.astype(F) * 1.01)[0] != "truncated"


def test_float32_stored_into_float64_is_told():
    low = WIDE.right.astype(F).view(np.uint32).astype(np.uint64).view(np.float64)
    told = WIDE.first(low)
    assert told == ("truncated", "op stores float32 into the lower halves of h1")


def test_float64_stored_into_float32_is_told():
    wide = Z.right.astype(np.float64).tobytes()[: Z.right.nbytes]
    halves = np.frombuffer(wide, F).reshape(Z.right.shape)
    told = Z.first(halves)
    assert told[0] == "truncated"
    assert "stores float64 into z" in told[1]
    assert struct.calcsize("d") == 2 * halves.itemsize
    assert Z.first(np.frombuffer(wide, np.uint32)[::-1].copy().view(F).reshape(12, 10))[0] == ""
