"""What all tests share: the trainer, GDB, MNIST, tiny data sets, and a source without a program."""

from __future__ import annotations

import gzip
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from nndbg.capture import Capture
from nndbg.errors import ProgramError
from nndbg.layermap import Buffer, parse_map
from nndbg.layermap.model import DTYPES

ROOT = Path(__file__).resolve().parents[1]
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx_images(pixels: np.ndarray) -> bytes:
    """An IDX file of pixels [samples, rows, columns]."""
    return struct.pack(">4I", 0x803, *pixels.shape) + pixels.astype(np.uint8).tobytes()


def idx_labels(labels: np.ndarray) -> bytes:
    """An IDX file of labels [samples]."""
    return struct.pack(">2I", 0x801, len(labels)) + labels.astype(np.uint8).tobytes()


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def program(root: Path) -> Path:
    path = root / "mnist"
    if not path.is_file():
        pytest.skip("./mnist is not there: run ./build.sh")
    return path


@pytest.fixture(scope="session")
def gdb() -> str:
    path = shutil.which("gdb")
    if path is None:
        pytest.skip("gdb is not installed")
    return path


@pytest.fixture(scope="session")
def mnist(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST itself, unpacked."""
    source = root.parent / "shared" / "mnist"
    if not all((source / f"{name}.gz").is_file() for name in FILES):
        pytest.skip("MNIST is not in ../shared/mnist")
    directory = tmp_path_factory.mktemp("mnist")
    for name in FILES:
        (directory / name).write_bytes(gzip.decompress((source / f"{name}.gz").read_bytes()))
    return directory


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """150 training and 70 test samples of noise: two full batches and a short one."""
    directory = tmp_path / "tiny"
    directory.mkdir()
    random = np.random.default_rng(7)
    for prefix, samples in (("train", 150), ("t10k", 70)):
        pixels = random.integers(0, 256, (samples, 28, 28))
        labels = random.integers(0, 10, samples)
        (directory / f"{prefix}-images-idx3-ubyte").write_bytes(idx_images(pixels))
        (directory / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_labels(labels))
    return directory


SMALL_MAP = """\
[program]
name = "small"
step = "enter:step"

[sizes]
n = { symbol = "rows", max = 4 }
i = 3
o = 2

[buffers]
table = { dtype = "f32", shape = [5, "i"], constant = true }
index = { dtype = "u8", shape = ["n"] }
x  = { dtype = "f32", shape = ["n", "i"] }
W  = { dtype = "f32", shape = ["i", "o"] }
b  = { dtype = "f32", shape = ["o"] }
z  = { dtype = "f32", shape = ["n", "o"] }
h  = { dtype = "f32", shape = ["n", "o"] }
g  = { pointer = "g_at", dtype = "f32", shape = ["n", "o"] }
dz = { dtype = "f32", shape = ["n", "o"] }
dx = { dtype = "f32", shape = ["n", "i"] }
dW = { dtype = "f32", shape = ["i", "o"] }
lr = { dtype = "f32", shape = [] }

[[ops]]
name = "load"
kind = "gather"
in   = { table = "table", index = "index" }
out  = "x"
done = "enter:load"

[[ops]]
name = "dense"
kind = "dense"
in   = { x = "x", W = "W", b = "b" }
out  = "z"
done = "enter:dense"

[[ops]]
name = "relu"
kind = "relu"
in   = { z = "z" }
out  = "h"
done = "enter:relu"

[[ops]]
name = "dz"
kind = "relu_grad"
in   = { grad = "g", z = "z" }
out  = "dz"
done = "enter:dz"

[[ops]]
name = "dx"
kind = "dense_grad_input"
in   = { grad = "dz", W = "W" }
out  = "dx"
done = "enter:dx"

[[ops]]
name = "dW"
kind = "dense_grad_weight"
in   = { x = "x", grad = "dz" }
out  = "dW"
done = "enter:dW"

[[ops]]
name = "update"
kind = "sgd"
in   = { param = "W", grad = "dW", lr = "lr" }
out  = "W"
done = "enter:update"
"""
IN_ORDER = ("load", "dense", "relu", "dz", "dx", "dW", "update")
State = dict[str, np.ndarray]


class FakeSource:
    """A source without a program: runs the small map's ops in NumPy, as a script has them.

    The script is a list of steps. A step lists what happens: the name of an op, computed as it
    should be; a pair of a name and a function that changes the state instead; a function alone,
    which changes the state between two ops; or an exception, which is raised there.
    """

    executable = None
    output = "what the program said\n"
    ROWS = 3

    def __init__(self, script: Sequence[Sequence[Event]], text: str = SMALL_MAP) -> None:
        self.layer_map = parse_map(text, "small.toml")
        self.text = text
        self.script = script
        self.is_closed = self.was_interrupted = False
        self.starts: list[int] = []

    def start(self, step: int) -> Capture:
        self.starts.append(step)
        self.rows, self.stops = self.ROWS, 0
        self.state = _state()
        self.events = iter(self._events())
        return self.go_to(step)

    def go_to(self, step: int) -> Capture:
        while True:
            capture = self.next()
            if capture is None:
                raise ProgramError(f"the program ended before step {step}.")
            if capture.op is None and capture.step == step:
                return capture

    def next(self) -> Capture | None:
        self.latest = next(self.events, None)
        return self.latest

    def constant(self, buffer: Buffer) -> np.ndarray:
        return self.state[buffer.name].reshape(-1).astype(DTYPES[buffer.dtype])

    def heal(self, buffers: Mapping[str, np.ndarray]) -> Capture:
        for name, numbers in buffers.items():
            self.state[name].reshape(-1)[: len(numbers)] = numbers
        self.stops -= 1
        self.latest = self._capture(self.latest.step, self.latest.op)
        return self.latest

    def sweep(self, on: bool) -> None:
        self.sweeps = on

    def interrupt(self) -> None:
        self.was_interrupted = True

    def close(self) -> None:
        self.is_closed = True

    def _events(self) -> Iterator[Capture]:
        for step, events in enumerate(self.script):
            yield self._capture(step, None)
            for event in events:
                if isinstance(event, Exception):
                    raise event
                if callable(event):
                    event(self.state)
                    continue
                op, act = event if isinstance(event, tuple) else (event, CORRECT[event])
                act(self.state)
                yield self._capture(step, op)

    def _capture(self, step: int, op: str | None) -> Capture:
        flat = {}
        for buffer in self.layer_map.buffers.values():
            if not buffer.is_constant and buffer.name in self.state:
                array = self.state[buffer.name].reshape(-1).astype(DTYPES[buffer.dtype])
                # What a pointer names is read in its extent at this stop, not a reserved one.
                flat[buffer.name] = array[: self.rows * 2] if buffer.is_pointer else array
        self.stops += 1
        return Capture(
            step=step,
            op=op,
            stop=self.stops - 1,
            address=0x401000 + self.stops,
            sizes={"n": self.rows, "i": 3, "o": 2},
            addresses={b: 0x50000 + 0x1000 * n for n, b in enumerate(self.layer_map.buffers)}
            | {"g": int(self.state.get("g_at", 0x7000))},
            flat=flat,
        )


Event = str | tuple[str, Callable[[State], None]] | Callable[[State], None] | Exception


def _state() -> State:
    """The buffers before the first step, in their reserved extent; all sums of them are exact."""
    random = np.random.default_rng(3)

    def eighths(*shape: int) -> np.ndarray:
        return (random.integers(1, 17, shape) / 8 * random.choice([-1, 1], shape)).astype("<f4")

    return {
        "table": eighths(5, 3),
        "index": np.array([4, 0, 2, 1], np.uint8),
        **{name: eighths(4, 3) for name in ("x", "dx")},
        **{name: eighths(4, 2) for name in ("z", "h", "g", "dz")},
        **{name: eighths(3, 2) for name in ("W", "dW")},
        "b": eighths(2),
        "lr": np.array(0.5, "<f4"),
    }


def _write(name: str, value: Callable[[State, slice], np.ndarray]) -> Callable[[State], None]:
    batch = slice(FakeSource.ROWS)

    def act(state: State) -> None:
        result = value(state, batch)
        state[name][: len(result)] = result

    return act


CORRECT: dict[str, Callable[[State], None]] = {
    "load": _write("x", lambda s, n: s["table"][s["index"][n]]),
    "dense": _write("z", lambda s, n: s["x"][n] @ s["W"] + s["b"]),
    "relu": _write("h", lambda s, n: np.maximum(s["z"][n], 0)),
    "dz": _write("dz", lambda s, n: np.where(s["z"][n] > 0, s["g"][n], 0)),
    "dx": _write("dx", lambda s, n: s["dz"][n] @ s["W"].T),
    "dW": _write("dW", lambda s, n: s["x"][n].T @ s["dz"][n]),
    "update": _write("W", lambda s, n: s["W"] - s["lr"] * s["dW"]),
}


@pytest.fixture(scope="session")
def fake() -> type[FakeSource]:
    return FakeSource


@pytest.fixture(scope="session")
def correct() -> Mapping[str, Callable[[State], None]]:
    """What each op of the small map does to the state, by name."""
    return CORRECT


Build = Callable[..., Path]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds a program from source, C or NASM, once a session: `build("crash", source, "-g")`.

    C is compiled with the flags given. NASM, which begins with `;`, is assembled with line
    information and linked as it is: it brings its own `_start`.
    """
    directory = tmp_path_factory.mktemp("programs")
    built: dict[tuple[str, ...], Path] = {}

    def build(name: str, source: str, *flags: str) -> Path:
        key = (name, source, *flags)
        if key not in built:
            place = directory / f"{len(built)}"
            place.mkdir()
            built[key] = _built(place, name, source, flags)
        return built[key]

    return build


def _built(place: Path, name: str, source: str, flags: tuple[str, ...]) -> Path:
    program, is_assembly = place / name, source.lstrip().startswith(";")
    needed = ("nasm", "ld") if is_assembly else ("gcc",)
    if absent := [tool for tool in needed if shutil.which(tool) is None]:
        pytest.skip(f"{' and '.join(absent)} not installed")
    text = program.with_suffix(".asm" if is_assembly else ".c")
    text.write_text(source)
    if is_assembly:
        steps = [
            ["nasm", "-f", "elf64", "-g", "-F", "dwarf", text.name, "-o", f"{name}.o"],
            ["ld", *flags, f"{name}.o", "-o", name],
        ]
    else:
        steps = [["gcc", *flags, text.name, "-o", name]]
    for step in steps:
        subprocess.run(step, cwd=place, check=True, timeout=60)
    return program
