"""What becomes of a right result: each story is told where it is true, and not where it is not."""

import numpy as np
import pytest

from .scene import F, dense, numbers, sgd

Z = dense(before=numbers(12, 10, seed=9))
RIGHT = Z.right


def put(array: np.ndarray, at: object, value: object) -> np.ndarray:
    changed = array.copy()
    changed[at] = value
    return changed


S = slice
BEFORE = numbers(12, 10, seed=9)


def spaced(stride: int) -> np.ndarray:
    """The rows of the right output, stored `stride` elements apart over what was there."""
    flat = np.concatenate([BEFORE.reshape(-1), np.zeros(12 * stride, F)])
    for n, row in enumerate(RIGHT):
        flat[n * stride : n * stride + 10] = row
    return flat[:120].reshape(12, 10)


@pytest.mark.parametrize(
    ("actual", "kind", "says"),
    [
        (BEFORE, "unwritten", "op leaves z as it was"),
        (put(RIGHT, S(5, 9), BEFORE[5:9]), "unwritten", "these elements of z as they were"),
        (put(RIGHT, (S(None), S(8, 10)), BEFORE[:, 8:]), "unwritten", "columns, 10 mod 8"),
        (put(RIGHT, S(8, 12), BEFORE[8:]), "unwritten", "rows, 12 mod 8"),
        (put(RIGHT, (S(None), 3), 0), "zero", "op leaves 0 in z"),
        (-RIGHT, "sign", "z has the wrong sign"),
        (np.abs(RIGHT), "sign", "absolute values"),
        (RIGHT + BEFORE, "not_cleared", "added to what it held before"),
        (RIGHT.T.reshape(12, 10), "transposed", "[10, 12]"),
        (put(RIGHT, S(1, None), RIGHT[:-1]), "shifted", "one row before it"),
        (np.roll(RIGHT.reshape(-1), -1).reshape(12, 10), "shifted", "one place after it"),
        (spaced(16), "wrong_stride", "16 elements apart instead of 10 (whole vectors)"),
        (spaced(20), "wrong_stride", "20 elements apart instead of 10 (the size in)"),
        (spaced(11), "wrong_stride", "11 elements apart instead of 10"),
    ],
)
def test_what_became_of_it_is_told(actual: np.ndarray, kind: str, says: str):
    told = Z.first(actual)
    assert told[0] == kind
    assert says in told[1]


@pytest.mark.parametrize(
    ("actual", "kind"),
    [
        (put(RIGHT, S(5, 9), 1.0001 * BEFORE[5:9]), "unwritten"),
        (put(RIGHT, (S(None), 3), 1e-3), "zero"),
        (-1.001 * RIGHT, "sign"),
        (RIGHT + 0.99 * BEFORE, "not_cleared"),
        (1.001 * RIGHT.T.reshape(12, 10), "transposed"),
        (put(RIGHT, S(1, None), RIGHT[:-1] + F(0.01)), "shifted"),
        (1.001 * spaced(16), "wrong_stride"),
    ],
)
def test_what_nearly_became_of_it_is_not_told(actual: np.ndarray, kind: str):
    assert kind not in [d.kind for d in Z.told(actual)]


def test_a_tail_is_only_what_is_left_by_a_vector():
    says = Z.first(put(RIGHT, (S(None), S(7, 10)), BEFORE[:, 7:]))[1]
    assert "mod" not in says


def test_elements_that_lie_8_bytes_apart_are_found():
    flat = BEFORE.reshape(-1).copy()
    flat[::2] = RIGHT.reshape(-1)[:60]
    told = Z.first(flat.reshape(12, 10))
    assert told[0] == "wrong_stride"
    assert "2 places apart" in told[1]


def test_a_result_that_landed_in_another_buffer_is_found():
    scene = dense(before=BEFORE, others={"z2": np.zeros((20, 10), F)})
    evidence = scene.evidence(BEFORE)
    after = bytearray(evidence.after[0x1000])
    at = evidence.addresses["z2"] - 0x1000
    after[at : at + RIGHT.nbytes] = RIGHT.tobytes()
    told = scene.first(BEFORE, after={0x1000: memoryview(after)})
    assert told == ("wrong_destination", "op writes into z2 what belongs into z")


def test_a_buffer_that_another_change_hit_is_no_destination():
    scene = dense(before=BEFORE, others={"z2": np.zeros((20, 10), F)})
    evidence = scene.evidence(BEFORE)
    after = bytearray(evidence.after[0x1000])
    at = evidence.addresses["z2"] - 0x1000
    after[at : at + RIGHT.nbytes] = (2 * RIGHT).tobytes()
    assert scene.first(BEFORE, after={0x1000: memoryview(after)})[0] == "unwritten"


def test_numbers_of_another_buffer_are_named():
    scene = dense(others={"z2": numbers(20, 10, seed=7)})
    taken = scene.others["z2"][:12]
    assert scene.first(taken) == ("wrong_buffer", "z holds the numbers of z2")
    assert scene.first(taken + F(0.01))[0] == ""


def test_a_product_with_a_foreign_mask_is_named():
    mask = (numbers(12, 10, seed=8) > 0).astype(F) * F(1.25)
    scene = dense(others={"mask1": mask})
    assert scene.first(RIGHT * mask) == ("multiplied", "z is multiplied by mask1")
    assert scene.first(RIGHT * (mask + F(0.1)))[0] != "multiplied"


def test_an_op_in_place_that_is_done_twice_is_told_from_one_that_is_not():
    scene = sgd()
    param, grad = scene.inputs["param"], scene.inputs["grad"]
    assert scene.first(param - F(0.02) * grad)[0] == "applied_twice"
    assert scene.first(param - F(0.03) * grad)[0] == "scale"
