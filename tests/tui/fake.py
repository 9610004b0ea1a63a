"""A program that never was: a source of captures for a small network, with faults on demand."""

from collections.abc import Collection, Mapping
from threading import Event

import numpy as np

from nndbg.capture import Capture, Flat
from nndbg.elf import Executable
from nndbg.errors import GdbError, InterruptedByUser, Paused, ProgramError
from nndbg.layermap import Buffer, parse_map
from nndbg.machine import RegisterFile
from nndbg.places import Place

MAP = """
[program]
name = "fake"
step = "enter:step"

[sizes]
batch = 4
in = 6
hidden = 30
out = 3

[buffers]
x  = { dtype = "f32", shape = ["batch", "in"] }
W1 = { dtype = "f32", shape = ["in", "hidden"] }
b1 = { dtype = "f32", shape = ["hidden"] }
z1 = { dtype = "f32", shape = ["batch", "hidden"] }
h1 = { dtype = "f32", shape = ["batch", "hidden"] }
W2 = { dtype = "f32", shape = ["hidden", "out"] }
b2 = { dtype = "f32", shape = ["out"] }
z2 = { dtype = "f32", shape = ["batch", "out"] }

[[ops]]
name = "dense1"
kind = "dense"
in = { x = "x", W = "W1", b = "b1" }
out = "z1"
done = "enter:dense1"

[[ops]]
name = "relu1"
kind = "relu"
in = { z = "z1" }
out = "h1"
done = "enter:relu1"

[[ops]]
name = "dense2"
kind = "dense"
in = { x = "h1", W = "W2", b = "b2" }
out = "z2"
done = "enter:dense2"
"""
# Of a FakeMachine: how many an op has, and the address of one in the middle.
INSTRUCTIONS, HALT = 3, 0x402000
OPS = ("dense1", "relu1", "dense2")
# What the wrong op adds to its column 1.
WRONG = 0.5
DEADLINE = 20.0


