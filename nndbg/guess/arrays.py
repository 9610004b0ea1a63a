"""The arrays of a program that its names give a role: by its debug information, or its symbols."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from nndbg.elf import Executable, Symbol
from nndbg.guess.names import Role, role_of
from nndbg.variables import Variable, Variables

# No array of a network is larger.
_MOST = 1 << 32
_REAL = frozenset({"f32", "f64"})
_WHOLE = frozenset({"i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"})
_INTEGERS = {1: "u8", 2: "i16", 4: "i32", 8: "i64"}


@dataclass(frozen=True)
class Array:
    """Something that may be a buffer.

    `place` is what the map calls it, `span` the addresses as linked of the array, or of the pointer
    to it where `is_pointer`. `elements` is 0 where not known, `extents` empty where they are not
    stated. `struct` is what it is a member of. `reason` says where its size comes from.
    """

    name: str
    place: str
    role: Role
    dtype: str
    elements: int
    extents: tuple[int, ...]
    span: range
    is_pointer: bool
    struct: str
    reason: str


def find_arrays(executable: Executable) -> list[Array]:
    """Return the arrays whose names say something, one for each role, in the order of address.

    Where several have one role, the one with the shortest name is taken: it says nothing else.
    """
    variables = Variables(executable.path)
    known = [*_declared(variables)]
    taken = {array.place for array in known} | set(variables)
    known += [a for a in _symbols(executable) if a.place not in taken]
    found: dict[Role, Array] = {}
    for array in sorted(known, key=lambda a: (len(a.name), a.span.start)):
        found.setdefault(array.role, array)
    return sorted(found.values(), key=lambda a: a.span.start)


def _declared(variables: Variables) -> Iterator[Array]:
    for name in variables:
        if "::" not in name:
            for place, variable in variables.leaves(name):
                if (array := _from_debug(place, variable)) is not None:
                    yield array


def _from_debug(place: str, variable: Variable) -> Array | None:
    struct, _, member = place.rpartition(".")
    role = role_of(place)
    is_whole = role is not None and role.base in ("label", "rows")
    if role is None or variable.hops or variable.dtype not in (_WHOLE if is_whole else _REAL):
        return None
    elements = 0 if variable.is_pointer else prod(variable.extents)
    size = 8 if variable.is_pointer else variable.size
    return Array(
        name=place.replace(".", "_").replace("[", "_").replace("]", ""),
        place=place,
        role=role,
        dtype=variable.dtype,
        elements=elements,
        extents=() if variable.is_pointer else variable.extents,
        span=range(variable.address, variable.address + size),
        is_pointer=variable.is_pointer,
        struct=struct,
        reason=f"declared as {_type(variable)}, by the debug information" if member else "",
    )


def _type(variable: Variable) -> str:
    extents = "".join(f"[{extent}]" for extent in variable.extents)
    return f"{variable.dtype}{' *' if variable.is_pointer else ''}{extents}"


def _symbols(executable: Executable) -> Iterator[Array]:
    """Yield data symbols; one without a size reaches to the next."""
    data = sorted(
        (s for s in executable.symbols.values() if not s.is_code), key=lambda s: s.address
    )
    starts = sorted({s.address for s in data})
    following = dict(pairwise(starts))
    for symbol in data:
        role = role_of(symbol.name)
        if role is None or symbol.name in executable.ambiguous or symbol.name.startswith("_"):
            continue
        yield from _from_symbol(symbol, role, following.get(symbol.address, symbol.address))


def _from_symbol(symbol: Symbol, role: Role, end: int) -> Iterator[Array]:
    size, reason = symbol.size, f"{symbol.size} bytes, the size of its symbol"
    gap = end - symbol.address
    if role.is_scalar:
        size = size or min(gap, 8 if role.base == "rows" else 4)
        reason = f"{size} bytes"
    elif size <= 8 < gap or not size:
        size, reason = gap, f"{gap} bytes to the next symbol"
    dtype = "f32"
    if role.base == "rows":
        dtype = _INTEGERS.get(size, "i32")
    if 0 < size <= _MOST:
        yield Array(
            name=symbol.name,
            place=symbol.name,
            role=role,
            dtype=dtype,
            elements=size if role.base == "label" else 1 if role.is_scalar else size // 4,
            extents=(),
            span=range(symbol.address, symbol.address + size),
            is_pointer=False,
            struct="",
            reason=reason,
        )


class Spans:
    """Which arrays lie at, or behind, an address."""

    def __init__(self, arrays: list[Array]) -> None:
        self._arrays = sorted(arrays, key=lambda a: a.span.start)
        self._starts = [array.span.start for array in self._arrays]

    def at(self, address: int) -> Array | None:
        """Return the array that holds an address."""
        index = bisect_right(self._starts, address) - 1
        found = self._arrays[index] if index >= 0 else None
        return found if found is not None and address in found.span else None
