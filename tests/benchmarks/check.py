"""Measures how long `nndbg check` of ./mnist takes, and how much memory, with each set of kernels.

    ./build.sh && .venv/bin/python tests/benchmarks/check.py

A run is what a user waits for: from the start of Python to the end of GDB, every op of every step
judged, and all of it has to agree. Beside the seconds stand those of all processors together
(nndbg, GDB and the program), which a busy machine changes less, and the most memory that nndbg
held at once. `--memory` also measures ten times as many steps, whose memory has to be the same.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

NNDBG = Path(sys.executable).with_name("nndbg")
ISAS = ("sse2", "avx2", "avx512")
EPOCH = 938
LIMIT = 900.0


@dataclass(frozen=True)
class Cost:
    """What a check took: seconds, seconds of all processors, and MB of nndbg itself."""

    seconds: float
    processor: float
    memory: float


def main() -> None:
    """Take the command line apart, measure in turns, print a line for each set of kernels."""
    options = _options()
    isas = [isa for isa in ISAS if _runs(options, isa)]
    print(f"{options.rounds} rounds in turns, medians; every op of every step")
    ranges = [f"0:{steps}" for steps in options.steps]
    runs = [(isa, steps) for steps in ranges for isa in isas]
    costs: dict[tuple[str, str], list[Cost]] = {run: [] for run in runs}
    for number in range(options.rounds):
        # Whoever comes first in one round comes last in another.
        turn = number % len(runs)
        for run in runs[turn:] + runs[:turn]:
            costs[run].append(_check(options, *run))
    for (isa, steps), found in costs.items():
        _print(isa, steps, found)
    if options.memory:
        for steps in (f"0:{EPOCH}", f"0:{10 * EPOCH}"):
            _print(isas[-1], steps, [_check(options, isas[-1], steps)])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, default=Path("./mnist"), metavar="FILE")
    parser.add_argument("--data", type=Path, default=Path("dataset"), metavar="DIR")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of all runs")
    parser.add_argument(
        "--steps", type=int, nargs="+", default=[3, 100, EPOCH], help="how many to check"
    )
    parser.add_argument("--memory", action="store_true", help="measure ten epochs too")
    return parser.parse_args()


def _runs(options: argparse.Namespace, isa: str) -> bool:
    short = ["--epochs", "1", "--train-limit", "1", "--test-limit", "1", "--isa", isa]
    trial = subprocess.run(
        [options.program.absolute(), "--data", options.data, *short],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    if trial.returncode and "this machine has no" not in trial.stderr:
        raise SystemExit(trial.stderr)
    return trial.returncode == 0


def _check(options: argparse.Namespace, isa: str, steps: str) -> Cost:
    """Run `nndbg check` once; anything but agreement ends the benchmark."""
    with tempfile.TemporaryFile("w+") as output:
        begin, before = time.perf_counter(), os.times()
        check = subprocess.Popen(
            [NNDBG, "check", "--steps", steps, options.program.absolute(), "--",
             "--data", options.data, "--isa", isa],
            stdout=output,
            stderr=output,
        )  # fmt: skip
        _, status, usage = os.wait4(check.pid, 0)
        seconds, after = time.perf_counter() - begin, os.times()
        if status:
            output.seek(0)
            raise SystemExit(f"{isa}, steps {steps}: nndbg disagrees\n{output.read()}")
    processor = (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )
    return Cost(seconds, processor, usage.ru_maxrss / 1000)


def _print(isa: str, steps: str, costs: list[Cost]) -> None:
    seconds = [cost.seconds for cost in costs]
    print(
        f"{isa:7} --steps {steps:7} {median(seconds):7.2f} s"
        f" ({min(seconds):.2f} to {max(seconds):.2f})"
        f"  {median(cost.processor for cost in costs):7.2f} s of processors"
        f"  {median(cost.memory for cost in costs):5.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    main()