class FakeSource:
    """Yields `steps` steps. The others name a step and the op in which it happens.

    A blocked program goes on once it was interrupted. With a `drift` each run is another one.
    """

    def __init__(
        self,
        steps: int = 4,
        wrong: tuple[int, str] | None = (2, "dense2"),
        blocks: tuple[int, str] | None = None,
        fails: tuple[int, str] | None = None,
        exits: tuple[int, str] | None = None,
        drift: float = 0.0,
    ) -> None:
        self.layer_map = parse_map(MAP, "fake.toml")
        self.executable: Executable | None = None
        self.steps, self.wrong = steps, wrong
        self.blocks, self.fails, self.exits = blocks, fails, exits
        self.blocked, self.interrupted, self.closed = Event(), Event(), Event()
        self.drift = drift
        self.starts: list[int] = []
        self.poisoned: list[bool] = []
        self.output = "made up\n"
        self._stop = 0

    def start(self, step: int, poison: bool = False) -> Capture:
        self.starts.append(step)
        self.poisoned.append(poison)
        if step >= self.steps:
            raise ProgramError(f"the program ended: it has no step {step}.")
        random = np.random.default_rng(7)
        self._buffers = {
            buffer.name: random.uniform(-1, 1, buffer.elements({})).astype(np.float32)
            for buffer in self._numbered().values()
        }
        self._step, self._next = step, 0
        for _ in range(step):
            self._pass()
        self._buffers["x"] += np.float32(self.drift * len(self.starts))
        return self._capture(None)

    def next(self) -> Capture | None:
        if self._next == len(OPS):
            self._step, self._next = self._step + 1, 0
            self._buffers["x"] *= np.float32(0.9)
            return self._capture(None) if self._step < self.steps else None
        op = OPS[self._next]
        here = (self._step, op)
        if here == self.blocks:
            self.interrupted.clear()
            self.blocked.set()
            assert self.interrupted.wait(DEADLINE), "nobody interrupted the program"
            self.blocks = None
            raise InterruptedByUser("interrupted in a loop")
        if here == self.exits:
            return None
        if here == self.fails:
            raise ProgramError(f"the program got SIGSEGV in {op} [red]at[/] 0x0.")
        self._next += 1
        self._run(op)
        if here == self.wrong:
            column = self._buffers[self.layer_map.op(op).outputs["z"]].reshape(4, -1)[:, 1]
            column += np.float32(WRONG)
        return self._capture(op)

    def constant(self, buffer: Buffer) -> Flat:
        raise AssertionError(f"{buffer.name} is not constant")

    def heal(self, buffers: Mapping[str, Flat]) -> Capture:
        for name, flat in buffers.items():
            self._buffers[name][:] = flat
        return self._capture(OPS[self._next - 1])

    def sweep(self, on: bool) -> None:
        self.sweeps = on

    def interrupt(self) -> None:
        self.interrupted.set()

    def close(self) -> None:
        self.closed.set()

    def _pass(self) -> None:
        """Run a step that nobody looks at."""
        for op in OPS:
            self._run(op)
        self._buffers["x"] *= np.float32(0.9)

    def _run(self, op: str) -> None:
        b = {name: self._buffers[name].reshape(self._shape(name)) for name in self._buffers}
        match op:
            case "dense1":
                b["z1"][:] = b["x"] @ b["W1"] + b["b1"]
            case "relu1":
                b["h1"][:] = np.maximum(b["z1"], 0)
            case "dense2":
                b["z2"][:] = b["h1"] @ b["W2"] + b["b2"]

    def _capture(self, op: str | None) -> Capture:
        self._stop += 1
        return Capture(
            step=self._step,
            op=op,
            stop=self._stop,
            address=0x401000 + self._stop,
            sizes=self._sizes(),
            addresses=dict.fromkeys(self._buffers, 5242880),
            flat={name: flat.copy() for name, flat in self._buffers.items()},
        )

    def _sizes(self) -> Mapping[str, int]:
        return {name: size.largest or 0 for name, size in self.layer_map.sizes.items()}

    def _shape(self, name: str) -> tuple[int, ...]:
        return self.layer_map.buffers[name].extents(self._sizes())

    def _numbered(self) -> Mapping[str, Buffer]:
        """The buffers with their shapes in numbers."""
        return {
            name: Buffer(name, buffer.dtype, self._shape(name), buffer.symbol)
            for name, buffer in self.layer_map.buffers.items()
        }


class FakeMachine(FakeSource):
    """A FakeSource whose program stands under a debugger: each op has `INSTRUCTIONS`."""

    def __init__(self, **faults: object) -> None:
        super().__init__(**faults)
        self.halts: tuple[Collection[int], Collection[Place]] = ((), ())
        self.asked: list[str] = []
        self._at = 0

    def registers(self) -> RegisterFile | None:
        lanes = np.array([self._at, 1.5, 0, 0], np.float32).tobytes()
        return RegisterFile(
            address=0x401000 + self._stop + 0x100 * self._at,
            general={"rax": self._at, "rip": 0x401000, "eflags": 0x246},
            vectors={"xmm0": lanes, "xmm1": bytes(16)},
            masks={"k0": 0, "k1": 255},
        )

    def step(self, over: bool) -> Capture | None:
        self._at += INSTRUCTIONS if over else 1
        if self._at < INSTRUCTIONS:
            raise Paused(f"in the middle, instruction {self._at}")
        return self.next()

    def next(self) -> Capture | None:
        if HALT in self.halts[0] and not self._at:
            self._at = 1
            raise Paused("at the breakpoint")
        self._at = 0
        return super().next()

    def stop_at(self, addresses: Collection[int], elements: Collection[Place]) -> None:
        self.halts = (addresses, elements)

    def ask(self, command: str) -> str:
        self.asked.append(command)
        if command == "nonsense":
            raise GdbError("GDB refused it.")
        return f"the answer to {command}\n"
