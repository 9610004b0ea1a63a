"""Measures an epoch of ./mnist against NumPy's and PyTorch's, one thread each, in turns.

    ./build.sh && .venv/bin/python tests/benchmarks/trainer.py

Every trainer learns the same network from the same files with the same settings: 784-128-64-10,
batches of 64, learning rate 0.01, float32. An epoch is all of it: the new order, gathering and
scaling the pixels, forward, backward, update. ./mnist takes its turn once with each set of
kernels that this processor has; PyTorch where it is installed.

GFLOP/s count the multiplications and additions of the dense layers as if no pixel were zero, so
the kernels that leave zeros out may pass the peak, which a small loop of nothing but independent
multiply-adds measures in the same turns (multiplications and additions on SSE2, which has no FMA).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from statistics import median

LAYERS = (784, 128, 64, 10)
BATCH = 64
RATE = 0.01
SEED = 42
ISAS = ("sse2", "avx2", "avx512")
# Each layer is multiplied forward and for its weights' gradient, all but the first for their
# input's too.
PRODUCTS = (2, 3, 3)
LIMIT = 300.0
Seconds = Callable[[], float]

PEAK = """
    default rel
    global  _start
    section .text
_start:
    mov     rcx, {loops}
.loop:
%assign number 0
%rep {chains}
    {instructions}
%assign number number + 1
%endrep
    dec     rcx
    jnz     .loop
    mov     eax, 60
    xor     edi, edi
    syscall
    section .note.GNU-stack noalloc noexec nowrite progbits
"""
PEAK_LOOPS = 150_000_000
PEAK_CHAINS = 14
# One link of a chain, each of which goes on in its own register, and its float32 operations.
PEAK_BODIES = {
    "sse2": ("mulps xmm %+ number, xmm14\n    addps xmm %+ number, xmm15", 8),
    "avx2": ("vfmadd231ps ymm %+ number, ymm14, ymm15", 16),
    "avx512": ("vfmadd231ps zmm %+ number, zmm14, zmm15", 32),
}


def main() -> None:
    """Take the command line apart, measure in turns, print a line a trainer."""
    # Before NumPy or PyTorch is imported, which is why both are imported where they are used.
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    options = _options()
    isas = [isa for isa in ISAS if _runs(options, isa)]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        trainers: dict[str, Seconds] = {"numpy": _timed(_numpy_epochs(options.data))}
        if importlib.util.find_spec("torch"):
            trainers["pytorch"] = _timed(_torch_epochs(options.data))
        trainers |= {isa: _epoch_of_mnist(options, isa) for isa in isas}
        trainers |= {f"{isa} peak": _peak(directory, isa) for isa in isas}
        rounds: dict[str, list[float]] = {name: [] for name in trainers}
        for seconds in trainers.values():
            seconds()
        for number in range(options.rounds):
            # Whoever comes first in one round comes last in another.
            names = list(trainers)
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                rounds[name].append(trainers[name]())
    _print(rounds, isas, options)
    _print_epochs(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, default=Path("./mnist"), metavar="FILE")
    parser.add_argument("--data", type=Path, default=Path("dataset"), metavar="DIR")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="of all trainers")
    parser.add_argument(
        "--epochs", type=int, nargs="+", default=[1, 2, 5, 10, 20], help="cost of so many"
    )
    return parser.parse_args()


def _run(options: argparse.Namespace, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [options.program.absolute(), "--data", options.data, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def _runs(options: argparse.Namespace, isa: str) -> bool:
    trial = _run(options, "--epochs", 1, "--train-limit", 1, "--test-limit", 1, "--isa", isa)
    if trial.returncode and "this machine has no" not in trial.stderr:
        raise SystemExit(trial.stderr)
    return trial.returncode == 0


def _epoch_of_mnist(options: argparse.Namespace, isa: str) -> Seconds:
    def seconds() -> float:
        output = _run(options, "--epochs", 3, "--seed", SEED, "--isa", isa).stdout
        return median(float(epoch) for epoch in re.findall(r"([\d.]+) s$", output, re.MULTILINE))

    return seconds


def _timed(epochs: Iterator[float]) -> Seconds:
    def seconds() -> float:
        begin = time.perf_counter()
        next(epochs)
        return time.perf_counter() - begin

    return seconds


def _numpy_epochs(data: Path) -> Iterator[float]:
    """Train for ever; every epoch yields its mean loss."""
    import numpy as np

    images, labels = _read(data)
    random = np.random.default_rng(SEED)
    weights, biases = [], []
    for inputs, outputs in pairwise(LAYERS):
        limit = np.sqrt(6 / (inputs + outputs))
        weights.append(random.uniform(-limit, limit, (inputs, outputs)).astype(np.float32))
        biases.append(np.zeros(outputs, np.float32))
    rate, white = np.float32(RATE), np.float32(255)

    while True:
        order = random.permutation(len(labels))
        total = 0.0
        for begin in range(0, len(order), BATCH):
            batch = order[begin : begin + BATCH]
            y, each = labels[batch], np.arange(len(batch))
            h = [images[batch].astype(np.float32) / white]
            for W, b in zip(weights, biases, strict=True):
                z = h[-1] @ W + b
                h.append(np.maximum(z, 0))
            z -= z.max(axis=1, keepdims=True)
            e = np.exp(z)
            sums = e.sum(axis=1, keepdims=True)
            total += float((np.log(sums[:, 0]) - z[each, y]).sum())
            grad = e / sums
            grad[each, y] -= 1
            grad /= np.float32(len(batch))
            changes = []
            for layer in (2, 1, 0):
                changes.append((layer, h[layer].T @ grad, grad.sum(axis=0)))
                if layer:
                    grad = (grad @ weights[layer].T) * (h[layer] > 0)
            for layer, dW, db in changes:
                weights[layer] -= rate * dW
                biases[layer] -= rate * db
        yield total / len(order)


def _torch_epochs(data: Path) -> Iterator[float]:
    """Train for ever; every epoch yields its mean loss."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    images, labels = (torch.tensor(array) for array in _read(data))
    labels = labels.long()
    first, second, third = (nn.Linear(*sizes) for sizes in pairwise(LAYERS))
    model = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    criterion = nn.CrossEntropyLoss()

    while True:
        total = 0.0
        for batch in torch.randperm(len(labels)).split(BATCH):
            optimizer.zero_grad()
            loss = criterion(model(images[batch].float() / 255), labels[batch])
            loss.backward()
            optimizer.step()
            total += float(loss) * len(batch)
        yield total / len(labels)


