"""Numbers as NumPy text: what is pasted is what was copied."""

import numpy as np
import pytest

from nndbg.errors import UsageError
from nndbg.tui.clipping import MOST_ELEMENTS, as_numpy, parse_slice, sliced


@pytest.mark.parametrize(
    "array",
    [
        np.array(0.1, "<f4"),
        np.array([1 / 3, -0.0, 1e-45, 3.4e38], "<f4"),
        np.array([[np.nan, np.inf], [-np.inf, 2.5]], "<f8"),
        np.array([0, 255], "u1"),
        np.array([-(2**63), 2**63 - 1], "<i8"),
        np.random.default_rng(3).normal(size=(40, 100)).astype("<f4"),
    ],
)
def test_the_text_makes_the_same_array(array):
    again = eval(as_numpy(array), {"np": np})
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert np.array_equal(np.atleast_1d(again).view("u1"), np.atleast_1d(array).view("u1"))


def test_what_is_too_large_for_a_clipboard_is_refused():
    with pytest.raises(UsageError, match="too many for a clipboard"):
        as_numpy(np.zeros(MOST_ELEMENTS + 1))


@pytest.mark.parametrize(
    "text", ["[0:2, 1]", "1", "", ":", "-1", "::2, ::-1", "[1:, :2]", " 0 , 1 "]
)
def test_a_slice_is_what_numpy_makes_of_it(text):
    array = np.arange(12).reshape(3, 4)
    inside = text.strip(" []")
    wanted = eval(f"array[{inside}]") if inside else array
    assert np.array_equal(sliced(array, text), wanted)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0, 1, 2", "has 3 axes, and the buffer 2"),
        ("7", "out of bounds"),
        ("5:", "names no element"),
        ("a", "is no part of a slice"),
        ("0:1:0", "zero"),
        ("__import__('os')", "is no part of a slice"),
        (",", "is no part of a slice"),
    ],
)
def test_what_is_no_slice_is_refused_in_words(text, says):
    with pytest.raises(UsageError, match=says):
        sliced(np.zeros((3, 4)), text)


def test_a_scalar_has_no_axes():
    assert parse_slice("", 0) == ()
