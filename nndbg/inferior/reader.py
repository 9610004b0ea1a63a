"""Reads the buffers of a stopped program: sizes, then addresses, then everything at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from nndbg.capture import Flat
from nndbg.errors import ProgramError
from nndbg.inferior.process import Inferior
from nndbg.layermap import Buffer, Place, PlacedMap
from nndbg.layermap.model import DTYPES

# Buffers that lie closer than this are read in one go.
_NEAR = 4096
_MOST_PADDING = 256


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything that the map names, as it lay in memory at one stop; see Capture."""

    sizes: Mapping[str, int]
    addresses: Mapping[str, int]
    flat: Mapping[str, Flat]
    memory: Mapping[int, memoryview]
    padding: Mapping[str, Flat]


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


class Reader:
    """Reads one program's buffers by its placed map; addresses as loaded."""

    def __init__(self, placed: PlacedMap, inferior: Inferior) -> None:
        self._placed = placed
        self._map = placed.layer_map
        self._inferior = inferior
        self._plans: dict[frozenset[str], tuple[_Span, ...]] = {}
        self._constants: dict[str, Flat] = {}
        # Where the buffers begin of which the program holds the address.
        self._held: dict[str, int] = {}

    def snapshot(self, names: frozenset[str] | None = None) -> Snapshot:
        """Read the buffers of these names, or all, but for the constant ones.

        Raises ProgramError where a size is beyond its largest value or a pointer points nowhere.
        """
        sizes = self._sizes()
        addresses = {name: self.address_of(b) for name, b in self._map.buffers.items()}
        flat: dict[str, Flat] = {}
        memory: dict[int, memoryview] = {}
        padding: dict[str, Flat] = {}
        for span in self._spans(frozenset(self._map.buffers) if names is None else names):
            data = self._inferior.memory.read(span.address, span.size)
            memory[span.address] = data
            for placed in span.buffers:
                flat[placed.name] = np.frombuffer(data, placed.dtype, placed.count, placed.offset)
                if placed.padding:
                    padding[placed.name] = np.frombuffer(data, np.uint8, placed.padding, placed.end)
        for buffer in self._map.buffers.values():
            if names is not None and buffer.name not in names:
                continue
            if not buffer.is_fixed and not buffer.is_constant and addresses[buffer.name]:
                flat[buffer.name] = self._read(
                    addresses[buffer.name], DTYPES[buffer.dtype], buffer.elements(sizes)
                )
        return Snapshot(
            sizes=MappingProxyType(sizes),
            addresses=MappingProxyType(addresses),
            flat=MappingProxyType(flat),
            memory=MappingProxyType(memory),
            padding=MappingProxyType(padding),
        )

    def constant(self, buffer: Buffer) -> Flat:
        """Return a constant buffer in one dimension, read once."""
        if buffer.name not in self._constants:
            self._constants[buffer.name] = self._read(
                self.address_of(buffer), DTYPES[buffer.dtype], buffer.elements(self._sizes())
            )
        return self._constants[buffer.name]

    def integer(self, place: Place, dtype: str) -> int:
        """Return the integer at a place."""
        return int(self._read(self.address(place), DTYPES[dtype], 1)[0])

    def address(self, place: Place) -> int:
        """Return where a place is, as loaded; 0 where a pointer on the way is null."""
        address = place.address + self._inferior.load_offset
        for hop in place.hops:
            pointer = int(self._read(address, DTYPES["u64"], 1)[0])
            if not pointer:
                return 0
            address = pointer + hop
        return address

    def _spans(self, names: frozenset[str]) -> tuple[_Span, ...]:
        """Return the stretches in which the buffers of these names lie that lie at symbols."""
        if names not in self._plans:
            self._plans[names] = self._plan([self._map.buffers[name] for name in names])
        return self._plans[names]

    def _plan(self, buffers: Iterable[Buffer]) -> tuple[_Span, ...]:
        """Group the buffers that lie at symbols into stretches to read at once."""
        largest = {name: size.largest or 1 for name, size in self._map.sizes.items()}
        fixed = [b for b in buffers if b.is_fixed and not b.is_constant]
        spans: list[_Span] = []
        for buffer in sorted(fixed, key=self.address_of):
            address = self.address_of(buffer)
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
        linked = end - self._inferior.load_offset
        following = (
            symbol.address
            for symbol in self._placed.executable.symbols.values()
            if linked <= symbol.address <= linked + _MOST_PADDING
            and not symbol.name.startswith(f"{buffer.symbol}.")
        )
        padding = min(following, default=linked) - linked
        # Another buffer may lie in the same memory and reach further.
        for other in self._map.buffers.values():
            if padding and other is not buffer and other.is_fixed:
                begin = self.address_of(other) - self._inferior.load_offset
                if begin + self._largest_size(other) > linked:
                    padding = min(padding, max(0, begin - linked))
        return padding

    def _largest_size(self, buffer: Buffer) -> int:
        largest = {name: size.largest or 1 for name, size in self._map.sizes.items()}
        return int(buffer.elements(largest) * DTYPES[buffer.dtype].itemsize)

    def hold(self, addresses: Mapping[str, int]) -> dict[str, Flat]:
        """Take note of where buffers begin of which the program holds the address.

        Returns what those hold that begin elsewhere than before.
        """
        moved = {name for name, address in addresses.items() if self._held.get(name) != address}
        self._held.update(addresses)
        names = self._map.with_kin(moved)
        return {
            name: self._whole(self._map.buffers[name])
            for name in names
            if self._held[self._base(name)]
        }

    def _base(self, name: str) -> str:
        view = self._map.buffers[name].view
        return name if view is None else view[0]

    def _whole(self, buffer: Buffer) -> Flat:
        count = buffer.elements(self._sizes())
        return self._read(self.address_of(buffer), DTYPES[buffer.dtype], count)

    def address_of(self, buffer: Buffer) -> int:
        """Return where a buffer begins, as loaded; 0 where that is not known yet."""
        if buffer.view is not None and buffer.held is not None:
            base, offset = buffer.view
            begin = self._held.get(base, 0)
            return begin + offset if begin else 0
        if buffer.held is not None:
            return self._held.get(buffer.name, 0)
        return self.address(self._placed.places[buffer.name])

    def _sizes(self) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for size in self._map.sizes.values():
            if size.symbol is None:
                assert size.largest is not None
                sizes[size.name] = size.largest
                continue
            value = self.integer(self._placed.size_places[size.name], size.dtype)
            # Before the first batch a program may not have set its sizes.
            if value < 0 or (size.largest is not None and value > size.largest):
                raise ProgramError(
                    f"{self._map.at('sizes', size.name)}: size {size.name} is {value} in the "
                    f"program ({size.symbol}), and the map says at most {size.largest}."
                )
            sizes[size.name] = value
        return sizes

    def _read(self, address: int, dtype: np.dtype[np.generic], count: int) -> Flat:
        return np.frombuffer(self._inferior.memory.read(address, dtype.itemsize * count), dtype)
