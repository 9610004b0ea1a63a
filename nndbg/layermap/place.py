"""Places a layer map in an executable: every symbol found, every buffer fitted, every boundary."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from nndbg.decode import Disassembly
from nndbg.elf import Executable, Machine, Symbol
from nndbg.errors import MapError, UsageError
from nndbg.layermap.model import DTYPES, Boundary, Buffer, LayerMap, Op, Size
from nndbg.layermap.parse import MAIN_PHASE, parse_map
from nndbg.returns import Returns, find_returns
from nndbg.variables import Variable, VariableError, Variables

SECTION = ".nndbg"
_ADDRESS = re.compile(r"\*0x[0-9a-fA-F]{1,16}")
_LARGEST_MAP = 1 << 20
_LARGEST_ELEMENT = 8
_POINTER = 8
# What C keeps bytes of any kind in.
_BYTES = ("i8", "u8")
_OFFSET = re.compile(r"(?P<name>[^+]+)\+(?P<offset>0x[0-9a-fA-F]{1,8}|\d{1,9})")


@dataclass(frozen=True)
class Place:
    """Where a variable lies: at `address` as linked, or where pointers lead from there.

    At each hop the pointer at the place so far is read, and the hop added to it.
    """

    address: int
    hops: tuple[int, ...] = ()

    def moved(self, offset: int) -> Place:
        """Return the place that many bytes behind this one."""
        if not self.hops:
            return Place(self.address + offset)
        return Place(self.address, (*self.hops[:-1], self.hops[-1] + offset))

    def __str__(self) -> str:
        return " -> +".join([f"{self.address:#x}", *map(str, self.hops)])


@dataclass(frozen=True)
class PlacedMap:
    """A layer map with the places, as linked, of everything that it names.

    `places` holds for each buffer where it begins, unless the program holds its address at `held`;
    `enter` has the ops of which the map says where they begin. `entries` is where the functions of
    those `return:` boundaries begin whose calls have to be followed, by the boundary's text; of
    those in `behind` the addresses lie behind the calls.
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

    @property
    def needs_registers(self) -> bool:
        """Whether it takes registers to tell what the program passes."""
        phase = self.layer_map.phase
        boundaries = [phase.step, *(op.done for op in phase.ops)]
        boundaries += [op.enter for op in phase.ops if op.enter is not None]
        return bool(self.entries or self.held or any(b.call for b in boundaries))


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
    placer = _Placer(layer_map, executable)
    sizes = {
        size.name: placer.variable(("sizes", size.name), size.symbol, size.dtype)
        for size in layer_map.sizes.values()
        if size.symbol is not None
    }
    phase = layer_map.phase
    followed = placer.followed()
    places = {b.name: placer.buffer(b) for b in layer_map.buffers.values() if b.held is None}
    placer.check_reach(places)
    seek, counter = phase.seek, phase.counter
    return PlacedMap(
        layer_map=layer_map,
        executable=executable,
        places=MappingProxyType(places),
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
        held=MappingProxyType(
            {
                b.name: placer.boundary(("buffers", b.name), b.held[0])
                for b in layer_map.buffers.values()
                if b.held is not None and b.view is None
            }
        ),
        entries=MappingProxyType({text: returns.entry for text, returns in followed.items()}),
        behind=frozenset(text for text, returns in followed.items() if returns.are_behind),
    )


@dataclass(frozen=True)
class _Data:
    """A variable: `size` in bytes is 0 where not recorded, `dtype` "" where not known.

    Where `element` is not 0, the size may be that of the first element alone. `is_pointer` is None
    where nothing tells.
    """

    place: Place
    size: int
    is_code: bool = False
    dtype: str = ""
    element: int = 0
    is_pointer: bool | None = None


