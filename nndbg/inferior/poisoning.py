"""Writes poison into the program's buffers, and gives back what nobody has overwritten."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.capture import Flat
from nndbg.compare import bits
from nndbg.inferior.memory import Memory
from nndbg.inferior.reader import Snapshot
from nndbg.layermap import LayerMap, Op
from nndbg.layermap.model import DTYPES
from nndbg.poison import dead_at_the_beginning, dead_before, numbered, pattern


@dataclass(frozen=True, eq=False)
class Unwritten:
    """An output in one dimension with the numbers given back that `mask` says were not written."""

    flat: Flat
    mask: NDArray[np.bool_]


class Poisoning:
    """The poison of one step: filled in as it begins and where ops begin.

    What an op leaves unwritten gets its numbers back when it is complete, so that the ops behind
    it are seen with the inputs that they would have had.
    """

    def __init__(
        self, layer_map: LayerMap, ops: Sequence[Op], memory: Memory, begin: Snapshot
    ) -> None:
        self._map = layer_map
        self._ops = {op.name: op for op in ops}
        self._memory = memory
        shared = _overlapping(layer_map, begin)
        self._numbers = {n: k for n, k in numbered(layer_map).items() if n not in shared}
        self._before: dict[str, NDArray[Any]] = {}
        self._fill(dead_at_the_beginning(ops), begin)

    def enter(self, op: str, complete: Collection[str], snapshot: Snapshot) -> None:
        """Fill the outputs of an op that begins; `complete` are the ops that are so by now."""
        self._fill(dead_before(self._ops[op], tuple(self._ops.values()), complete), snapshot)

    def done(self, op: str, snapshot: Snapshot) -> dict[str, Unwritten]:
        """Give back what an op, which is complete now, has not overwritten of its outputs."""
        left: dict[str, Unwritten] = {}
        for name in self._ops[op].outputs.values():
            before = self._before.pop(name, None)
            if before is None:
                continue
            flat = snapshot.flat[name]
            now = bits(flat)
            mask = np.zeros(now.size, np.bool_)
            mask[: before.size] = now[: before.size] == self._word(name, now)
            if mask.any():
                mended = now.copy()
                mended[mask] = before[mask[: before.size]]
                self._memory.write(snapshot.addresses[name], mended.tobytes())
                mended.flags.writeable = False
                left[name] = Unwritten(mended.view(flat.dtype), mask)
        return left

    def _fill(self, names: set[str], snapshot: Snapshot) -> None:
        for name in names & self._numbers.keys():
            count = self._map.buffers[name].elements(snapshot.sizes)
            now = bits(snapshot.flat[name])
            poison = self._word(name, now)
            before = now[: max(count, self._before.get(name, now[:0]).size)].copy()
            if (earlier := self._before.get(name)) is not None:
                same = before[: earlier.size] == poison
                before[: earlier.size][same] = earlier[same]
            self._before[name] = before
            filled = np.full(count, poison, now.dtype)
            self._memory.write(snapshot.addresses[name], filled.tobytes())

    def _word(self, name: str, like: NDArray[Any]) -> int:
        return int.from_bytes(pattern(self._numbers[name], like.itemsize), "little")


def _overlapping(layer_map: LayerMap, snapshot: Snapshot) -> set[str]:
    """Return the buffers that share memory with another one: to poison one would spoil both."""
    largest = {name: size.largest or 1 for name, size in layer_map.sizes.items()}
    ranges = sorted(
        (address, address + buffer.elements(largest) * DTYPES[buffer.dtype].itemsize, buffer.name)
        for buffer in layer_map.buffers.values()
        if (address := snapshot.addresses[buffer.name])
    )
    shared: set[str] = set()
    reach, holder = 0, ""
    for begin, end, name in ranges:
        if begin < reach:
            shared |= {holder, name}
        if end > reach:
            reach, holder = end, name
    return shared
