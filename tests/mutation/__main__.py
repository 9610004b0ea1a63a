"""Measures nndbg's detection power on mutants of the trainer.

Takes a sample of mutants, tries each, and prints the tables for docs/detection-power.md.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.broken.build import ROOT, BuildError

from .campaign import try_all
from .runs import run_of
from .sampling import Assembler, sample, sources
from .table import markdown
from .trial import prepare_stage, runs_here


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="mutants to try (300)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (1)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time (2)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only files with TEXT in them")
    parser.add_argument(
        "--data", type=Path, default=ROOT / "dataset", metavar="DIR", help="MNIST (dataset/)"
    )
    parser.add_argument(
        "-o", dest="output", type=Path, metavar="FILE",
        help="results as lines of JSON; those that are there are not tried again",
    )  # fmt: skip
    options = parser.parse_args()
    # To leave by way of every `finally`, and with no worker left behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory() as name:
        try:
            return _run(options, Path(name))
        except BuildError as error:
            print(error, file=sys.stderr)
            return 1


def _run(options: argparse.Namespace, directory: Path) -> int:
    output = options.output or directory / "results.jsonl"
    stage = prepare_stage(directory, options.data)
    files = sources()
    runnable = {run_of(file): runs_here(stage, file) for file in files}
    absent = [file for file in files if not runnable[run_of(file)]]
    for file in absent:
        print(f"{file}: left out, this machine cannot run it", file=sys.stderr)
    chosen = {
        file: text for file, text in files.items() if file not in absent and options.only in file
    }
    assembler = Assembler(files, directory / "assembled")
    wanted = list(sample(chosen, options.seed, options.count, assembler))
    began = time.monotonic()
    results = {}
    for number, result in enumerate(try_all(wanted, stage, options.jobs, output.resolve()), 1):
        results[result.key] = result
        said = "caught" if result.caught else "-"
        print(
            f"{number:4}/{len(wanted)} {time.monotonic() - began:6.0f} s  {result.outcome:9} "
            f"{said:6} {result.file}:{result.line} {result.before} => {result.after}",
            file=sys.stderr,
        )
    print(markdown([results[mutant.key] for mutant in wanted], options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
