"""How a batch is taken out of a data set, and what is done with its labels."""

import numpy as np
import pytest

from .scene import F, Scene

RNG = np.random.default_rng(3)
IMAGES = RNG.integers(0, 256, (40, 12), dtype=np.uint8)
LABELS = RNG.integers(0, 10, 40, dtype=np.uint8)
ORDER = RNG.permutation(38)[:16].astype(np.uint32) + np.uint32(1)
X = Scene(
    "gather",
    {"table": IMAGES, "index": ORDER},
    names={"table": "images", "index": "order", "out": "x"},
    parameters={"scale": 1 / 255},
)
Y = Scene(
    "gather",
    {"table": LABELS, "index": ORDER},
    names={"table": "labels", "index": "order", "out": "y"},
)


def scaled(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(F) / F(255)


FLAT = IMAGES.reshape(-1)


@pytest.mark.parametrize(
    ("actual", "kind", "says"),
    [
        (scaled(IMAGES[:16]), "wrong_sample", "order is ignored"),
        (scaled(IMAGES[[ORDER[0]] * 16]), "wrong_sample", "every sample is the first of order"),
        (scaled(IMAGES[ORDER + 1]), "wrong_sample", "the one after that of order"),
        (scaled(IMAGES[ORDER - 1]), "wrong_sample", "the one before that of order"),
        (scaled(IMAGES.view(np.int8)[ORDER]), "signed", "images is read as signed numbers"),
        (IMAGES[ORDER].astype(F), "scale", "255 times"),
        (IMAGES[ORDER].astype(F) / F(256), "scale", "255/256"),
        (scaled(FLAT[(ORDER * 12 + 4)[:, None] + np.arange(12)]), "offset", "4 elements too late"),
    ],
)
def test_what_was_taken_is_told(actual: np.ndarray, kind: str, says: str):
    told = X.first(actual)
    assert told[0] == kind
    assert says in told[1]


@pytest.mark.parametrize(
    "actual",
    [scaled(IMAGES[RNG.permutation(40)[:16]]), RNG.random((16, 12)), scaled(255 - IMAGES[ORDER])],
    ids=["other samples", "garbage", "a negative"],
)
def test_what_was_taken_otherwise_is_not_told(actual: np.ndarray):
    assert X.told(actual) == ()


def test_labels_of_the_file_s_order_are_told_from_random_ones():
    assert Y.first(LABELS[:16])[0] == "wrong_sample"
    assert Y.first(LABELS[ORDER + 1])[0] == "wrong_sample"
    # One in ten is met by chance.
    for seed in range(20):
        garbage = np.random.default_rng(seed).integers(0, 10, 16, dtype=np.uint8)
        assert Y.told(garbage) == ()


def test_labels_stored_as_dwords_are_told():
    stored = np.zeros(16, np.uint8)
    stored[::4] = Y.right[:4]
    assert Y.first(stored)[0] == "wrong_stride"


def test_a_table_that_is_another_is_named():
    tests = RNG.integers(0, 256, (60, 12), dtype=np.uint8)
    tables = {"images": IMAGES, "test_images": tests}
    told = X.first(scaled(tests[ORDER]), tables=tables)
    assert told == ("wrong_operand", "op reads test_images where images is meant")


P = RNG.dirichlet(np.ones(10), 16).astype(F)
LABEL = RNG.integers(0, 9, 16, dtype=np.uint8)
GRAD = Scene(
    "softmax_cross_entropy_grad",
    {"p": P, "y": LABEL},
    names={"grad": "grad_z3"},
    sizes={"batch": 16},
)


def onehot(y: np.ndarray) -> np.ndarray:
    return (y[:, None] == np.arange(10)).astype(np.float64)


@pytest.mark.parametrize(
    ("actual", "kind", "says"),
    [
        (P / 16, "target_missing", "1 is not subtracted at the label"),
        ((P - onehot(np.full(16, LABEL[0]))) / 16, "wrong_label", "the label of row 0"),
        ((P - onehot(np.roll(LABEL, -1))) / 16, "wrong_label", "the row after it"),
        ((P - onehot(LABEL + 1)) / 16, "wrong_label", "the class after y"),
        ((onehot(LABEL) - P) / 16, "sign", "grad_z3 has the wrong sign"),
        (P - onehot(LABEL), "scale", "16 times what it should be, which is the size batch"),
    ],
)
def test_what_was_done_with_the_labels_is_told(actual: np.ndarray, kind: str, says: str):
    told = GRAD.first(actual)
    assert told[0] == kind
    assert says in told[1]


def test_other_labels_are_no_story():
    shuffled = LABEL[RNG.permutation(16)]
    told = GRAD.told((P - onehot(shuffled)) / 16)
    assert "wrong_label" not in [d.kind for d in told]
    assert "target_missing" not in [d.kind for d in GRAD.told(P / 15)]
