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
_MOST_PADDING = 256


@dataclass(frozen=True)
class _Placed:
    """A buffer in a stretch: its first byte there, and how many bytes of nothing follow it."""

    name: str
    offset: int
    dtype: np.dtype[np.generic]
    count: int
    padding: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.dtype.itemsize * self.count


@dataclass(frozen=True)
class _Span:
    """A stretch of memory that is read at once, and the buffers in it."""

    address: int
    size: int
    buffers: tuple[_Placed, ...]


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
        # What has happened at this stop and is still to be captured: ops, None for a new step.
        self._pending: deque[str | None] = deque()
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
            self._address = stop.address
            self._begin_step()
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
            return self._arrive(self._pending.popleft())
        while True:
            stop = self._resume()
            if stop.is_exit:
                return None
            self._address = stop.address
            ops = self._ops_at.get(stop.address, ())
            if ops and self._is_elsewhere(ops):
                self._listen_for_ops(False)
            else:
                self._pending.extend(name for name in ops if name not in self._skipped)
            if stop.address in self._placed.step:
                self._pending.append(None)
            if self._pending:
                return self._arrive(self._pending.popleft())

    def _arrive(self, op: str | None) -> Capture:
        """Capture where `op` is complete, or where the next step begins."""
        if op is None:
            self._begin_step()
            self._listen_for_ops(True)
        return self._capture(op)

    def _is_elsewhere(self, names: tuple[str, ...]) -> bool:
        """Whether an op comes that is no part of the step, as when an evaluation calls it.

        So it is once all ops were complete, and where an op comes again behind later ones.
        """
        if len(self._seen) + len(self._skipped) == len(self.layer_map.ops):
            return True
        order = [op.name for op in self.layer_map.ops]
        latest = max((order.index(name) for name in self._seen), default=-1)
        return all(name in self._seen and order.index(name) < latest for name in names)

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
        ops_at: dict[int, tuple[str, ...]] = {}
        for op in self.layer_map.ops:
            for address in self._placed.done[op.name]:
                ops_at[address] = (*ops_at.get(address, ()), op.name)
        self._ops_at = ops_at
        steps = set(self._placed.step)
        self._step_breakpoints = {self._running.break_at(address) for address in steps}
        self._op_breakpoints = {
            self._running.break_at(address) for address in ops_at if address not in steps
        }
        self._hears_ops = True
        self._spans = self._plan()

    def _listen_for_ops(self, on: bool) -> None:
        if self._hears_ops != on:
            self._running.enable(self._op_breakpoints, on)
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

    def _begin_step(self) -> None:
        counter = self._placed.counter
        self._step = self._step + 1 if counter is None else self._integer(counter, "u64")
        self._seen.clear()
        self._skipped = frozenset(
            op.name
            for op in self.layer_map.ops
            if op.when is not None
            and self._integer(self._placed.conditions[op.name], op.when.dtype) not in op.when.values
        )
        self._last = f"at the beginning of step {self._step}"

    def _capture(self, op: str | None) -> Capture:
        sizes = self._sizes()
        addresses = {
            buffer.name: self._address_of(buffer) for buffer in self.layer_map.buffers.values()
        }
        flat: dict[str, Flat] = {}
        memory: dict[int, memoryview] = {}
        padding: dict[str, Flat] = {}
        for span in self._spans:
            data = self._running.memory.read(span.address, span.size)
            memory[span.address] = data
            for placed in span.buffers:
                flat[placed.name] = np.frombuffer(data, placed.dtype, placed.count, placed.offset)
                padding[placed.name] = np.frombuffer(data, np.uint8, placed.padding, placed.end)
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
            memory=MappingProxyType(memory),
            padding=MappingProxyType(padding),
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
            padding = self._padding(buffer, end)
            last = spans.pop() if spans else None
            if last is not None and address > last.address + last.size + _NEAR:
                spans.append(last)
                last = None
            start = last.address if last is not None else address
            size = max(end + padding - start, last.size if last is not None else 0)
            entry = _Placed(buffer.name, address - start, dtype, count, padding)
            spans.append(_Span(start, size, (*(last.buffers if last is not None else ()), entry)))
        return tuple(spans)

    def _padding(self, buffer: Buffer, end: int) -> int:
        """Return how many bytes behind `buffer`, which ends at `end`, belong to no symbol.

        Labels of the buffer itself, such as `W1.end`, do not count; where no symbol follows
        closely nothing is known of the bytes.
        """
        linked = end - self._running.load_offset
        following = (
            symbol.address
            for symbol in self.executable.symbols.values()
            if linked <= symbol.address <= linked + _MOST_PADDING
            and not symbol.name.startswith(f"{buffer.symbol}.")
        )
        return min(following, default=linked) - linked

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
