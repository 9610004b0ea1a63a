"""Functions of single elements and masks: left out, on top, turned around."""

import numpy as np
import pytest

from .scene import F, Scene, dense, numbers

Z = numbers(12, 10, seed=1)
GRAD = numbers(12, 10, seed=2)
RELU = Scene("relu", {"z": Z}, names={"z": "z1", "h": "h1"})
BACK = Scene("relu_grad", {"grad": GRAD, "z": Z}, names={"grad": "grad_h1", "z": "z1"})
MASK = (numbers(12, 10, seed=3) > 0).astype(F) * F(1.25)
DROP = Scene("dropout", {"h": Z, "mask": MASK}, names={"h": "h1", "mask": "mask1", "out": "h1"})


@pytest.mark.parametrize(
    ("scene", "actual", "kind", "says"),
    [
        (RELU, Z, "activation_missing", "relu is not applied: h1 is z1 itself"),
        (BACK, GRAD, "mask_ignored", "z1 is ignored: out is grad_h1 itself"),
        (BACK, np.where(Z > 0, 0, GRAD), "mask_inverted", "keeps what it should drop"),
        (DROP, Z * MASK * MASK, "applied_twice", "op is done twice"),
        (dense(), np.maximum(dense().right, 0), "activation_applied", "relu is applied to z"),
    ],
)
def test_the_misuse_is_told(scene: Scene, actual: np.ndarray, kind: str, says: str):
    told = scene.first(actual)
    assert told[0] == kind
    assert says in told[1]


@pytest.mark.parametrize(
    ("scene", "actual", "kind"),
    [
        (RELU, Z + F(0.01), "activation_missing"),
        (BACK, GRAD * F(1.01), "mask_ignored"),
        (BACK, np.where(Z > 0, 0, F(1.1) * GRAD), "mask_inverted"),
        (dense(), np.maximum(dense().right, -0.5), "activation_applied"),
    ],
)
def test_what_nearly_is_one_is_not_told(scene: Scene, actual: np.ndarray, kind: str):
    assert kind not in [d.kind for d in scene.told(actual)]


def drawn(rate: float) -> Scene:
    inputs = {
        "mask": np.zeros((16, 10), F),
        "state": np.asarray(np.uint64(7)),
        "rate": np.asarray(F(rate)),
    }
    names = {"mask": "mask1", "state": "state1", "rate": "dropout_rate"}
    return Scene("dropout_mask", inputs, names=names)


def test_a_mask_that_keeps_what_it_should_drop_is_told():
    scene = drawn(0.2)
    turned = np.where(scene.right > 0, 0, scene.right.max())
    assert scene.first(turned) == ("mask_inverted", "mask1 has 0 and 1.25 in each other's place")


def test_a_mask_of_other_draws_is_no_inverted_one():
    other = Scene("dropout_mask", {**drawn(0.2).inputs, "state": np.asarray(np.uint64(8))})
    assert drawn(0.2).first(other.right)[0] not in ("mask_inverted", "unwritten", "zero")
