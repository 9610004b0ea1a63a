"""The stops that a run came by: by them another run is told to be the same, or not to be."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nndbg.capture import Capture
from nndbg.compare import bits
from nndbg.errors import ProgramError
from nndbg.layermap import LayerMap

_ADVICE = (
    "Going back would show another run. Take from the program what makes it differ (an unset seed, "
    "the time, threads), or start it again."
)


class Stop(NamedTuple):
    """One stop of a run: `number` counts those of its step, 0 where the step begins."""

    step: int
    number: int


class Trail:
    """The stops of one run in their order, each with a checksum of every buffer.

    A run comes by a stop a second time only where the program is run again to go back. The buffers
    are compared as far as their sizes reach at the stop; constant ones are not.
    """

    def __init__(self, layer_map: LayerMap) -> None:
        self._buffers = tuple(b for b in layer_map.buffers.values() if not b.is_constant)
        self._ops: dict[int, list[str | None]] = {}
        self._sums: dict[Stop, NDArray[np.uint32]] = {}
        self._whole: set[int] = set()
        # The captures of the step that was noted last: its ledger has them as well.
        self._held: dict[Stop, Capture] = {}

    def note(self, stop: Stop, capture: Capture) -> None:
        """Take note of a stop. Raises ProgramError where it is known, and was another then."""
        ops, sums = self._ops.setdefault(stop.step, []), self._checksums(capture)
        if stop in self._sums:
            self._compare(stop, capture, sums)
            return
        assert len(ops) == stop.number, "stops are noted in their order"
        ops.append(capture.op)
        self._sums[stop] = sums
        if any(held.step != stop.step for held in self._held):
            self._held.clear()
        self._held[stop] = capture

    def close(self, step: int) -> None:
        """Take note that no more stops of `step` come."""
        self._whole.add(step)

    def is_whole(self, step: int) -> bool:
        """Whether all stops of `step` are known."""
        return step in self._whole

    def knows(self, stop: Stop) -> bool:
        """Whether the run came by `stop`."""
        return stop in self._sums

    def ops(self, step: int) -> Sequence[str | None]:
        """Return the ops that were complete at the stops of `step`, in their order."""
        return tuple(self._ops.get(step, ()))

    def _checksums(self, capture: Capture) -> NDArray[np.uint32]:
        """Return one number a buffer; 0 for a null pointer. The length counts too."""
        counts = ((b.name, b.elements(capture.sizes)) for b in self._buffers)
        sums = (
            zlib.crc32(capture.flat[name][:count].data, count) if name in capture.flat else 0
            for name, count in counts
        )
        return np.fromiter(sums, np.uint32, len(self._buffers))

    def _compare(self, stop: Stop, capture: Capture, sums: NDArray[np.uint32]) -> None:
        was = self._ops[stop.step][stop.number]
        if was != capture.op:
            raise ProgramError(
                f"this program is not deterministic: stop {stop.number} of step {stop.step} was "
                f"{_place(was, stop.step)}, and is {_place(capture.op, capture.step)}. {_ADVICE}"
            )
        changed = np.flatnonzero(self._sums[stop] != sums)
        if not changed.size:
            return
        buffer = self._buffers[int(changed[0])]
        found, held = "", self._held.get(stop)
        if held is not None and buffer.name in held.flat and buffer.name in capture.flat:
            found = _difference(buffer.name, held.shaped(buffer), capture.shaped(buffer))
        raise ProgramError(
            f"this program is not deterministic: {buffer.name} {_place(was, stop.step)} is not "
            f"what it was{found}. {_ADVICE}"
        )


def _place(op: str | None, step: int) -> str:
    return f"where step {step} begins" if op is None else f"after {op} of step {step}"


def _difference(name: str, before: NDArray[Any], now: NDArray[Any]) -> str:
    if before.shape != now.shape:
        return f": it is [{_list(now.shape)}] now, and was [{_list(before.shape)}]"
    differs = np.argwhere(bits(before) != bits(now))
    index = tuple(int(i) for i in differs[0])
    element = f"{name}[{_list(index)}]" if index else name
    return (
        f": {element}, the first of {len(differs)} elements, was {before[index]:.9g}, and is "
        f"{now[index]:.9g}"
    )


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