def _read(data: Path):
    """Return the training images [samples, 784] and labels [samples] as bytes."""
    import numpy as np

    def content(*names: str):
        path = next((data / name for name in names if (data / name).is_file()), None)
        if path is None:
            raise SystemExit(
                f"{data / names[0]} is not there: run ./build.sh setup, or name --data"
            )
        return np.fromfile(path, np.uint8)

    images = content("train-images-idx3-ubyte", "train-images.idx3-ubyte")
    labels = content("train-labels-idx1-ubyte", "train-labels.idx1-ubyte")
    return images[16:].reshape(-1, LAYERS[0]), labels[8:]


def _peak(directory: Path, isa: str) -> Seconds:
    """Assemble the loop of multiply-adds; a turn is one run of it."""
    source, program = directory / f"{isa}.asm", directory / isa
    source.write_text(
        PEAK.format(loops=PEAK_LOOPS, chains=PEAK_CHAINS, instructions=PEAK_BODIES[isa][0])
    )
    subprocess.run(["nasm", "-f", "elf64", "-o", f"{program}.o", source], check=True, timeout=60)
    subprocess.run(["ld", "-o", program, f"{program}.o"], check=True, timeout=60)

    def seconds() -> float:
        begin = time.perf_counter()
        subprocess.run([program], check=True, timeout=LIMIT)
        return time.perf_counter() - begin

    return seconds


def _print(rounds: dict[str, list[float]], isas: list[str], options: argparse.Namespace) -> None:
    _, labels = _read(options.data)
    sizes = [inputs * outputs for inputs, outputs in pairwise(LAYERS)]
    work = 2e-9 * len(labels) * sum(n * size for n, size in zip(PRODUCTS, sizes, strict=True))
    print(f"{options.rounds} rounds in turns, medians; an epoch is {work:.1f} GFLOP if dense")
    for name, figures in rounds.items():
        if name.endswith("peak"):
            continue
        ratios = [numpy / own for numpy, own in zip(rounds["numpy"], figures, strict=True)]
        speed = work / median(figures)
        line = (
            f"{name:8} {median(figures):.3f} s an epoch ({min(figures):.3f} to {max(figures):.3f})"
            f"  {median(ratios):5.2f} x NumPy  {speed:4.0f} GFLOP/s"
        )
        if name in isas:
            peak = (
                1e-9
                * PEAK_CHAINS
                * PEAK_LOOPS
                * PEAK_BODIES[name][1]
                / median(rounds[f"{name} peak"])
            )
            line += f"  {speed / peak:4.0%} of the {peak:.0f} that a loop of multiply-adds reaches"
        print(line)


def _print_epochs(options: argparse.Namespace) -> None:
    print(
        "cost of so many epochs, from the start of the process to its end, with the best kernels:"
    )
    for epochs in options.epochs:
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            output = _run(options, "--epochs", epochs, "--seed", SEED).stdout
            times.append(time.perf_counter() - begin)
        accuracy = re.search(r"accuracy ([\d.]+ %)", output)
        assert accuracy is not None
        print(f"{epochs:4} epochs {median(times):7.3f} s  accuracy {accuracy[1]}")


if __name__ == "__main__":
    main()
