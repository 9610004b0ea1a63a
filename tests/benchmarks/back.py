"""Measures how long it takes to go back: by an op, by a step, and to the write of an element.

    .venv/bin/python tests/benchmarks/back.py ./mnist --data DIR

From stops spread over the first epoch: `back` and `back_step` to stops that the session has come
by, and to ones that it has not, because it sought the step that it stands in; there the program is
run twice. `note` is what remembering a stop adds to it. What else the machine does is in the
figures: see the load.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import nndbg
from nndbg.session import Session
from nndbg.trail import Stop, Trail

PLACES = ((1, 3), (7, 20), (235, 12), (469, 25), (700, 8), (936, 1), (937, 25))
ELEMENT = "z1[3,17]"
ALLOWED = 1.0


def main() -> None:
    """Take the command line apart, measure, print a line for each kind of going back."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program", type=Path, nargs="?", default=Path("./mnist"))
    parser.add_argument("--data", required=True, metavar="DIR", help="MNIST")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    times: dict[str, list[float]] = {}
    with nndbg.open(options.program, arguments=("--data", options.data)) as session:
        for _ in range(options.rounds):
            for step, number in PLACES:
                _measure(session, Stop(step, number), times)
        _notes(session, times)
    print(
        f"{len(PLACES)} places in an epoch, {options.rounds} rounds, load {os.getloadavg()[0]:.1f}"
    )
    for name, seconds in times.items():
        worst = max(seconds)
        judged = "" if worst < ALLOWED else f"   over {ALLOWED:g} s"
        print(f"{name:34} median {median(seconds):.4f} s   worst {worst:.4f} s{judged}")


def _measure(session: Session, stop: Stop, times: dict[str, list[float]]) -> None:
    def note(name: str, go: Callable[[], object], wanted: Stop) -> None:
        begun = time.perf_counter()
        go()
        times.setdefault(name, []).append(time.perf_counter() - begun)
        assert session.here == wanted, (session.here, wanted)

    step, number = stop
    session.start(step)
    while session.here < stop:
        session.next_op()
    note("back an op", session.back, Stop(step, number - 1))
    session.next_op()
    note("back to where the step begins", session.back_step, Stop(step, 0))
    note("back to the step before, not seen", session.back_step, Stop(step - 1, 0))
    session.start(step)
    begun = time.perf_counter()
    session.back()
    times.setdefault("back an op, not seen", []).append(time.perf_counter() - begun)
    assert session.here.step == step - 1
    session.run_to("relu1", step)
    begun = time.perf_counter()
    nndbg.back_to_write(session, ELEMENT)
    times.setdefault(f"back to the write of {ELEMENT}", []).append(time.perf_counter() - begun)


def _notes(session: Session, times: dict[str, list[float]]) -> None:
    assert session.capture is not None
    for _ in range(100):
        trail = Trail(session.layer_map)
        begun = time.perf_counter()
        trail.note(Stop(session.capture.step, 0), session.capture)
        times.setdefault("note", []).append(time.perf_counter() - begun)


if __name__ == "__main__":
    main()
