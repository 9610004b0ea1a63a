"""Measures what nndbg adds to a stop of GDB: a bare MI client, Inferior and LiveSource in turns.

    .venv/bin/python tests/benchmarks/overhead.py ./mnist

All three run the same program with the same breakpoints, one at every boundary of its layer map,
and go from stop to stop. The bare client does the least that a client can do: it writes
`-exec-continue` and reads until `*stopped`, parsing nothing. `LiveSource.next` also reads every
buffer of the map into NumPy.
"""

from __future__ import annotations

import argparse
import os
import pty
import struct
import subprocess
import tempfile
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median

import numpy as np

from nndbg.elf import read_executable
from nndbg.inferior import LiveSource
from nndbg.inferior.process import _SETTINGS, Inferior
from nndbg.layermap import PlacedMap, load_map

LIMIT = 30.0
SAMPLES = 6400
EPOCHS = 100_000
ALLOWED = 1.5
Stop = Callable[[], object]


def main() -> None:
    """Take the command line apart, measure in turns, print one line a client."""
    options = _options()
    placed = load_map(read_executable(options.program))
    with ExitStack() as stack:
        data = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.data is None:
            _write_noise(data)
        arguments = ("--data", str(data), "--epochs", str(EPOCHS))
        clients: dict[str, Stop] = {
            "bare MI client": stack.enter_context(_bare(placed, arguments)),
            "Inferior.resume": stack.enter_context(_inferior(placed, arguments)),
            "LiveSource.next": stack.enter_context(_live(placed, arguments)),
        }
        rounds = {name: [] for name in clients}
        for stop in clients.values():
            _microseconds(stop, options.stops)
        for number in range(options.rounds):
            # Whoever comes first in one round comes last in another.
            names = list(clients)
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                rounds[name].append(_microseconds(clients[name], options.stops))
    _print(rounds, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program", type=Path, nargs="?", default=Path("./mnist"))
    parser.add_argument("--data", type=Path, metavar="DIR", help="MNIST (noise, unless given)")
    parser.add_argument("--stops", type=int, default=27 * 10, help="of each client in a round")
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args()


def _write_noise(directory: Path) -> None:
    """Write a data set of random pixels in MNIST's format."""
    random = np.random.default_rng(1)
    for prefix, samples in (("train", SAMPLES), ("t10k", 64)):
        pixels = random.integers(0, 256, (samples, 28, 28), dtype=np.uint8)
        labels = random.integers(0, 10, samples, dtype=np.uint8)
        images = directory / f"{prefix}-images-idx3-ubyte"
        images.write_bytes(struct.pack(">4I", 0x803, *pixels.shape) + pixels.tobytes())
        classes = directory / f"{prefix}-labels-idx1-ubyte"
        classes.write_bytes(struct.pack(">2I", 0x801, samples) + labels.tobytes())


def _boundaries(placed: PlacedMap) -> tuple[int, ...]:
    done = (address for addresses in placed.done.values() for address in addresses)
    return tuple(sorted({*done, *placed.step}))


@contextmanager
def _bare(placed: PlacedMap, arguments: Sequence[str]) -> Iterator[Stop]:
    """Start GDB with nndbg's settings and breakpoints, and speak the least MI there is."""
    settings = [word for setting in _SETTINGS for word in ("-iex", f"set {setting}")]
    program = str(placed.executable.path)
    ours, terminal = pty.openpty()
    tty.setraw(terminal)
    gdb = subprocess.Popen(
        ["gdb", "--nx", "--quiet", "--interpreter=mi2", *settings, "--args", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert gdb.stdin is not None and gdb.stdout is not None
    write, descriptor = gdb.stdin.write, gdb.stdout.fileno()

    def ask(command: bytes, wanted: bytes) -> None:
        write(command + b"\n")
        heard = b""
        # A record is read whole: up to the end of its line.
        while (at := heard.find(wanted)) < 0 or heard.find(b"\n", at) < 0:
            data = os.read(descriptor, 1 << 16)
            if not data:
                raise SystemExit(f"GDB ended: {heard.decode(errors='replace')}")
            heard += data
            if b"exited" in heard:
                raise SystemExit("the program ended before the measurement: more --epochs")

    try:
        ask(f"-inferior-tty-set {os.ttyname(terminal)}".encode(), b"^done")
        ask(b'-interpreter-exec console "starti"', b"*stopped")
        for address in _boundaries(placed):
            ask(f"-break-insert *{address:#x}".encode(), b"^done")
        yield lambda: ask(b"-exec-continue", b"*stopped")
    finally:
        gdb.kill()
        gdb.wait()
        os.close(ours)
        os.close(terminal)


@contextmanager
def _inferior(placed: PlacedMap, arguments: Sequence[str]) -> Iterator[Stop]:
    with closing(Inferior(placed.executable, arguments)) as inferior:
        for address in _boundaries(placed):
            inferior.break_at(address)
        yield lambda: inferior.resume(LIMIT)


@contextmanager
def _live(placed: PlacedMap, arguments: Sequence[str]) -> Iterator[Stop]:
    with closing(LiveSource(placed, arguments, LIMIT)) as source:
        source.start(0)
        yield source.next


def _microseconds(stop: Stop, count: int) -> float:
    """Return the median duration of `count` stops."""
    times = []
    for _ in range(count):
        begin = time.perf_counter_ns()
        stop()
        times.append(time.perf_counter_ns() - begin)
    return median(times) / 1000


def _print(rounds: dict[str, list[float]], options: argparse.Namespace) -> None:
    print(f"{options.rounds} rounds of {options.stops} stops each, medians of the rounds' medians")
    bare, *others = rounds
    for name, figures in rounds.items():
        ratios = [figure / base for figure, base in zip(figures, rounds[bare], strict=True)]
        print(
            f"{name:16} {median(figures):7.0f} us a stop ({min(figures):.0f} to {max(figures):.0f})"
            f"   {median(ratios):.2f} x the bare stop ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    ratio = median(f / b for f, b in zip(rounds[others[0]], rounds[bare], strict=True))
    judged = "within" if ratio <= ALLOWED else "OVER"
    print(f"{others[0]} is {judged} the {ALLOWED:.2f} x that is allowed")
    raise SystemExit(ratio > ALLOWED)


if __name__ == "__main__":
    main()