class _Placer:
    """Looks names up in one executable; its errors name the line of the map."""

    def __init__(self, layer_map: LayerMap, executable: Executable) -> None:
        self.map = layer_map
        self.executable = executable

    @cached_property
    def variables(self) -> Variables:
        """What the program's debug information says of its data."""
        return Variables(self.executable.path)

    def symbol(self, key: tuple[str | int, ...], name: str) -> Symbol:
        symbol = self.executable.symbols.get(name)
        program = self.executable.path.name
        if symbol is None:
            if why := self.variables.placeless(name):
                raise MapError(
                    f"{self.map.at(*key)}: {program} has no symbol {name}, which {why}. Make it "
                    "global or static and the compiler keep it: build with -O0, or say `volatile`."
                )
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
        """Return the variable `name`: a symbol, an address, or what C calls it by the DWARF.

        With `+BYTES` behind it, what lies so many bytes behind its beginning.
        """
        if _ADDRESS.fullmatch(name):
            return self.addressed(key, int(name[1:], 16))
        if name not in self.executable.symbols and (match := _OFFSET.fullmatch(name)):
            return self.behind(key, self.data(key, match["name"]), match["name"], match["offset"])
        if name not in self.executable.symbols and (found := self.declared(key, name)):
            return found
        symbol = self.symbol(key, name)
        known = None if symbol.is_code else self.known(symbol)
        return _Data(
            Place(symbol.address),
            symbol.size,
            symbol.is_code,
            dtype=known.dtype if known else "",
            element=self.element(symbol),
            is_pointer=known.is_pointer if known else None,
        )

    def known(self, symbol: Symbol) -> Variable | None:
        """Return what the debug information says of a symbol, None where that is nothing.

        A program that carries its map is written for it, and is not looked into.
        """
        if self.carries_a_map:
            return None
        try:
            found = self.variables.find(symbol.name)
        except VariableError:
            return None
        return found if (found.address, found.hops) == (symbol.address, ()) else None

    @cached_property
    def carries_a_map(self) -> bool:
        """Whether the program has a map in it."""
        return self.executable.section(SECTION) is not None

    def behind(self, key: tuple[str | int, ...], data: _Data, name: str, text: str) -> _Data:
        offset = int(text, 0)
        if 0 < data.size <= offset and not data.element:
            raise MapError(
                f"{self.map.at(*key)}: {name} holds {data.size} bytes, and {name}+{text} lies "
                "behind its end. Correct the offset."
            )
        size = 0 if data.element else max(0, data.size - offset)
        return _Data(data.place.moved(offset), size, data.is_code)

    def element(self, symbol: Symbol) -> int:
        """Return the size of one element where the symbol's size may be no more than that, else 0.

        NASM gives a symbol that is not global the size of its first element.
        """
        return 0 if symbol.is_global or symbol.size > _LARGEST_ELEMENT else symbol.size

    def addressed(self, key: tuple[str | int, ...], address: int) -> _Data:
        """Return what lies at an address, as linked, up to where nothing is loaded any more."""
        room = next((span for span in self.executable.loaded if address in span), None)
        if room is None:
            raise MapError(
                f"{self.map.at(*key)}: {self.executable.path.name} has nothing at {address:#x}. "
                "`readelf -l` shows what it loads where."
            )
        is_code = any(address in section for section in self.executable.code)
        return _Data(Place(address), room.stop - address, is_code)

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
        phase = self.map.phase
        wanted: list[tuple[tuple[str | int, ...], Boundary]] = [((*phase.key, "step"), phase.step)]
        for op in phase.ops:
            wanted.append(((*op.key, "done"), op.done))
            if op.enter is not None:
                wanted.append(((*op.key, "enter"), op.enter))
        wanted += [
            (("buffers", b.name), b.held[0])
            for b in self.map.buffers.values()
            if b.held is not None
        ]
        found: dict[str, Returns] = {}
        for key, boundary in wanted:
            self.require_decoder(key, boundary)
            if boundary.form == "return":
                returns = self.returns(key, boundary)
                if returns.is_shared or boundary.call:
                    found[boundary.text] = returns
        return found

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
        symbol = self.symbol(key, name)
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
                symbol = self.symbol(key, wanted)
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


def _is_member(name: str) -> bool:
    return any(sign in name for sign in (".", "->", "["))


__all__ = ["SECTION", "Place", "PlacedMap", "Size", "load_map", "place_map"]
