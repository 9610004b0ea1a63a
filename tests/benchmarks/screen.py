"""Measures the screen: first paint, first verdict, from a key to the terminal, frames a second.

    .venv/bin/python tests/benchmarks/screen.py ./mnist --data DIR

It opens `nndbg run` in a pseudo-terminal of 120 columns and 40 lines and reads what comes out of
it, as a terminal would. A key is timed from the moment when it is written until the index of the
element under the cursor has come, which every key moves. `stopped` and `running` move through the
784 x 128 weights of the first layer, while the program stands and while it runs to the next
divergence, which there is none of. Scrolling is by pages, each key sent as soon as the one before
is answered. What else the machine does is in the figures: see the load.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path
from statistics import median, quantiles

SIZE = (40, 120)
QUIET = 0.015
PATIENCE = 30.0
GOALS = {"first paint": 0.7, "first verdict": 1.5, "key, stopped": 0.05, "key, running": 0.05}
FRAMES = 30.0
# The op that writes the weights of the first layer, and how the screen names one of them.
OP, INDEX = "dW1_update_W1", re.compile(rb"W1\[\d+, \d+\]")
MOVES = (b"j", b"l", b"k", b"h")
DOWN, UP = b"\x1b[6~", b"\x1b[5~"


class Terminal:
    """One `nndbg run` in a terminal of ours."""

    def __init__(self, command: list[str]) -> None:
        self.begun = time.perf_counter()
        self.pid, self.descriptor = pty.fork()
        if not self.pid:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execvp(command[0], command)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
        self.seen = b""

    def read(self, timeout: float) -> bytes:
        """What comes within `timeout` seconds, empty where nothing does."""
        if not select.select([self.descriptor], [], [], timeout)[0]:
            return b""
        try:
            data = os.read(self.descriptor, 1 << 20)
        except OSError:
            return b""  # the terminal of a program that has ended
        self.seen = (self.seen + data)[-(1 << 20) :]
        return data

    def until(self, text: str) -> float:
        """Seconds from the start until `text` came."""
        asked = time.perf_counter()
        while text.encode() not in self.seen:
            if time.perf_counter() - asked > PATIENCE:
                raise SystemExit(f"{text!r} never came")
            self.read(1.0)
        return time.perf_counter() - self.begun

    def write(self, keys: bytes) -> None:
        """Type."""
        os.write(self.descriptor, keys)

    def move(self, key: bytes) -> float:
        """Seconds from a key until the cursor is said to be on another element."""
        self.drain()
        self.seen = b""
        begun = time.perf_counter()
        self.write(key)
        while not INDEX.search(self.seen):
            if time.perf_counter() - begun > PATIENCE:
                raise SystemExit(f"nothing came of the key {key!r}")
            self.read(1.0)
        return time.perf_counter() - begun

    def drain(self) -> None:
        """Take what is still to come."""
        while self.read(QUIET):
            pass

    def close(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while not os.waitpid(self.pid, os.WNOHANG)[0] and time.monotonic() < deadline:
            self.read(0.05)
        os.close(self.descriptor)


def main() -> None:
    """Take the command line apart, measure, print a line for each figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program", type=Path, nargs="?", default=Path("./mnist"))
    parser.add_argument("--data", required=True, metavar="DIR", help="MNIST")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keys", type=int, default=100)
    options = parser.parse_args()
    nndbg = str(Path(sys.executable).parent / "nndbg")
    command = [nndbg, "run", str(options.program), "--", "--data", options.data]
    found: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        _starts(command, found)
    frames = _keys(command, options.keys, found)
    print(f"{options.rounds} starts, {options.keys} keys, load {os.getloadavg()[0]:.1f}")
    for name, seconds in found.items():
        worst = quantiles(seconds, n=20)[-1] if len(seconds) > 20 else max(seconds)
        goal = GOALS[name]
        judged = "" if worst <= goal else f"   over {goal:g} s"
        which = "95 %" if len(seconds) > 20 else "worst"
        print(f"{name:16} median {median(seconds):.4f} s   {which:5} {worst:.4f} s{judged}")
    judged = "" if frames >= FRAMES else f"   under {FRAMES:g}"
    print(f"{'scrolling':16} {frames:.1f} frames a second{judged}")


def _starts(command: list[str], found: dict[str, list[float]]) -> None:
    terminal = Terminal(command)
    try:
        found.setdefault("first paint", []).append(terminal.until("numbers"))
        terminal.until("where step 0 begins")
        os.write(terminal.descriptor, b"n")
        found.setdefault("first verdict", []).append(terminal.until("agree"))
    finally:
        terminal.close()


def _keys(command: list[str], keys: int, found: dict[str, list[float]]) -> float:
    terminal = Terminal(command)
    try:
        terminal.until("where step 0 begins")
        terminal.write(b"g")
        terminal.until("Go to step")
        terminal.drain()
        terminal.write(f"0 {OP}\r".encode())
        terminal.until(f"after {OP} of step 0")
        terminal.write(b"\r")
        # What the footer offers once the matrix has the focus.
        terminal.until("blame")
        found["key, stopped"] = [terminal.move(MOVES[n % len(MOVES)]) for n in range(keys)]
        frames = [terminal.move(DOWN if n // 20 % 2 == 0 else UP) for n in range(keys)]
        terminal.write(b"d")
        terminal.until("running")
        found["key, running"] = [terminal.move(MOVES[n % len(MOVES)]) for n in range(keys)]
        return 1 / median(frames)
    finally:
        terminal.close()


if __name__ == "__main__":
    main()
