"""Places a layer map in an executable: every symbol found, every buffer fitted, every boundary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from nndbg.decode import Disassembly
from nndbg.elf import Executable, Machine
from nndbg.errors import MapError, UsageError
from nndbg.layermap.lookup import SECTION, Lookup, Place
from nndbg.layermap.model import DTYPES, Boundary, Buffer, LayerMap, Op, Size
from nndbg.layermap.parse import MAIN_PHASE, parse_map
from nndbg.returns import Returns, find_returns

_LARGEST_MAP = 1 << 20
_POINTER = 8
# What C keeps bytes of any kind in.
_BYTES = ("i8", "u8")


@dataclass(frozen=True)
class PlacedMap:
    """A layer map with the places, as linked, of everything that it names.

    `places` holds for each buffer where it begins, unless the program holds its address at `held`;
    `enter` has the ops of which the map says where they begin. `entries` is where the functions of
    those `return:` boundaries begin whose calls have to be followed, by the boundary's text; of
    those in `behind` the addresses lie behind the calls. `exits` is where the functions of `enter:`
    boundaries are left that begin with a loop of their own; those in `looped` do. `others` is where
    steps begin of the other phases that write what a step of this one hands to the next.
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
    held: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    entries: Mapping[str, int] = field(default_factory=dict)
    behind: frozenset[str] = frozenset()
    exits: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    looped: frozenset[str] = frozenset()
    others: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def needs_registers(self) -> bool:
        """Whether it takes registers to tell what the program passes."""
        phase = self.layer_map.phase
        boundaries = [phase.step, *(op.done for op in phase.ops)]
        boundaries += [other.step for other in self.layer_map.others]
        boundaries += [op.enter for op in phase.ops if op.enter is not None]
        return bool(self.entries or self.exits or self.held or any(b.call for b in boundaries))


def load_map(
    executable: Executable, path: Path | None = None, phase: str = MAIN_PHASE
) -> PlacedMap:
    """Read the map at `path`, or else the one in the executable, and place it for `phase`.

    Raises UsageError when there is none, MapError when it is wrong or does not fit.
    """
    # What an executable says is not the user's word: it may not have Python run.
    scripts = path.parent if path is not None else None
    return place_map(parse_map(*_map_text(executable, path), phase, scripts), executable)


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
    lookup = Lookup(layer_map, executable)
    placer = _Placer(layer_map, executable, lookup)
    sizes = {
        size.name: lookup.variable(("sizes", size.name), size.symbol, size.dtype)
        for size in layer_map.sizes.values()
        if size.symbol is not None
    }
    phase = layer_map.phase
    places = {b.name: placer.buffer(b) for b in layer_map.buffers.values() if b.held is None}
    placer.check_reach(places)
    followed, looped = placer.followed(), placer.looped()
    seek, counter = phase.seek, phase.counter
    return PlacedMap(
        layer_map=layer_map,
        executable=executable,
        places=MappingProxyType(places),
        size_places=MappingProxyType(sizes),
        counter=lookup.variable((*phase.key, "counter"), counter, "u64") if counter else None,
        seek_target=lookup.fixed((*phase.key, "seek"), seek.target) if seek else None,
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
                op.name: lookup.variable((*op.key, "when"), op.when.symbol, op.when.dtype)
                for op in layer_map.ops
                if op.when is not None
            }
        ),
        held=MappingProxyType(
            {
                b.name: placer.boundary(("buffers", b.name), b.held[0])
                for b in layer_map.buffers.values()
                if b.held is not None and b.view is None
            }
        ),
        entries=MappingProxyType({text: returns.entry for text, returns in followed.items()}),
        behind=frozenset(
            t for t, returns in (*followed.items(), *looped.items()) if returns.are_behind
        ),
        exits=MappingProxyType({text: returns.exits for text, returns in looped.items()}),
        looped=frozenset(t for t, returns in followed.items() if returns.is_looped),
        others=MappingProxyType(
            {p.name: placer.boundary((*p.key, "step"), p.step) for p in layer_map.others}
        ),
    )


