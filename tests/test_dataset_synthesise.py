"""The synthetic digits: the same everywhere, like MNIST, and learnable."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nndbg.dataset import MNIST, Progress, Recipe, prepare, read_idx
from nndbg.dataset.synthesise import STYLES, digits


def test_a_seed_gives_the_same_bytes_on_every_machine() -> None:
    images, labels = digits(300, (1998, 0))
    found = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert found == "09f7b8f74a94b2f9f77303b6587d4c5f712f516950f2b20e8327af76d79cd4da"


def test_another_seed_gives_other_digits() -> None:
    assert not np.array_equal(digits(20, (1, 0))[0], digits(20, (1, 1))[0])


@pytest.mark.parametrize("count", [1, 7, 250, 251, 1003])
def test_the_digits_are_balanced_for_every_count(count: int) -> None:
    images, labels = digits(count, (3,))
    assert images.shape == (count, 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    often = np.bincount(labels, minlength=10)
    assert len(often) == 10
    assert often.max() - often.min() <= 1


def test_the_images_look_like_those_of_mnist_in_numbers() -> None:
    images, labels = digits(2000, (4,))
    assert 0.7 < np.mean(images == 0) < 0.9
    assert 25 < images.mean() < 45  # MNIST: 33.3
    edge = np.concatenate([images[:, [0, -1]].ravel(), images[:, :, [0, -1]].ravel()])
    assert np.mean(edge > 0) < 0.001
    assert images.reshape(len(images), -1).max(axis=1).min() > 150
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)
    assert (labels[:20] != np.sort(labels[:20])).any()


def test_every_style_is_drawn_about_20_tall() -> None:
    assert len(STYLES) == 10
    for style in (style for digit in STYLES for style in digit):
        points = [tuple(map(int, point.split(","))) for point in style.replace("/", "").split()]
        heights = [y for _, y in points]
        assert min(heights) in (0, 1)
        assert max(heights) in (19, 20)


def test_the_files_have_the_format_and_names_of_mnist(tmp_path: Path) -> None:
    heard: list[Progress] = []
    recipe = Recipe(train=600, test=100)
    prepare(tmp_path, synthetic=True, recipe=recipe, progress=heard.append)
    shapes = [read_idx(tmp_path / file.name).shape for file in MNIST]
    assert shapes == [(600, 28, 28), (600,), (100, 28, 28), (100,)]
    assert heard[-1] == Progress("synthetic digits", 700, 700, "digits")
    assert [step.done for step in heard] == [250, 500, 600, 700]


def test_a_small_network_learns_them() -> None:
    accuracy = accuracy_of_mlp(*digits(6000, (5, 0)), *digits(1000, (5, 1)))
    assert accuracy > 0.9


def accuracy_of_mlp(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    test_images: NDArray[np.uint8],
    test_labels: NDArray[np.uint8],
) -> float:
    """Train the bundled trainer's network, 784-128-64-10, with plain SGD in batches of 64."""
    rng = np.random.default_rng(0)
    sizes = (784, 128, 64, 10)
    W = [
        (rng.standard_normal((rows, columns)) * np.sqrt(2 / rows)).astype(np.float32)
        for rows, columns in pairwise(sizes)
    ]

    def forward(batch: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        h = [(batch.reshape(-1, 784) / np.float32(255)).astype(np.float32)]
        for weights in W[:-1]:
            h.append(np.maximum(h[-1] @ weights, 0))
        return [*h, h[-1] @ W[-1]]

    for _ in range(8):
        for start in range(0, len(images), 64):
            *h, z = forward(images[start : start + 64])
            target = labels[start : start + 64]
            grad = np.exp(z - z.max(axis=1, keepdims=True))
            grad /= grad.sum(axis=1, keepdims=True)
            grad[np.arange(len(target)), target] -= 1
            for k in (2, 1, 0):
                dW = h[k].T @ grad / len(target)
                grad = (grad @ W[k].T) * (h[k] > 0)
                W[k] -= np.float32(0.05) * dW
    return float(np.mean(forward(test_images)[-1].argmax(axis=1) == test_labels))
