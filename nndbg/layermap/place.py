"""Places a layer map in an executable: every symbol found, every buffer fitted, every boundary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from nndbg.elf import Executable, Symbol
from nndbg.errors import MapError, UsageError
from nndbg.layermap.model import DTYPES, Boundary, Buffer, LayerMap, Op, Size
from nndbg.layermap.parse import MAIN_PHASE, parse_map

SECTION = ".nndbg"
_POINTER_SIZE = 8
_LARGEST_MAP = 1 << 20


@dataclass(frozen=True)
class PlacedMap:
    """A layer map with the addresses, as linked, of everything that it names.

    `places` holds for each buffer where it begins, or where its pointer lies; `enter` has the ops
    of which the map says where they begin.
    """

    layer_map: LayerMap
    executable: Executable
    places: Mapping[str, int]
    size_places: Mapping[str, int]
    counter: int | None
    seek_target: int | None
    seek: tuple[int, ...]
    step: tuple[int, ...]
    done: Mapping[str, tuple[int, ...]]
    enter: Mapping[str, tuple[int, ...]]
    conditions: Mapping[str, int]


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
        seek_target=placer.variable((*phase.key, "seek"), seek.target, "u64") if seek else None,
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


class _Placer:
    """Looks names up in one executable; its errors name the line of the map."""

    def __init__(self, layer_map: LayerMap, executable: Executable) -> None:
        self.map = layer_map
        self.executable = executable

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

    def variable(self, key: tuple[str | int, ...], name: str, dtype: str) -> int:
        symbol = self.symbol(key, name)
        size = DTYPES[dtype].itemsize
        if 0 < symbol.size < size:
            raise MapError(
                f"{self.map.at(*key)}: {name} is read as {dtype}, {size} bytes, "
                f"but its symbol holds {symbol.size}. Correct the dtype or the symbol."
            )
        return symbol.address

    def buffer(self, buffer: Buffer) -> int:
        key = ("buffers", buffer.name)
        if buffer.is_pointer:
            return self.variable(key, buffer.symbol, "u64")
        symbol = self.symbol(key, buffer.symbol)
        if symbol.is_code:
            raise MapError(
                f"{self.map.at(*key)}: {buffer.symbol} is code at {symbol.address:#x}, "
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
        if 0 < symbol.size < wanted:
            extents = ", ".join(map(str, buffer.extents(largest)))
            raise MapError(
                f"{self.map.at(*key)}: buffer {buffer.name} is [{extents}] {buffer.dtype}, "
                f"{wanted} bytes, but its symbol holds {symbol.size}. "
                f"Correct the shape here or the reservation of {buffer.symbol} in the program."
            )
        return symbol.address

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


__all__ = ["SECTION", "PlacedMap", "Size", "load_map", "place_map"]
