"""A story that explains nothing more than chance is not told."""

import numpy as np
import pytest

from nndbg.diagnose import diagnose, not_reached

from .scene import F, Scene, dense, numbers, sgd

OTHERS = {"h": numbers(12, 20, seed=13), "b2": numbers(10, seed=11), "mask": numbers(12, 10)}


def scenes() -> list[Scene]:
    each = numbers(12, 10, seed=1)
    return [
        dense(others=OTHERS, before=numbers(12, 10, seed=3)),
        sgd(),
        Scene("relu", {"z": each}, names={"h": "h1"}, before=numbers(12, 10, seed=3)),
        Scene("relu_grad", {"grad": each, "z": numbers(12, 10, seed=2)}, others=OTHERS),
        Scene("softmax", {"z": each}, names={"z": "z3", "p": "p"}),
        Scene("dense_grad_bias", {"grad": numbers(64, 10)}),
        Scene("dense_grad_weight", {"x": numbers(9, 12), "grad": numbers(9, 7, seed=1)}),
        Scene("dropout", {"h": each, "mask": np.where(each > 0, F(1.25), F(0))}),
    ]


KINDS = [scene.kind for scene in scenes()]


@pytest.mark.parametrize("scene", scenes(), ids=KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_garbage_has_no_story(scene: Scene, seed: int):
    garbage = np.random.default_rng(100 + seed).standard_normal(scene.right.shape)
    assert scene.told(garbage * np.abs(scene.right).mean()) == ()


@pytest.mark.parametrize("scene", scenes(), ids=KINDS)
@pytest.mark.parametrize("bounds", [1.5, 3, 8])
def test_what_lies_a_few_bounds_off_has_no_story(scene: Scene, bounds: float):
    expected = scene.expected
    signs = np.random.default_rng(3).choice([-1, 1], expected.shape)
    noisy = expected.value + bounds * signs * expected.error
    assert scene.told(noisy) == ()


@pytest.mark.parametrize("scene", scenes(), ids=KINDS)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_random_numbers_have_no_story(scene: Scene, count: int):
    rng = np.random.default_rng(count)
    wrong = scene.right.copy()
    at = rng.choice(wrong.size, count, replace=False)
    wrong.reshape(-1)[at] = rng.standard_normal(count)
    assert scene.told(wrong) == ()


def test_what_is_right_has_no_story():
    for scene in scenes():
        assert scene.told(scene.right) == ()


def test_a_story_about_one_element_is_told_where_its_number_is_exact():
    scene = dense(before=numbers(12, 10, seed=3))
    wrong = scene.right.copy()
    wrong[4, 5] = scene.before[4, 5]
    assert [(d.kind, d.explains, d.of) for d in scene.told(wrong)] == [("unwritten", 1, 1)]


def test_a_story_tells_how_much_it_explains():
    scene = dense()
    wrong = scene.right * 2
    wrong[0, :3] = (0.123, 0.456, 0.789)
    told = scene.told(wrong)
    assert [(d.kind, d.explains, d.of) for d in told] == [("scale", 117, 120)]


def test_a_story_that_explains_a_tenth_is_not_told():
    scene = dense()
    wrong = np.random.default_rng(5).standard_normal((12, 10))
    wrong[:, 3] = 2 * scene.right[:, 3]
    assert scene.told(wrong) == ()


def test_an_op_that_never_came_to_its_end_is_a_story_of_its_own():
    told = not_reached("dense2", 3, 4096)
    assert (told.kind, told.explains, told.of) == ("not_reached", 4096, 4096)
    assert told.says == "dense2 was left out of step 3, or left before its end"


def test_large_outputs_are_tried_on_a_sample_and_judged_whole():
    scene = dense(64, 784, 128, others={"W_old": numbers(784, 128, seed=12)})
    wrong = scene.inputs["x"] @ scene.others["W_old"] + scene.inputs["b"]
    (first, *_) = diagnose(scene.evidence(wrong))
    assert (first.kind, first.explains) == ("wrong_operand", first.of)
    assert first.of > 64 * 128 - 10
