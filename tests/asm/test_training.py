"""The trainer learns, and learns what NumPy says it should."""

import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from .conftest import Run

LAYERS = (784, 128, 64, 10)
BATCH = 64
RATE = float(np.float32(0.01))


def without_seconds(output: str) -> str:
    return re.sub(r"  [\d.]+ s$", "", output, flags=re.MULTILINE)


def losses(output: str) -> list[float]:
    return [float(loss) for loss in re.findall(r"loss (\S+)", output)]


def splitmix64(seed: int) -> Iterator[int]:
    mask = (1 << 64) - 1
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        yield z ^ (z >> 31)


def read(directory: Path, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    images = np.fromfile(directory / f"{prefix}-images-idx3-ubyte", np.uint8)[16:]
    labels = np.fromfile(directory / f"{prefix}-labels-idx1-ubyte", np.uint8)[8:]
    return images.reshape(-1, LAYERS[0]) / 255, labels


def forward(x, weights, biases):
    activations = [x]
    for index, (W, b) in enumerate(zip(weights, biases, strict=True)):
        z = activations[-1] @ W + b
        activations.append(z if index == len(weights) - 1 else np.maximum(z, 0))
    return activations


def cross_entropy(z, y):
    shifted = z - z.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(y)), y]


def expected_losses(directory: Path, seed: int, epochs: int, shuffle: bool) -> list[float]:
    """The mean losses of every epoch and of the test, in float64 and without the program."""
    root = splitmix64(seed)
    weight_random, order_random = splitmix64(next(root)), splitmix64(next(root))
    weights, biases = [], []
    for inputs, outputs in itertools.pairwise(LAYERS):
        limit = np.sqrt(6 / (inputs + outputs))
        units = [(next(weight_random) >> 40) * 2.0**-24 for _ in range(inputs * outputs)]
        weights.append((2 * np.array(units).reshape(inputs, outputs) - 1) * limit)
        biases.append(np.zeros(outputs))

    images, labels = read(directory, "train")
    order = list(range(len(labels)))
    means = []
    for _ in range(epochs):
        if shuffle:
            for i in range(len(order) - 1, 0, -1):
                j = next(order_random) * (i + 1) >> 64
                order[i], order[j] = order[j], order[i]
        total = 0.0
        for begin in range(0, len(order), BATCH):
            batch = order[begin : begin + BATCH]
            x, y = images[batch], labels[batch]
            activations = forward(x, weights, biases)
            total += cross_entropy(activations[-1], y).sum()
            e = np.exp(activations[-1] - activations[-1].max(axis=1, keepdims=True))
            grad = (e / e.sum(axis=1, keepdims=True) - np.eye(LAYERS[-1])[y]) / len(batch)
            for layer in (2, 1, 0):
                dW, db = activations[layer].T @ grad, grad.sum(axis=0)
                grad = (grad @ weights[layer].T) * (activations[layer] > 0)
                weights[layer] -= RATE * dW
                biases[layer] -= RATE * db
        means.append(total / len(order))

    images, labels = read(directory, "t10k")
    means.append(cross_entropy(forward(images, weights, biases)[-1], labels).mean())
    return means


@pytest.fixture(params=["sse2", "avx2", "avx512"])
def isa(request: pytest.FixtureRequest, run: Run, tiny: Path) -> str:
    asked = run("--data", tiny, "--epochs", "1", "--isa", request.param)
    if "this machine has no" in asked.stderr:
        pytest.skip(asked.stderr)
    return request.param


def test_the_defaults_reach_94_5_per_cent_on_mnist(run: Run, mnist: Path, isa: str):
    result = run("--data", mnist, "--isa", isa)
    assert result.returncode == 0, result.stderr
    assert len(re.findall(r"^epoch ", result.stdout, flags=re.MULTILINE)) == 10
    accuracy = re.search(r"accuracy ([\d.]+) % \((\d+) of 10000\)", result.stdout)
    assert accuracy is not None
    assert float(accuracy[1]) == int(accuracy[2]) / 100 >= 94.5


def test_the_loss_falls_in_every_epoch_on_mnist(run: Run, mnist: Path):
    result = run("--data", mnist, "--epochs", "5", "--train-limit", "6001")
    epochs = losses(result.stdout)[:-1]
    assert epochs == sorted(epochs, reverse=True)
    assert len(set(epochs)) == 5


@pytest.mark.parametrize("fuse", [[], ["--no-fuse"]], ids=["fused", "not fused"])
@pytest.mark.parametrize("options", [[], ["--no-shuffle"]], ids=["shuffled", "in file order"])
@pytest.mark.parametrize("seed", [0, 42, 2**64 - 1])
def test_every_loss_is_the_one_that_numpy_computes(
    run: Run, tiny: Path, isa: str, seed: int, options: list[str], fuse: list[str]
):
    args = ["--epochs", "3", "--seed", str(seed), "--isa", isa, *options, *fuse]
    result = run("--data", tiny, *args)
    assert result.returncode == 0, result.stderr
    expected = expected_losses(tiny, seed, epochs=3, shuffle=not options)
    np.testing.assert_allclose(losses(result.stdout), expected, rtol=0, atol=2e-6)


def test_the_same_seed_prints_the_same_numbers(run: Run, tiny: Path, isa: str):
    first, second = (run("--data", tiny, "--seed", "5", "--isa", isa) for _ in range(2))
    assert first.returncode == 0
    assert without_seconds(first.stdout) == without_seconds(second.stdout)
    assert first.stderr == second.stderr == ""


def test_another_seed_prints_other_numbers(run: Run, tiny: Path):
    first, second = (losses(run("--data", tiny, "--seed", seed).stdout) for seed in ("5", "6"))
    assert all(a != b for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("samples", [1, 2, 3, 5, 63, 64, 65, 150, 1000])
def test_any_number_of_samples_will_do(run: Run, tiny: Path, samples: int):
    result = run("--data", tiny, "--epochs", "2", f"--train-limit={samples}", "--test-limit=3")
    assert result.returncode == 0, result.stderr
    assert f"{min(samples, 150)} training and 3 test samples" in result.stdout
    assert np.isfinite(losses(result.stdout)).all()


def test_the_other_spelling_of_the_files_is_found_too(run: Run, tiny: Path):
    for path in list(tiny.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert run("--data", tiny, "--epochs", "1").returncode == 0


def test_results_that_cannot_be_written_are_no_success(program: Path, tiny: Path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("w") as disk:
        result = subprocess.run(
            [program, "--data", tiny, "--epochs", "1"],
            stdout=disk,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1
