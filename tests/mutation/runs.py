"""How each file's mutants are run: the options and the phases that reach its code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch

# Two steps of training, two epochs, two steps of the test; the second batch has 37 rows, which is
# no multiple of any vector or tile. Files lie in the directory that the program starts in.
BASE = ("--data", "data", "--train-limit", "101", "--test-limit", "101", "--epochs", "2")
SAVED, METRICS, WEIGHTS = "saved.bin", "metrics.jsonl", "weights.bin"
_METRICS = ("--metrics", METRICS, "--metrics-every", "1")

# How many steps of each phase are followed; in the order in which they run.
STEPS = {"init": 1, "epoch": 2, "train": 2, "test": 2}
_ALL = tuple(STEPS)
_ISA = re.compile(r"_(sse2|avx2|avx512)\.asm$")


@dataclass(frozen=True)
class Run:
    """The program's arguments, and the phases to follow one after the other."""

    arguments: tuple[str, ...]
    phases: tuple[str, ...]


# The first pattern that fits counts.
_RUNS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("include/*", ("--dropout", "0.5"), _ALL),
    ("_start.asm", (), _ALL),
    ("forward.asm", (), ("train", "test")),
    ("batch.asm", (), ("train", "test")),
    ("evaluate.asm", _METRICS, ("train", "test")),
    ("metrics.asm", _METRICS, ("train",)),
    ("json.asm", _METRICS, ("train",)),
    ("clock.asm", _METRICS, ("train",)),
    ("log.asm", ("--isa", "sse2"), ("train",)),
    ("exp.asm", ("--isa", "sse2"), ("train",)),
    ("row_max.asm", ("--isa", "sse2"), ("train", "test")),
    ("weights.asm", ("--load", WEIGHTS, "--save", SAVED), ("init", "train")),
    ("crc32.asm", ("--load", WEIGHTS, "--save", SAVED), ("init", "train")),
    ("dataset.asm", (), ("init", "train", "test")),
    ("idx.asm", (), ("init", "train", "test")),
    ("map_file.asm", (), ("init", "train", "test")),
    ("initialise.asm", (), ("init", "train")),
    ("seeds.asm", ("--dropout", "0.5"), ("init", "epoch", "train")),
    ("random.asm", ("--dropout", "0.3"), ("init", "epoch", "train")),
    ("shuffle.asm", (), ("init", "epoch", "train", "test")),
    ("options.asm", ("--lr=0.02", "--momentum", "0.9", "--no-fuse"), ("init", "train")),
    (
        "option_value.asm",
        ("--lr", "2.5e-2", "--weight-decay=.01", "--init", "he"),
        ("init", "train"),
    ),
    ("momentum.asm", ("--momentum", "0.9"), ("train",)),
    ("sgd_momentum_*", ("--momentum", "0.9"), ("train",)),
    ("decay.asm", ("--weight-decay", "0.01"), ("train",)),
    ("weight_decay_*", ("--weight-decay", "0.01"), ("train",)),
    ("dropout*", ("--dropout", "0.3"), ("train",)),
    ("dense_grad_weight_sgd_*", (), ("train",)),
    ("dense_grad_weight_*", ("--no-fuse",), ("train",)),
    ("*", (), ("train",)),
)


def run_of(file: str) -> Run:
    """Return how to run a mutant of `file`; a kernel runs under its own instruction set."""
    name = file.removeprefix("asm/")
    _, arguments, phases = next(row for row in _RUNS if fnmatch(name, row[0]))
    isa = _ISA.search(file)
    return Run((*BASE, *arguments, *(("--isa", isa[1]) if isa else ())), phases)