class _Placer:
    """Looks names up in one executable; its errors name the line of the map."""

    def __init__(self, layer_map: LayerMap, executable: Executable, lookup: Lookup) -> None:
        self.map = layer_map
        self.executable = executable
        self.variables = lookup

    def buffer(self, buffer: Buffer) -> Place:
        key = ("buffers", buffer.name)
        data = self.variables.data(key, buffer.symbol)
        if buffer.is_pointer != data.is_pointer and data.is_pointer is not None:
            found = "a pointer" if data.is_pointer else "no pointer"
            other = "pointer" if data.is_pointer else "symbol"
            raise MapError(
                f"{self.map.at(*key)}: {buffer.symbol} is {found} by the program's debug "
                f'information. Write {other} = "{buffer.symbol}".'
            )
        if data.dtype not in ("", buffer.dtype, *_BYTES):
            raise MapError(
                f"{self.map.at(*key)}: buffer {buffer.name} is {buffer.dtype} here, and "
                f"{data.dtype} by the program's debug information. Correct the dtype."
            )
        if buffer.view is not None:
            base, offset = buffer.view
            return self.buffer(self.map.buffers[base]).moved(offset)
        if buffer.is_pointer:
            place = self.variables.variable(key, buffer.symbol, "u64")
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
        width = DTYPES[buffer.dtype].itemsize
        wanted = buffer.elements(largest) * width
        if 0 < data.size < wanted and data.element != width:
            extents = ", ".join(map(str, buffer.extents(largest)))
            pointer = f' Or is it a pointer? Then write pointer = "{buffer.symbol}".'
            raise MapError(
                f"{self.map.at(*key)}: buffer {buffer.name} is [{extents}] {buffer.dtype}, "
                f"{wanted} bytes, but its symbol holds {data.size}. "
                f"Correct the shape here or the reservation of {buffer.symbol} in the program."
                f"{pointer if data.size == _POINTER else ''}"
            )
        return data.place

    def check_reach(self, places: Mapping[str, Place]) -> None:
        """Refuse a buffer that reaches into the symbol of another one: one of the two is wrong."""
        largest = {name: size.largest or 1 for name, size in self.map.sizes.items()}
        plain = sorted(
            (places[b.name].address, b.name)
            for b in self.map.buffers.values()
            if b.is_fixed and b.view is None and b.symbol in self.executable.symbols
        )
        for (begin, name), (following, other) in pairwise(plain):
            buffer = self.map.buffers[name]
            size = buffer.elements(largest) * DTYPES[buffer.dtype].itemsize
            if begin < following < begin + size:
                extents = ", ".join(map(str, buffer.extents(largest)))
                raise MapError(
                    f"{self.map.at('buffers', name)}: buffer {name} is [{extents}] {buffer.dtype}, "
                    f"{size} bytes, and {other} begins {following - begin} bytes behind its "
                    f"beginning. Correct the shape; or, if {other} is a part of it, write {other} "
                    f'as {{ view = "{name}[...]" }}.'
                )

    def enter(self, op: Op, boundary: Boundary) -> tuple[int, ...]:
        key = (*op.key, "enter")
        addresses = self.boundary(key, boundary)
        both = set(addresses) & set(self.boundary((*op.key, "done"), op.done))
        if both and (boundary.nth, boundary.call) == (op.done.nth, op.done.call):
            raise MapError(
                f"{self.map.at(*key)}: op {op.name} begins at {boundary.text} and is complete at "
                f"{op.done.text}, which is one place, {min(both):#x}. Name two."
            )
        return addresses

    def followed(self) -> dict[str, Returns]:
        """Return the returns of functions whose calls have to be followed, by boundary."""
        found: dict[str, Returns] = {}
        for key, boundary in self.boundaries():
            if boundary.form == "return":
                returns = self.returns(key, boundary)
                if returns.is_shared or boundary.call:
                    found[boundary.text] = returns
        return found

    def looped(self) -> dict[str, Returns]:
        """Return the returns of functions that are entered, and begin with a loop of their own."""
        found: dict[str, Returns] = {}
        for key, boundary in self.boundaries():
            if boundary.form == "enter":
                symbol = self.variables.symbol(key, str(boundary.target[0]))
                if "." in symbol.name or not symbol.is_code:
                    continue
                returns = find_returns(self.code, symbol.address)
                if returns is not None and returns.is_looped:
                    found[boundary.text] = returns
        return found

    def boundaries(self) -> list[tuple[tuple[str | int, ...], Boundary]]:
        """Return the boundaries that are to be noticed, each with its place in the map."""
        phase = self.map.phase
        wanted: list[tuple[tuple[str | int, ...], Boundary]] = [
            ((*some.key, "step"), some.step) for some in (phase, *self.map.others)
        ]
        for op in phase.ops:
            wanted.append(((*op.key, "done"), op.done))
            if op.enter is not None:
                wanted.append(((*op.key, "enter"), op.enter))
        wanted += [
            (("buffers", b.name), b.held[0])
            for b in self.map.buffers.values()
            if b.held is not None
        ]
        for key, boundary in wanted:
            self.require_decoder(key, boundary)
        return wanted

    def require_decoder(self, key: tuple[str | int, ...], boundary: Boundary) -> None:
        """Raise MapError where a boundary takes instructions or registers that nobody can read."""
        machine = self.executable.machine
        takes = boundary.form == "return" or boundary.call or key[0] == "buffers"
        if takes and machine is not Machine.X86_64:
            raise MapError(
                f"{self.map.at(*key)}: {boundary}: only the instructions and registers of "
                f"{Machine.X86_64} are known, and {self.executable.path.name} is built for "
                f"{machine}. Name a probe, a label (enter:LABEL), FILE:LINE or *0xADDR."
            )

    def returns(self, key: tuple[str | int, ...], boundary: Boundary) -> Returns:
        name = str(boundary.target[0])
        symbol = self.variables.symbol(key, name)
        if not symbol.is_code:
            raise MapError(
                f"{self.map.at(*key)}: {boundary.text}: {name} is data at {symbol.address:#x}. "
                "Name a function."
            )
        returns = find_returns(self.code, symbol.address)
        if returns is None:
            raise MapError(
                f"{self.map.at(*key)}: {boundary.text}: no instruction is seen by which {name} "
                "returns. Name the place behind its call: FILE:LINE or *0xADDR."
            )
        return returns

    @cached_property
    def code(self) -> Disassembly:
        """The program's instructions."""
        return Disassembly(self.executable)

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
                symbol = self.variables.symbol(key, wanted)
                addresses = (symbol.address,) if symbol.is_code else ()
                names, missing = [], f"no code at {wanted}, which is data"
            case "return":
                addresses = self.returns(key, boundary).exits
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


__all__ = ["SECTION", "Place", "PlacedMap", "Size", "load_map", "place_map"]
