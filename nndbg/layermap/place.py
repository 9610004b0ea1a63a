"""Places a layer map in an executable: every symbol found, every buffer fitted, every boundary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from nndbg.elf import Executable, Symbol
from nndbg.errors import MapError, UsageError
from nndbg.layermap.model import DTYPES, Boundary, Buffer, LayerMap, Op, Size
from nndbg.layermap.parse import MAIN_PHASE, parse_map
from nndbg.variables import VariableError, Variables

SECTION = ".nndbg"
_LARGEST_MAP = 1 << 20


@dataclass(frozen=True)
class Place:
    """Where a variable lies: at `address` as linked, or where pointers lead from there.

    At each hop the pointer at the place so far is read, and the hop added to it.
    """

    address: int
    hops: tuple[int, ...] = ()

    def __str__(self) -> str:
        return " -> +".join([f"{self.address:#x}", *map(str, self.hops)])


@dataclass(frozen=True)
class PlacedMap:
    """A layer map with the places, as linked, of everything that it names.

    `places` holds for each buffer where it begins; `enter` has the ops of which the map says where
    they begin.
    """

    layer_map: LayerMap
    executable: Executable
    places: Mapping[str, Place]
    size_places: Mapping[str, Place]
    counter: Place | None
    seek_target: int | None
    seek: tuple[int, ...]
    step: tuple[int, ...]
    done: Mapping[str, tuple[int, ...]]
    enter: Mapping[str, tuple[int, ...]]
    conditions: Mapping[str, Place]


def load_map(
    executable: Executable, path: Path | None = None, phase: str = MAIN_PHASE
) -> PlacedMap:
    """Read the map at `path`, or else the one in the executable, and place it for `phase`.

    Raises UsageError when there is none, MapError when it is wrong or does not fit.
    """
    return place_map(parse_map(*_map_text(executable, path), phase), executable)


def _map_text(executable: Executable, path: Path | None) -> tuple[str, str]:
    if path is None:
        data = executable.section(SECTION)
        if data is None:
            raise UsageError(
                f"{executable.path.name}: no layer map inside (section {SECTION}). "
                "Name one with --map FILE; docs/layer-map.md says how to write it."
            )
        origin = f"{executable.path.name}[{SECTION}]"
        data = data.rstrip(b"\0")
    else:
        origin = str(path)
        try:
            data = path.read_bytes() if path.stat().st_size <= _LARGEST_MAP else None
        except OSError as error:
            raise UsageError(f"{path}: the layer map cannot be read: {error.strerror}.") from error
        if data is None:
            raise UsageError(f"{path}: over 1 MiB, which no layer map is. Name a TOML file.")
    try:
        return data.decode(), origin
    except UnicodeDecodeError as error:
        raise MapError(f"{origin}:1: not UTF-8 text ({error.reason} at {error.start}).") from error


def place_map(layer_map: LayerMap, executable: Executable) -> PlacedMap:
    """Find everything that `layer_map` names. Raises MapError for the first that is not there."""
    placer = _Placer(layer_map, executable)
    sizes = {
        size.name: placer.variable(("sizes", size.name), size.symbol, size.dtype)
        for size in layer_map.sizes.values()
        if size.symbol is not None
    }
    phase = layer_map.phase
    seek, counter = phase.seek, phase.counter
    return PlacedMap(
        layer_map=layer_map,
        executable=executable,
        places=MappingProxyType({b.name: placer.buffer(b) for b in layer_map.buffers.values()}),
        size_places=MappingProxyType(sizes),
        counter=placer.variable((*phase.key, "counter"), counter, "u64") if counter else None,
        seek_target=placer.fixed((*phase.key, "seek"), seek.target) if seek else None,
        seek=placer.boundary((*phase.key, "seek"), seek.boundary) if seek else (),
        step=placer.boundary((*phase.key, "step"), phase.step),
        done=MappingProxyType(
            {op.name: placer.boundary((*op.key, "done"), op.done) for op in layer_map.ops}
        ),
        enter=MappingProxyType(
            {op.name: placer.enter(op, op.enter) for op in layer_map.ops if op.enter is not None}
        ),
        conditions=MappingProxyType(
            {
                op.name: placer.variable((*op.key, "when"), op.when.symbol, op.when.dtype)
                for op in layer_map.ops
                if op.when is not None
            }
        ),
    )


@dataclass(frozen=True)
class _Data:
    """A variable: `size` in bytes is 0 where not recorded, `dtype` "" where not known."""

    place: Place
    size: int
    is_code: bool = False
    dtype: str = ""


class _Placer:
    """Looks names up in one executable; its errors name the line of the map."""

    def __init__(self, layer_map: LayerMap, executable: Executable) -> None:
        self.map = layer_map
        self.executable = executable

    @cached_property
    def variables(self) -> Variables:
        """What the program's debug information says of its data."""
        return Variables(self.executable.path, self.executable.contents)

    def symbol(self, key: tuple[str | int, ...], name: str) -> Symbol:
        symbol = self.executable.symbols.get(name)
        program = self.executable.path.name
        if symbol is None:
            close = get_close_matches(name, self.executable.symbols, n=1)
            hint = f" Did you mean {close[0]}?" if close else " Is the program stripped?"
            raise MapError(f"{self.map.at(*key)}: {program} has no symbol {name}.{hint}")
        if name in self.executable.ambiguous:
            raise MapError(
                f"{self.map.at(*key)}: {program} has several local symbols {name}. "
                "Make the one that is meant global, or name an address."
            )
        return symbol

    def data(self, key: tuple[str | int, ...], name: str) -> _Data:
        """Return the variable `name`: a symbol, or what C would call it by the DWARF."""
        if name not in self.executable.symbols and (found := self.declared(key, name)):
            return found
        symbol = self.symbol(key, name)
        return _Data(Place(symbol.address), symbol.size, symbol.is_code)

    def declared(self, key: tuple[str | int, ...], name: str) -> _Data | None:
        """Return the variable as the DWARF has it, None where `name` is not of its kind."""
        try:
            found = self.variables.find(name)
        except VariableError as error:
            if _is_member(name):
                raise MapError(f"{self.map.at(*key)}: {name}: {error}.") from error
            return None
        return _Data(Place(found.address, found.hops), found.size, dtype=found.dtype)

    def variable(self, key: tuple[str | int, ...], name: str, dtype: str) -> Place:
        data = self.data(key, name)
        size = DTYPES[dtype].itemsize
        if 0 < data.size < size:
            raise MapError(
                f"{self.map.at(*key)}: {name} is read as {dtype}, {size} bytes, "
                f"but its symbol holds {data.size}. Correct the dtype or the symbol."
            )
        return data.place

    def fixed(self, key: tuple[str | int, ...], name: str) -> int:
        """Return the address of a 64-bit integer that is written before the program runs."""
        place = self.variable(key, name, "u64")
        if place.hops:
            raise MapError(
                f"{self.map.at(*key)}: {name} lies behind a pointer, which points nowhere before "
                "the program runs. Name a variable that is always there."
            )
        return place.address

    def buffer(self, buffer: Buffer) -> Place:
        key = ("buffers", buffer.name)
        data = self.data(key, buffer.symbol)
        if data.dtype not in ("", buffer.dtype):
            raise MapError(
                f"{self.map.at(*key)}: buffer {buffer.name} is {buffer.dtype} here, and "
                f"{data.dtype} by the program's debug information. Correct the dtype."
            )
        if buffer.is_pointer:
            place = self.variable(key, buffer.symbol, "u64")
            return Place(place.address, (*place.hops, 0))
        if data.is_code:
            raise MapError(
                f"{self.map.at(*key)}: {buffer.symbol} is code at {data.place}, "
                f"and buffer {buffer.name} is data. Name the symbol of the array."
            )
        unbounded = [a for a in buffer.shape if isinstance(a, str) and not self.largest(a)]
        if unbounded:
            raise MapError(
                f"{self.map.at(*key)}: buffer {buffer.name} has the size {unbounded[0]}, "
                "which is read from the program and has no max. State its max."
            )
        largest = {name: size.largest or 1 for name, size in self.map.sizes.items()}
        wanted = buffer.elements(largest) * DTYPES[buffer.dtype].itemsize
        if 0 < data.size < wanted:
            extents = ", ".join(map(str, buffer.extents(largest)))
            raise MapError(
                f"{self.map.at(*key)}: buffer {buffer.name} is [{extents}] {buffer.dtype}, "
                f"{wanted} bytes, but its symbol holds {data.size}. "
                f"Correct the shape here or the reservation of {buffer.symbol} in the program."
            )
        return data.place

    def enter(self, op: Op, boundary: Boundary) -> tuple[int, ...]:
        key = (*op.key, "enter")
        addresses = self.boundary(key, boundary)
        both = set(addresses) & set(self.boundary((*op.key, "done"), op.done))
        if both:
            raise MapError(
                f"{self.map.at(*key)}: op {op.name} begins at {boundary.text} and is complete at "
                f"{op.done.text}, which is one place, {min(both):#x}. Name two."
            )
        return addresses

    def largest(self, size: str) -> int | None:
        return self.map.sizes[size].largest

    def boundary(self, key: tuple[str | int, ...], boundary: Boundary) -> tuple[int, ...]:
        match boundary.form:
            case "probe":
                provider, name = map(str, boundary.target)
                addresses = self.executable.probe_addresses(provider, name)
                names = [f"{p.provider}:{p.name}" for p in self.executable.probes]
                wanted = f"{provider}:{name}"
                missing = f"no probe {wanted}"
            case "enter":
                wanted = str(boundary.target[0])
                symbol = self.symbol(key, wanted)
                addresses = (symbol.address,) if symbol.is_code else ()
                names, missing = [], f"no code at {wanted}, which is data"
            case "line":
                file, line = boundary.target
                addresses = self.executable.line_addresses(str(file), int(line))
                names, wanted = [], ""
                missing = f"no code for {file}:{line} in its line information"
            case "address":
                address = int(boundary.target[0])
                inside = any(address in section for section in self.executable.code)
                addresses = (address,) if inside else ()
                names, wanted, missing = [], "", f"no code at {address:#x}"
        if not addresses:
            close = get_close_matches(wanted, names, n=1)
            hint = f" Did you mean probe:{close[0]}?" if close else ""
            raise MapError(
                f"{self.map.at(*key)}: {boundary.text}: "
                f"{self.executable.path.name} has {missing}.{hint}"
            )
        return addresses


def _is_member(name: str) -> bool:
    return any(sign in name for sign in (".", "->", "["))


__all__ = ["SECTION", "Place", "PlacedMap", "Size", "load_map", "place_map"]
