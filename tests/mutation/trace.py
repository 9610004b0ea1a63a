"""Dumps a program's buffers at every op boundary of the first steps of a phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.capture import Capture
from nndbg.elf import read_executable
from nndbg.errors import NndbgError
from nndbg.inferior import LiveSource
from nndbg.layermap import Buffer, LayerMap, load_map
from nndbg.source import Source

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Stop:
    """What the buffers held where an op was complete, or where a step began (`op` is None).

    `flat` has every buffer in one dimension, in its whole reserved extent.
    """

    step: int
    op: str | None
    sizes: Mapping[str, int]
    skipped: frozenset[str]
    flat: Mapping[str, Array]

    def shaped(self, buffer: Buffer) -> Array:
        """Return the elements in use, in their shape. Raises KeyError where there are none."""
        count = buffer.elements(self.sizes)
        return self.flat[buffer.name][:count].reshape(buffer.extents(self.sizes))


@dataclass(frozen=True, eq=False)
class Trace:
    """The stops of one run; `error` says what ended it before all steps were complete."""

    layer_map: LayerMap | None
    stops: tuple[Stop, ...]
    constants: Mapping[str, Array]
    error: str | None


def read_trace(
    program: Path, phase: str, steps: int, arguments: Sequence[str], timeout: float
) -> Trace:
    """Run the program under GDB through the first `steps` steps of `phase`.

    Steps are counted here and none is sought: what the program does with its counter and its seek
    is no part of what it computes.
    """
    try:
        placed = load_map(read_executable(program), None, phase)
        placed = replace(placed, counter=None, seek_target=None, seek=())
        with closing(LiveSource(placed, arguments, timeout)) as source:
            return follow(source, steps)
    except NndbgError as problem:
        return Trace(None, (), {}, str(problem))


def follow(source: Source, steps: int) -> Trace:
    """Move a source through its first `steps` steps and keep what it captures."""
    stops: list[Stop] = []
    constants: dict[str, Array] = {}
    error: str | None = None
    try:
        capture: Capture | None = source.start(0)
        assert capture is not None
        for buffer in source.layer_map.buffers.values():
            # A null pointer names no array.
            if buffer.is_constant and capture.addresses.get(buffer.name) != 0:
                constants[buffer.name] = source.constant(buffer)
        while capture is not None:
            stops.append(_stop(capture, stops[-1] if stops else None))
            if capture.op is None and capture.step == steps:
                break
            capture = source.next()
    except NndbgError as problem:
        error = str(problem)
    if error is None and not _is_complete(source.layer_map, stops, steps):
        error = "the program ended before all steps were complete"
    return Trace(source.layer_map, tuple(stops), constants, error)


def _is_complete(layer_map: LayerMap, stops: Sequence[Stop], steps: int) -> bool:
    """Whether the last step was left behind, or its last op complete when the program ended."""
    if not stops or stops[-1].step < steps - 1:
        return False
    last = stops[-1]
    active = [op.name for op in layer_map.ops if op.name not in last.skipped]
    done = {stop.op for stop in stops if stop.step == steps - 1}
    return last.step == steps or not active or active[-1] in done


def _stop(capture: Capture, last: Stop | None) -> Stop:
    """Keep what changed; what did not is shared with the last stop."""
    flat: dict[str, Array] = {}
    for name, array in capture.flat.items():
        before = last.flat.get(name) if last is not None else None
        flat[name] = before if before is not None and same_bits(before, array) else array.copy()
    return Stop(capture.step, capture.op, dict(capture.sizes), capture.skipped, flat)


def same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays have the same bytes; zeros of either sign differ, NaNs may agree."""
    if a is b:
        return True
    width = f"u{a.dtype.itemsize}"
    return a.shape == b.shape and bool(np.array_equal(a.view(width), b.view(width)))
