"""Breaks the trainer line by line and asks nndbg which line it was.

python -m tests.benchmarks.culprits [NAME...]   all faults, or those named

For each fault: whether the culprit is the line that was changed (hit), whether that line is among
the candidates (listed), whether it is not (missed), or whether there is nobody to accuse (the
program ends, hangs or crashes before a number is wrong). Where a line was taken away, the lines on
both sides of the gap count as the changed ones. Seconds are those of `nndbg check` with the
culprit, and of the search for the culprit alone.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nndbg
from nndbg.compare import Verdict
from nndbg.dataset import Recipe, prepare
from nndbg.report import Culprit
from tests.broken.build import ROOT, Change, build, changes
from tests.broken.lines import Line, changed_lines, line_of

ARGUMENTS = ("--train-limit", "101", "--test-limit", "64")


@dataclass(frozen=True)
class Trial:
    """What came of one fault: `outcome` is hit, listed, missed or silent."""

    name: str
    outcome: str
    seconds: float
    first: Verdict | None
    culprit: Culprit | None
    lines: frozenset[Line]


def attempt(change: Change, directory: Path, data: Path) -> Trial:
    """Build a broken trainer and check it."""
    program = build(change, directory)
    lines = changed_lines(change, directory)
    arguments = ["--data", str(data), *ARGUMENTS, *change.arguments]
    begun = time.monotonic()
    report = nndbg.check(program, steps=range(2), arguments=arguments, timeout=4.0)
    seconds = time.monotonic() - begun
    first = report.first
    culprit = first.culprit if first else None
    outcome = "silent"
    if first is not None:
        candidates = culprit.candidates if culprit else ()
        hits = [number for number, suspect in enumerate(candidates) if line_of(suspect) in lines]
        outcome = "missed" if not hits else "listed" if hits[0] else "hit"
    return Trial(change.name, outcome, seconds, first.verdict if first else None, culprit, lines)


def main() -> int:
    """Try every fault and print what came of it."""
    named = set(sys.argv[1:])
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        mnist = ROOT.parent / "shared" / "mnist"
        if mnist.is_dir():
            prepare(data, source=mnist)
        else:
            prepare(data, synthetic=True, recipe=Recipe(train=200, test=100))
        for change in changes("faults"):
            if named and change.name not in named:
                continue
            directory = Path(place) / change.name
            trial = attempt(change, directory, data)
            shutil.rmtree(directory)
            trials.append(trial)
            _print(trial, bool(named))
    caught = [trial for trial in trials if trial.outcome != "silent"]
    strange = [t for t in trials if t.culprit and _library(t.culprit)]
    print(f"accused outside of the program's own source: {len(strange)}")
    for outcome in ("hit", "listed", "missed", "silent"):
        print(f"{outcome:7} {sum(t.outcome == outcome for t in trials)}")
    if caught:
        times = [trial.seconds for trial in caught]
        print(f"seconds median {statistics.median(times):.2f}, worst {max(times):.2f}")
    return 0


def _library(culprit: Culprit) -> bool:
    return any(suspect.file is None for suspect in culprit.candidates)


def _print(trial: Trial, in_full: bool) -> None:
    candidates = trial.culprit.candidates if trial.culprit else ()
    first = candidates[0].place if candidates else "-"
    print(f"{trial.outcome:7} {trial.seconds:5.2f} s  {trial.name:36} {first}", flush=True)
    if not (in_full or trial.outcome in ("listed", "missed")):
        return
    print("        changed:", ", ".join(f"{file}:{line}" for file, line in sorted(trial.lines)))
    for suspect in candidates:
        print(f"        {suspect.place}  {suspect.instruction}  -- {suspect.says}")
    for note in trial.culprit.notes if trial.culprit else ():
        print(f"        ({note})")


if __name__ == "__main__":
    sys.exit(main())
