"""Finds the variables of a map in an executable: by symbol, address, or as C would call them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from nndbg.elf import Executable, Symbol
from nndbg.errors import MapError
from nndbg.layermap.model import DTYPES, LayerMap
from nndbg.variables import Variable, VariableError, Variables

SECTION = ".nndbg"
_ADDRESS = re.compile(r"\*0x[0-9a-fA-F]{1,16}")
_LARGEST_ELEMENT = 8
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
class Data:
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


class Lookup:
    """Looks variables up in one executable; its errors name the line of the map."""

    def __init__(self, layer_map: LayerMap, executable: Executable) -> None:
        self.map = layer_map
        self.executable = executable

    @cached_property
    def variables(self) -> Variables:
        """What the program's debug information says of its data."""
        return Variables(self.executable.path, self.executable.contents)

    def symbol(self, key: tuple[str | int, ...], name: str) -> Symbol:
        """Return the symbol `name`; `key` is where the map names it."""
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

    def data(self, key: tuple[str | int, ...], name: str) -> Data:
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
        return Data(
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

    def behind(self, key: tuple[str | int, ...], data: Data, name: str, text: str) -> Data:
        """Return what lies `text` bytes behind the beginning of the variable `name`."""
        offset = int(text, 0)
        if 0 < data.size <= offset and not data.element:
            raise MapError(
                f"{self.map.at(*key)}: {name} holds {data.size} bytes, and {name}+{text} lies "
                "behind its end. Correct the offset."
            )
        size = 0 if data.element else max(0, data.size - offset)
        return Data(data.place.moved(offset), size, data.is_code)

    def element(self, symbol: Symbol) -> int:
        """Return the size of one element where the symbol's size may be no more than that, else 0.

        NASM gives a symbol that is not global the size of its first element.
        """
        return 0 if symbol.is_global or symbol.size > _LARGEST_ELEMENT else symbol.size

    def addressed(self, key: tuple[str | int, ...], address: int) -> Data:
        """Return what lies at an address, as linked, up to where nothing is loaded any more."""
        room = next((span for span in self.executable.loaded if address in span), None)
        if room is None:
            raise MapError(
                f"{self.map.at(*key)}: {self.executable.path.name} has nothing at {address:#x}. "
                "`readelf -l` shows what it loads where."
            )
        is_code = any(address in section for section in self.executable.code)
        return Data(Place(address), room.stop - address, is_code)

    def declared(self, key: tuple[str | int, ...], name: str) -> Data | None:
        """Return the variable as the DWARF has it, None where `name` is not of its kind."""
        try:
            found = self.variables.find(name)
        except VariableError as error:
            if _is_member(name):
                raise MapError(f"{self.map.at(*key)}: {name}: {error}.") from error
            return None
        return Data(Place(found.address, found.hops), found.size, dtype=found.dtype)

    def variable(self, key: tuple[str | int, ...], name: str, dtype: str) -> Place:
        """Return where the number `name` lies, which is read as `dtype`."""
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


def _is_member(name: str) -> bool:
    return any(sign in name for sign in (".", "->", "["))
