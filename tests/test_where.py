"""A set of elements, written as a person would write it in NumPy."""

import numpy as np
import pytest

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
    ("every second column", mask((4, 8), (ALL, S(1, None, 2))), "z[:, 1:8:2]"),
    ("every third row", mask((10, 2), S(0, None, 3)), "z[0:10:3, :]"),
    ("two rows far apart", mask((8, 2), 1, 6), "z[1:7:5, :]"),
    ("strides on both axes", mask((6, 6), (S(0, None, 2), S(1, None, 3))), "z[0:5:2, 1:5:3]"),
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

SCATTERED = [
    ("a diagonal", mask((4, 4), *((i, i) for i in range(4))), "4 of 16 in z[:, :]"),
    ("an L", mask((4, 8), (0, 0), (0, 1), (1, 0)), "3 of 4 in z[0:2, 0:2]"),
    ("uneven gaps", mask((9,), 1, 2, 6), "3 of 6 in z[1:7]"),
    ("one row more", mask((64, 4), (S(0, 40), 1), (50, 1)), "41 of 51 in z[0:51, 1]"),
    ("all but one", ~mask((4, 8), (1, 1)), "31 of 32 in z[:, :]"),
    ("a stride with a hole", mask((9, 2), (0, 0), (4, 0), (8, 0), (4, 1)), "4 of 18 in z[:, :]"),
    ("two far corners", mask((8, 8), (1, 1), (6, 6)), "2 of 36 in z[1:7, 1:7]"),
]

NOTHING = [
    ("nothing", mask((4, 8)), ""),
    ("a scalar that is false", np.array(False), ""),
    ("an empty array", mask((0, 4)), ""),
]


@pytest.mark.parametrize(
    ("true", "text"),
    [case[1:] for case in REGULAR + SCATTERED + NOTHING],
    ids=[case[0] for case in REGULAR + SCATTERED + NOTHING],
)
def test_elements_are_named_as_a_slice(true: np.ndarray, text: str):
    assert where("z", true) == text


@pytest.mark.parametrize(("true", "text"), [c[1:] for c in REGULAR], ids=[c[0] for c in REGULAR])
def test_numpy_finds_the_same_elements_under_that_name(true: np.ndarray, text: str):
    z = np.zeros(true.shape, bool)
    namespace = {"z": z}
    exec(f"{text}{'' if '[' in text else '[...]'} = True", namespace)
    assert np.array_equal(z, true)
