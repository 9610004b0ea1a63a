"""A set of elements, written as a person would write it in NumPy."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nndbg.where import where


def mask(shape: tuple[int, ...], *true: object) -> np.ndarray:
    """A mask of `shape` that is true at each of the indices or slices."""
    result = np.zeros(shape, bool)
    for at in true:
        result[at] = True
    return result


S = slice
ALL = S(None)

REGULAR = [
    ("one element", mask((4, 8), (3, 5)), "z[3, 5]"),
    ("the first element", mask((4, 8), (0, 0)), "z[0, 0]"),
    ("the last element", mask((4, 8), (-1, -1)), "z[3, 7]"),
    ("everything", mask((4, 8), ...), "z[:, :]"),
    ("a row", mask((4, 8), 2), "z[2, :]"),
    ("a column", mask((4, 8), (ALL, 7)), "z[:, 7]"),
    ("the last columns", mask((4, 8), (ALL, S(5, 8))), "z[:, 5:8]"),
    ("the first rows", mask((4, 8), S(0, 3)), "z[0:3, :]"),
    ("a block", mask((4, 8), (S(1, 3), S(2, 6))), "z[1:3, 2:6]"),
    ("every second column", mask((4, 8), (ALL, S(1, None, 2))), "z[:, 1::2]"),
    ("every third row", mask((10, 2), S(0, None, 3)), "z[::3, :]"),
    ("every eighth column", mask((4, 64), (ALL, S(7, None, 8))), "z[:, 7::8]"),
    ("three rows of a stride that ends early", mask((9, 2), 0, 2, 4), "z[0:5:2, :]"),
    ("each half's first row", mask((8, 2), 0, 4), "z[::4, :]"),
    ("strides on both axes", mask((6, 6), (S(0, None, 2), S(1, None, 3))), "z[::2, 1::3]"),
    ("an element of a vector", mask((9,), 4), "z[4]"),
    ("a whole vector", mask((9,), ALL), "z[:]"),
    ("the tail of a vector", mask((9,), S(6, 9)), "z[6:9]"),
    ("a vector of one", mask((1,), 0), "z[:]"),
    ("a row of a matrix with one row", mask((1, 4), 0), "z[:, :]"),
    ("an element of a matrix with one row", mask((1, 4), (0, 2)), "z[:, 2]"),
    ("a plane", mask((2, 3, 4), 1), "z[1, :, :]"),
    ("a scalar", np.array(True), "z"),
    ("two neighbours", mask((9,), 3, 4), "z[3:5]"),
]

TWO = [
    ("two rows far apart", mask((8, 2), 1, 6), "z[1, :] and z[6, :]"),
    ("the border", mask((8, 6), 7, (ALL, 5)), "z[7, :] and z[:, 5]"),
    ("both ends of a row", mask((4, 8), (ALL, S(0, 2)), (ALL, 7)), "z[:, 0:2] and z[:, 7]"),
    ("an L", mask((4, 8), (0, 0), (0, 1), (1, 0)), "z[0, 0:2] and z[1, 0]"),
    ("uneven gaps", mask((9,), 1, 2, 6), "z[1:3] and z[6]"),
    ("one row more", mask((64, 4), (S(0, 40), 1), (50, 1)), "z[0:40, 1] and z[50, 1]"),
    ("two far corners", mask((8, 8), (1, 1), (6, 6)), "z[1, 1] and z[6, 6]"),
    (
        "full rows and then half of one",
        mask((8, 8), S(0, 3), (3, S(0, 4))),
        "z[0:3, :] and z[3, 0:4]",
    ),
]

WORDS = [
    (
        "the upper half of each vector",
        mask((4, 64), *((ALL, S(i, i + 4)) for i in range(4, 64, 8))),
        "z[:, :], columns 4 to 7 of every 8",
    ),
    (
        "two rows of every tile of four",
        mask((16, 3), *(S(i, i + 2) for i in range(0, 16, 4))),
        "z[:, :], rows 0 to 1 of every 4",
    ),
    (
        "a pattern along a vector",
        mask((32,), *(S(i, i + 3) for i in range(1, 32, 8))),
        "z[:], elements 1 to 3 of every 8",
    ),
    ("a diagonal", np.eye(5, dtype=bool), "the diagonal of z"),
    ("a triangle", np.tri(5, 7, dtype=bool), "z on and below its diagonal"),
    ("a strict triangle", np.tri(5, 5, -1, dtype=bool), "z below its diagonal"),
    ("the other triangle", ~np.tri(6, 5, -1, dtype=bool), "z on and above its diagonal"),
    ("the other strict triangle", ~np.tri(5, 5, dtype=bool), "z above its diagonal"),
]

SCATTERED = [
    ("all but one", ~mask((4, 8), (1, 1)), "31 of 32 in z[:, :]"),
    ("three corners", mask((8, 8), (1, 1), (6, 6), (1, 6)), "3 of 36 in z[1:7, 1:7]"),
    ("a hole in every row", mask((3, 9), (0, 0), (0, 5), (1, 3), (2, 8)), "4 of 27 in z[:, :]"),
    (
        "some of a pattern",
        mask((2, 32), *((i % 2, S(i, i + 2)) for i in range(6, 32, 8)), (0, S(14, 16)), (1, 6)),
        "9 of 16 in z[:, :], columns 6 to 7 of every 8",
    ),
]

NOTHING = [
    ("nothing", mask((4, 8)), ""),
    ("a scalar that is false", np.array(False), ""),
    ("an empty array", mask((0, 4)), ""),
]


@pytest.mark.parametrize(
    ("true", "text"),
    [case[1:] for case in REGULAR + TWO + WORDS + SCATTERED + NOTHING],
    ids=[case[0] for case in REGULAR + TWO + WORDS + SCATTERED + NOTHING],
)
def test_elements_are_named_as_a_slice(true: np.ndarray, text: str):
    assert where("z", true) == text


EXACT = REGULAR + TWO


@pytest.mark.parametrize(("true", "text"), [c[1:] for c in EXACT], ids=[c[0] for c in EXACT])
def test_numpy_finds_the_same_elements_under_that_name(true: np.ndarray, text: str):
    assert np.array_equal(found(text, true.shape), true)


def found(text: str, shape: tuple[int, ...]) -> np.ndarray:
    """The elements that NumPy finds under the slices of `text`."""
    z = np.zeros(shape, bool)
    for place in text.split(" and "):
        exec(f"{place}{'' if '[' in place else '[...]'} = True", {"z": z})
    return z


axis = st.integers(1, 20)


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    """A mask as mistakes leave them: one box or a few, at any stride, or any elements at all."""
    shape = tuple(draw(st.lists(axis, min_size=1, max_size=3)))
    true = np.zeros(shape, bool)
    if draw(st.booleans()):
        return draw(arrays(bool, shape))
    for _ in range(draw(st.integers(1, 3))):
        true[
            tuple(
                S(draw(st.integers(0, n - 1)), draw(st.integers(1, n)), draw(st.integers(1, 9)))
                for n in shape
            )
        ] = True
    return true


@given(masks())
def test_a_name_without_a_share_or_words_is_exact(true: np.ndarray):
    text = where("z", true)
    if not true.any():
        assert text == ""
    elif not re.search(r" of |diagonal", text):
        assert np.array_equal(found(text, true.shape), true), text


@given(masks())
def test_a_share_counts_the_elements_and_its_place_holds_them_all(true: np.ndarray):
    text = where("z", true)
    share = re.fullmatch(r"(\d+) of (\d+) in (z\[[^]]*\])(, .*)?", text)
    if share:
        assert int(share[1]) == np.count_nonzero(true) < int(share[2])
        place = found(share[3], true.shape)
        assert not (true & ~place).any()
        assert share[4] or np.count_nonzero(place) == int(share[2])


@given(masks())
def test_a_name_is_never_longer_than_a_line(true: np.ndarray):
    assert len(where("weights_of_layer", true)) <= 79
