"""Which element of which buffer an address is, and the other way round."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from nndbg.capture import Capture
from nndbg.errors import UsageError
from nndbg.layermap import Buffer, LayerMap
from nndbg.layermap.model import DTYPES

_ELEMENT = re.compile(r"\s*([\w.$@]+)\s*(?:\[([\d\s,]*)\])?\s*")


@dataclass(frozen=True)
class Place:
    """One element; `offset` is the byte in it that an address points to."""

    buffer: str
    index: tuple[int, ...]
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.buffer}[{','.join(map(str, self.index))}]" if self.index else self.buffer


def parse_place(text: str, layer_map: LayerMap) -> Place:
    """Return the element that `z1[3,17]` names. Raises UsageError where it is none of the map's."""
    match = _ELEMENT.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} names no element. Write one like this: 'z1[3,17]'.")
    buffer = layer_map.buffers.get(match[1])
    if buffer is None:
        known = ", ".join(layer_map.buffers)
        raise UsageError(f"the layer map has no buffer {match[1]}. It has: {known}.")
    index = tuple(int(part) for part in (match[2] or "").split(",") if part.strip())
    if len(index) != len(buffer.shape):
        shape = ", ".join(map(str, buffer.shape))
        raise UsageError(
            f"{match[1]} is [{shape}], and {text!r} has {len(index)} "
            f"ind{'ex' if len(index) == 1 else 'ices'}. Name one for each axis."
        )
    return Place(buffer.name, index)


class Places:
    """The buffers of one capture, by address as loaded.

    Where several lie in the same memory, an address is in the one that is `preferred`.
    """

    def __init__(
        self, layer_map: LayerMap, capture: Capture, preferred: Collection[str] = ()
    ) -> None:
        self._map = layer_map
        self._sizes = capture.sizes
        self._addresses: Mapping[str, int] = capture.addresses
        spans = [
            (start, start + self._bytes(layer_map.buffers[name]), name)
            for name, start in capture.addresses.items()
            if start
        ]
        self._spans = sorted(spans, key=lambda span: (span[2] not in preferred, span))

    def address(self, place: Place) -> int:
        """Return where an element lies. Raises UsageError for an index beyond the buffer."""
        buffer = self._map.buffers[place.buffer]
        extents = buffer.extents(self._sizes)
        if any(i >= extent for i, extent in zip(place.index, extents, strict=True)):
            shape = ", ".join(map(str, extents))
            raise UsageError(f"there is no {place}: {place.buffer} is [{shape}] in this step.")
        flat = int(np.ravel_multi_index(place.index, extents)) if extents else 0
        return self._addresses[place.buffer] + flat * self.width(place.buffer)

    def width(self, buffer: str) -> int:
        """Return how many bytes an element has."""
        return int(DTYPES[self._map.buffers[buffer].dtype].itemsize)

    def at(self, address: int) -> Place | None:
        """Return the element at `address`, None where no buffer has one in this step."""
        for start, end, name in self._spans:
            if start <= address < end:
                flat, offset = divmod(address - start, self.width(name))
                extents = self._map.buffers[name].extents(self._sizes)
                index = np.unravel_index(flat, extents) if extents else ()
                return Place(name, tuple(int(i) for i in index), offset)
        return None

    def near(self, address: int, most: int) -> tuple[str, int] | None:
        """Return the buffer nearest to an address outside of all, and how far that is past its end.

        The distance is negative before its beginning; None where it is more than `most` bytes.
        """
        gaps = [
            (name, address - end if address >= end else address - start)
            for start, end, name in self._spans
        ]
        nearest = min(gaps, key=lambda gap: abs(gap[1]), default=None)
        return nearest if nearest is not None and abs(nearest[1]) <= most else None

    def has(self, buffer: str) -> bool:
        """Whether the buffer lies anywhere in this step: its pointer may be null."""
        return bool(self._addresses.get(buffer))

    def start(self, buffer: str) -> int:
        """Return where a buffer begins."""
        return self._addresses[buffer]

    def extents(self, buffer: str) -> tuple[int, ...]:
        """Return the shape of a buffer in this step."""
        return self._map.buffers[buffer].extents(self._sizes)

    def counts(self, buffer: str) -> set[int]:
        """Return how many elements its axes have, and how many it has in all."""
        extents = self._map.buffers[buffer].extents(self._sizes)
        return {*extents, math.prod(extents)}

    def value(self, buffer: str, data: bytes) -> float | int:
        """Return the number that the bytes of an element hold."""
        number = np.frombuffer(data, DTYPES[self._map.buffers[buffer].dtype])[0]
        return float(number) if number.dtype.kind == "f" else int(number)

    def _bytes(self, buffer: Buffer) -> int:
        return buffer.elements(self._sizes) * self.width(buffer.name)
