"""A buffer that changed although the op does not own it."""

from dataclasses import replace

import numpy as np

from nndbg.diagnose import diagnose
from nndbg.reference import Bounded

from .scene import F, Scene, dense, numbers


def told(scene: Scene, name: str, after: np.ndarray, actual: np.ndarray | None = None):
    """The first diagnosis of `name`, which the op left as `after`; two empty texts for none."""
    before = scene.buffers()[name]
    known = scene.evidence(scene.right if actual is None else actual)
    image = bytearray(known.after[0x1000])
    at = known.addresses[name] - 0x1000
    image[at : at + after.nbytes] = after.astype(before.dtype).tobytes()
    stray = replace(
        known,
        part="",
        buffer=name,
        actual=after.astype(before.dtype),
        before=before,
        expected=Bounded(before.astype(np.float64), np.zeros(before.shape)),
        inputs={},
        after={0x1000: memoryview(bytes(image))},
    )
    found = diagnose(stray)
    return (found[0].kind, found[0].says) if found else ("", "")


BIAS, OLD = numbers(10, seed=5), numbers(12, 10, seed=6)
SCENE = dense(
    others={"h": OLD, "b2": BIAS, "db2": numbers(10, seed=8), "decay": np.asarray(F(0.1))}
)


def test_a_result_stored_into_a_second_buffer_is_told():
    assert told(SCENE, "h", SCENE.right) == ("wrong_destination", "op writes z into h too")


def test_an_element_that_becomes_zero_is_named():
    after = OLD.copy()
    after[3, 4] = 0
    assert told(SCENE, "h", after) == ("zero", "h[3, 4] becomes 0 in the interval of op")


def test_numbers_behind_the_op_s_own_buffer_are_an_overrun():
    after = OLD.copy()
    after.reshape(-1)[:9] = numbers(9, seed=9)
    assert told(SCENE, "h", after) == ("overrun", "op writes past the end of z into h")


def test_numbers_far_behind_it_are_none():
    after = OLD.copy()
    after.reshape(-1)[90:100] = numbers(10, seed=9)
    assert told(SCENE, "h", after)[0] == ""


def test_another_buffer_added_to_it_is_named_with_its_factor():
    change = np.asarray(F(0.1)) * BIAS
    assert told(SCENE, "db2", SCENE.others["db2"] + change) == (
        "added",
        "op adds decay times b2 to db2, which is none of its outputs",
    )
    assert told(SCENE, "db2", SCENE.others["db2"] + numbers(10, seed=12))[0] == ""
