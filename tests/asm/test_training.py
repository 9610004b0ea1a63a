"""The trainer learns, and learns what NumPy says it should."""

import itertools
import math
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nndbg.reference.random import splitmix64

from .conftest import Run

LAYERS = (784, 128, 64, 10)
RATE = float(np.float32(0.01))


def without_seconds(output: str) -> str:
    return re.sub(r"  [\d.]+ s$", "", output, flags=re.MULTILINE)


def losses(output: str) -> list[float]:
    return [float(loss) for loss in re.findall(r"loss (\S+)", output)]


def read(directory: Path, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    images = np.fromfile(directory / f"{prefix}-images-idx3-ubyte", np.uint8)[16:]
    labels = np.fromfile(directory / f"{prefix}-labels-idx1-ubyte", np.uint8)[8:]
    return images.reshape(-1, LAYERS[0]) / 255, labels


def forward(x, weights, biases, masks):
    """The input and what each layer gives; a mask is for the input of its layer."""
    activations = [x]
    for layer, (W, b) in enumerate(zip(weights, biases, strict=True)):
        z = activations[-1] @ W + b
        last = layer == len(weights) - 1
        activations.append(z if last else np.maximum(z, 0) * masks[layer + 1])
    return activations


def cross_entropy(z, y):
    shifted = z - z.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(y)), y]


@dataclass(frozen=True)
class Settings:
    """What the program is told, for the replica in NumPy."""

    seed: int = 42
    epochs: int = 3
    batch: int = 64
    shuffle: bool = True
    momentum: float = 0.0
    decay: float = 0.0
    dropout: float = 0.0
    scheme: str = "glorot"

    def options(self) -> list[str]:
        named = {
            "seed": self.seed,
            "epochs": self.epochs,
            "batch": self.batch,
            "momentum": self.momentum,
            "weight-decay": self.decay,
            "dropout": self.dropout,
            "init": self.scheme,
        }
        words = [word for name, value in named.items() for word in (f"--{name}", str(value))]
        return words if self.shuffle else [*words, "--no-shuffle"]


