"""Captures of a live program: runs it under GDB from boundary to boundary and reads its buffers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from nndbg.capture import Capture, Flat
from nndbg.errors import ProgramError
from nndbg.inferior.process import Inferior, Stop
from nndbg.layermap import Buffer, PlacedMap
from nndbg.layermap.model import DTYPES

# Buffers that lie closer than this are read in one go.
_NEAR = 4096
_LAST_WORDS = 3


@dataclass(frozen=True)
class _Span:
    """A stretch of memory and the buffers in it: name, first byte, element type, elements."""

    address: int
    size: int
    buffers: tuple[tuple[str, int, np.dtype[np.generic], int], ...]


class LiveSource:
    """Yields the captures of a program that runs under GDB. Owns the program: close it.

    `timeout` is how many seconds the program may take from one boundary to the next.
    """

    def __init__(
        self,
        placed: PlacedMap,
        arguments: Sequence[str] = (),
        timeout: float = 30.0,
        gdb: str = "gdb",
    ) -> None:
        self.layer_map = placed.layer_map
        self.executable = placed.executable
        self._placed = placed
        self._arguments = tuple(arguments)
        self._timeout = timeout
        self._gdb = gdb
        self._inferior: Inferior | None = None
        self._stops = 0
        self._constants: dict[str, Flat] = {}

    @property
    def output(self) -> str:
        """What the program printed; to be escaped before it is shown."""
        return self._inferior.terminal.text if self._inferior else ""

    def start(self, step: int) -> Capture:
        """Run the program from its beginning to where `step` begins, and capture there.

        Raises ProgramError when it ends, crashes or hangs before.
        """
        self.close()
        self._inferior = Inferior(self.executable, self._arguments, self._gdb)
        self._step = -1
        self._seen: set[str] = set()
        self._skipped: frozenset[str] = frozenset()
        self._pending: deque[str] = deque()
        self._last = "before the first step"
        self._constants.clear()
        self._set_breakpoints()
        self._listen_for_ops(False)
        if self._placed.seek_target is not None:
            self._seek(step, self._placed.seek_target)
        while self._step < step:
            stop = self._resume()
            if stop.is_exit:
                raise ProgramError(
                    f"the program ended {self._last}: it has no step {step}. "
                    "Name an earlier step, or let the program run longer."
                )
            self._begin_step(stop)
        if self._step != step:
            raise ProgramError(
                f"the program began step {self._step} where step {step} was sought. "
                "Do `counter` and `seek` in the layer map name the right variables?"
            )
        self._listen_for_ops(True)
        return self._capture(None)

    def next(self) -> Capture | None:
        """Run to the next boundary and capture there; None once the program has ended well.

        Raises ProgramError when it crashes, hangs, or ends with an exit code other than 0.
        """
        if self._pending:
            return self._capture(self._pending.popleft())
        while True:
            stop = self._resume()
            if stop.is_exit:
                return None
            if stop.breakpoint in self._step_breakpoints:
                self._begin_step(stop)
                self._listen_for_ops(True)
                return self._capture(None)
            if len(self._seen) + len(self._skipped) == len(self.layer_map.ops):
                # The step is over: this call is from elsewhere, as an evaluation makes it.
                self._listen_for_ops(False)
                continue
            here = [name for name in self._ops_at[stop.breakpoint] if name not in self._skipped]
            if here:
                self._address = stop.address
                self._pending.extend(here[1:])
                return self._capture(here[0])

    def constant(self, buffer: Buffer) -> Flat:
        """Return a constant buffer in one dimension, read once."""
        if buffer.name not in self._constants:
            address = self._address_of(buffer)
            self._constants[buffer.name] = self._read(
                address, DTYPES[buffer.dtype], buffer.elements(self._sizes())
            )
        return self._constants[buffer.name]

    def interrupt(self) -> None:
        """Stop the program where it is; for another thread than the one that waits."""
        if self._inferior is not None:
            self._inferior.interrupt()

    def close(self) -> None:
        """Kill the program and end GDB."""
        if self._inferior is not None:
            self._inferior.close()
            self._inferior = None

    @property
    def _running(self) -> Inferior:
        if self._inferior is None:
            raise ProgramError("the program is not running.")
        return self._inferior

    def _set_breakpoints(self) -> None:
        ops_at: dict[int, list[str]] = {}
        for op in self.layer_map.ops:
            for address in self._placed.done[op.name]:
                ops_at.setdefault(address, []).append(op.name)
        self._ops_at: dict[int | None, tuple[str, ...]] = {
            self._running.break_at(address): tuple(names) for address, names in ops_at.items()
        }
        self._step_breakpoints = {self._running.break_at(a) for a in self._placed.step}
        self._hears_ops = True
        self._spans = self._plan()

    def _listen_for_ops(self, on: bool) -> None:
        if self._hears_ops != on:
            self._running.enable((n for n in self._ops_at if n is not None), on)
            self._hears_ops = on

    def _seek(self, step: int, target: int) -> None:
        """Let the program run to `step` with one stop, at the boundary that it seeks by itself."""
        self._running.memory.write(target + self._running.load_offset, step.to_bytes(8, "little"))
        self._running.enable(self._step_breakpoints, on=False)
        seeks = {self._running.break_at(address) for address in self._placed.seek}
        if self._resume().is_exit:
            raise ProgramError(
                f"the program ended before step {step}. Name an earlier step, or let it run longer."
            )
        self._running.enable(seeks, on=False)
        self._running.enable(self._step_breakpoints)

    def _resume(self) -> Stop:
        """Run to the next breakpoint, or to the program's good end; anything else raises."""
        stop = self._running.resume(self._timeout)
        if stop.is_exit and stop.reason != "exited-normally":
            how = f"with exit code {stop.exit_code}" if stop.exit_code else f"by {stop.signal}"
            words = [line for line in self.output.splitlines() if line.strip()][-_LAST_WORDS:]
            said = f" It said: {' / '.join(words)}" if words else ""
            raise ProgramError(f"the program ended {how}, {self._last}.{said}")
        if not stop.is_exit and stop.breakpoint is None:
            what = f"got {stop.signal}" if stop.signal else f"stopped ({stop.reason})"
            place = self._running.describe(stop.address)
            raise ProgramError(f"the program {what} in {place}, {self._last}.")
        return stop

    def _begin_step(self, stop: Stop) -> None:
        self._address = stop.address
        counter = self._placed.counter
        self._step = self._step + 1 if counter is None else self._integer(counter, "u64")
        self._seen.clear()
        self._skipped = frozenset(
            op.name
            for op in self.layer_map.ops
            if op.when is not None
            and self._integer(self._placed.conditions[op.name], op.when.dtype) != op.when.value
        )
        self._last = f"at the beginning of step {self._step}"

    def _capture(self, op: str | None) -> Capture:
        sizes = self._sizes()
        addresses = {
            buffer.name: self._address_of(buffer) for buffer in self.layer_map.buffers.values()
        }
        flat: dict[str, Flat] = {}
        for span in self._spans:
            data = self._running.memory.read(span.address, span.size)
            for name, offset, dtype, count in span.buffers:
                flat[name] = np.frombuffer(data, dtype, count, offset)
        for buffer in self.layer_map.buffers.values():
            if buffer.is_pointer and not buffer.is_constant and addresses[buffer.name]:
                flat[buffer.name] = self._read(
                    addresses[buffer.name], DTYPES[buffer.dtype], buffer.elements(sizes)
                )
        capture = Capture(
            step=self._step,
            op=op,
            stop=self._stops,
            address=self._address,
            sizes=MappingProxyType(sizes),
            addresses=MappingProxyType(addresses),
            flat=MappingProxyType(flat),
            skipped=self._skipped,
        )
        self._stops += 1
        if op is not None:
            self._seen.add(op)
            self._last = f"after {op} of step {self._step}"
        return capture

    def _plan(self) -> tuple[_Span, ...]:
        """Group the buffers that lie at symbols into stretches to read at once."""
        largest = {name: size.largest or 1 for name, size in self.layer_map.sizes.items()}
        placed = sorted(
            (
                (self._address_of(buffer), buffer)
                for buffer in self.layer_map.buffers.values()
                if not buffer.is_pointer and not buffer.is_constant
            ),
            key=lambda pair: pair[0],
        )
        spans: list[_Span] = []
        for address, buffer in placed:
            dtype, count = DTYPES[buffer.dtype], buffer.elements(largest)
            end = address + dtype.itemsize * count
            last = spans[-1] if spans else None
            if last is not None and address <= last.address + last.size + _NEAR:
                size = max(last.size, end - last.address)
                entry = (buffer.name, address - last.address, dtype, count)
                spans[-1] = _Span(last.address, size, (*last.buffers, entry))
            else:
                spans.append(_Span(address, end - address, ((buffer.name, 0, dtype, count),)))
        return tuple(spans)

    def _address_of(self, buffer: Buffer) -> int:
        place = self._placed.places[buffer.name]
        if buffer.is_pointer:
            return self._integer(place, "u64")
        return place + self._running.load_offset

    def _sizes(self) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for size in self.layer_map.sizes.values():
            if size.symbol is None:
                assert size.largest is not None
                sizes[size.name] = size.largest
                continue
            value = self._integer(self._placed.size_places[size.name], size.dtype)
            # Before the first batch a program may not have set its sizes.
            if value < 0 or (size.largest is not None and value > size.largest):
                raise ProgramError(
                    f"{self.layer_map.at('sizes', size.name)}: size {size.name} is {value} in the "
                    f"program ({size.symbol}), and the map says at most {size.largest}."
                )
            sizes[size.name] = value
        return sizes

    def _integer(self, address: int, dtype: str) -> int:
        return int(self._read(address + self._running.load_offset, DTYPES[dtype], 1)[0])

    def _read(self, address: int, dtype: np.dtype[np.generic], count: int) -> Flat:
        return np.frombuffer(self._running.memory.read(address, dtype.itemsize * count), dtype)