class Draws:
    """A stream of the program's generator."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def bits(self, count: int) -> np.ndarray:
        drawn, self.state = splitmix64(self.state, count)
        return drawn

    def units(self, *shape: int) -> np.ndarray:
        return (self.bits(math.prod(shape)) >> np.uint64(40)).reshape(shape) * 2.0**-24


def expected_losses(directory: Path, settings: Settings) -> list[float]:
    """The mean losses of every epoch and of the test, in float64 and without the program."""
    weight_draws, order_draws, dropout_draws = map(Draws, Draws(settings.seed).bits(3).tolist())
    momentum, decay, dropout = (
        float(np.float32(value)) for value in (settings.momentum, settings.decay, settings.dropout)
    )
    params, velocities = [], []
    for inputs, outputs in itertools.pairwise(LAYERS):
        fans = inputs if settings.scheme == "he" else inputs + outputs
        W = (2 * weight_draws.units(inputs, outputs) - 1) * np.sqrt(6 / fans)
        params += [W, np.zeros(outputs)]
        velocities += [np.zeros_like(W), np.zeros(outputs)]

    images, labels = read(directory, "train")
    order = list(range(len(labels)))
    means = []
    for _ in range(settings.epochs):
        if settings.shuffle:
            draws = order_draws.bits(len(order) - 1).tolist()
            for i, drawn in zip(range(len(order) - 1, 0, -1), draws, strict=True):
                j = drawn * (i + 1) >> 64
                order[i], order[j] = order[j], order[i]
        total = 0.0
        for begin in range(0, len(order), settings.batch):
            batch = order[begin : begin + settings.batch]
            x, y = images[batch], labels[batch]
            masks = [1.0, 1.0, 1.0]
            if dropout:
                for layer in (1, 2):
                    drawn = dropout_draws.units(len(batch), LAYERS[layer])
                    masks[layer] = (drawn >= dropout) / (1 - dropout)
            activations = forward(x, params[::2], params[1::2], masks)
            total += cross_entropy(activations[-1], y).sum()
            e = np.exp(activations[-1] - activations[-1].max(axis=1, keepdims=True))
            grad = (e / e.sum(axis=1, keepdims=True) - np.eye(LAYERS[-1])[y]) / len(batch)
            grads = [np.empty(0)] * 6
            for layer in (2, 1, 0):
                W = params[2 * layer]
                grads[2 * layer] = activations[layer].T @ grad + decay * W
                grads[2 * layer + 1] = grad.sum(axis=0)
                grad = (grad @ W.T) * masks[layer] * (activations[layer] > 0)
            for param, velocity, change in zip(params, velocities, grads, strict=True):
                velocity[...] = momentum * velocity + change
                param[...] -= RATE * velocity
        means.append(total / len(order))

    images, labels = read(directory, "t10k")
    activations = forward(images, params[::2], params[1::2], [1.0, 1.0, 1.0])
    means.append(cross_entropy(activations[-1], labels).mean())
    return means


def test_the_defaults_reach_94_5_per_cent_on_mnist(run: Run, mnist: Path, isa: str):
    assert accuracy(run, mnist, "--isa", isa) >= 94.5


def test_the_loss_falls_in_every_epoch_on_mnist(run: Run, mnist: Path):
    result = run("--data", mnist, "--epochs", "5", "--train-limit", "6001")
    epochs = losses(result.stdout)[:-1]
    assert epochs == sorted(epochs, reverse=True)
    assert len(set(epochs)) == 5


def check_losses(run: Run, data: Path, settings: Settings, *more: str) -> None:
    result = run("--data", data, *settings.options(), *more)
    assert result.returncode == 0, result.stderr
    expected = expected_losses(data, settings)
    np.testing.assert_allclose(losses(result.stdout), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("fuse", [[], ["--no-fuse"]], ids=["fused", "not fused"])
@pytest.mark.parametrize("shuffle", [True, False], ids=["shuffled", "in file order"])
@pytest.mark.parametrize("seed", [0, 42, 2**64 - 1])
def test_every_loss_is_the_one_that_numpy_computes(
    run: Run, tiny: Path, isa: str, seed: int, shuffle: bool, fuse: list[str]
):
    check_losses(run, tiny, Settings(seed=seed, shuffle=shuffle), "--isa", isa, *fuse)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(momentum=0.9),
        Settings(decay=0.1),
        Settings(dropout=0.2),
        Settings(scheme="he"),
        Settings(momentum=0.5, decay=0.03, dropout=0.5, scheme="he", batch=33),
        Settings(batch=1, epochs=1),
        Settings(batch=7, dropout=0.2),
        Settings(batch=256, momentum=0.9),
    ],
    ids=str,
)
def test_so_it_is_with_every_way_to_learn(run: Run, tiny: Path, isa: str, settings: Settings):
    check_losses(run, tiny, settings, "--isa", isa)


def accuracy(run: Run, data: Path, *options: str) -> float:
    result = run("--data", data, *options)
    assert result.returncode == 0, result.stderr
    found = re.search(r"accuracy ([\d.]+) % \((\d+) of 10000\)", result.stdout)
    assert found is not None
    assert float(found[1]) == int(found[2]) / 100
    return float(found[1])


def test_momentum_reaches_97_5_per_cent_on_mnist(run: Run, mnist: Path):
    assert accuracy(run, mnist, "--momentum", "0.9") >= 97.5


def test_with_dropout_and_weight_decay_it_still_reaches_97_per_cent(run: Run, mnist: Path):
    options = ["--dropout", "0.2", "--weight-decay", "1e-4", "--momentum", "0.9"]
    assert accuracy(run, mnist, *options) > 97


def test_what_is_drawn_for_dropout_changes_no_other_draw(run: Run, tiny: Path):
    plain, thinned = (
        run("--data", tiny, "--epochs", "1", *more) for more in ([], ["--dropout", "1e-7"])
    )
    assert losses(plain.stdout) == pytest.approx(losses(thinned.stdout), abs=1e-5)


def test_the_same_seed_prints_the_same_numbers(run: Run, tiny: Path, isa: str):
    options = ["--seed", "5", "--isa", isa, "--dropout", "0.2", "--momentum", "0.9"]
    first, second = (run("--data", tiny, *options) for _ in range(2))
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
