"""Where an address of the program lies: in which element, how far past which buffer, in what."""

from __future__ import annotations

from dataclasses import dataclass

from nndbg.elf import Executable
from nndbg.places import Places

_PAGE = 4096
# So close to zero a pointer was null, and an offset was added.
_NULL = 16 * _PAGE
# Farther than this from all buffers, an address has nothing to do with any.
_NEAR = 16 << 20
# Addresses have 48 bits, of which the last is repeated in the upper ones (Intel SDM, 1-3.3.7.1);
# with five levels of page tables they have 57, and Linux hands out none beyond 48 unless asked.
_SIGN = 47


@dataclass(frozen=True)
class _Mapping:
    """A stretch of the program's address space, and what the kernel calls it."""

    start: int
    end: int
    rights: str
    name: str


class Whereabouts:
    """The address space of a program at one stop; addresses as loaded.

    `mappings` is the text of `/proc/PID/maps`; `places` has the buffers, None where nothing is
    known of them yet.
    """

    def __init__(
        self,
        mappings: str,
        executable: Executable,
        load_offset: int,
        places: Places | None,
        stack: int,
    ) -> None:
        self._executable = executable
        self._offset = load_offset
        self._places = places
        self._mappings = _mappings(mappings)
        self._stack = stack

    def rights(self, address: int) -> str | None:
        """Return what may be done with `address`, such as `r-xp`; None where nothing is mapped."""
        found = self._mapping(address)
        return found.rights if found is not None else None

    def say(self, address: int) -> str:
        """Return in words where `address` lies: `in W1[3,4]`, `16 bytes past the end of z1`."""
        if not is_canonical(address):
            return "no address at all: its upper bits are not all the same"
        if address < _NULL:
            return f"{count(address)} past null" if address else "null"
        if self._places is not None and (place := self._places.at(address)) is not None:
            return f"byte {place.offset} of {place}" if place.offset else f"in {place}"
        linked = address - self._offset
        if (function := self._executable.function_at(linked)) is not None:
            return f"in the code of {function.name}"
        mapping, of_stack = self._mapping(address), self._mapping(self._stack)
        if mapping is not None and (mapping is of_stack or mapping.name == "[stack]"):
            return "in the stack"
        if (symbol := self._executable.symbol_at(linked)) is not None:
            return f"in {symbol.name}, {count(linked - symbol.address)} from its beginning"
        if (below := self._below_the_stack(address)) is not None:
            return f"{count(below)} below the stack, which is used up"
        if self._places is not None and (near := self._places.near(address, _NEAR)) is not None:
            buffer, distance = near
            end = "past the end of" if distance > 0 else "before"
            return f"{count(abs(distance))} {end} {buffer}"
        return "near no buffer" if mapping is None else f"in {mapping.name or 'unnamed memory'}"

    def _mapping(self, address: int) -> _Mapping | None:
        return next((m for m in self._mappings if m.start <= address < m.end), None)

    def _below_the_stack(self, address: int) -> int | None:
        """Return how far below the stack an address lies that is close to the stack pointer."""
        stack = next((m for m in self._mappings if m.name == "[stack]"), None)
        if stack is None or not abs(address - self._stack) < _NULL or address >= stack.start:
            return None
        return stack.start - address


def is_canonical(address: int) -> bool:
    """Whether the processor takes it for an address."""
    return address >> _SIGN in (0, (1 << (64 - _SIGN)) - 1)


def count(size: int) -> str:
    """Return a number of bytes in words."""
    return f"{size} byte{'' if size == 1 else 's'}"


def _mappings(text: str) -> tuple[_Mapping, ...]:
    """Return what is mapped. Source: proc_pid_maps(5)."""
    found: list[_Mapping] = []
    for line in text.splitlines():
        span, rights, _offset, _device, _inode, *name = line.split(maxsplit=5)
        start, end = (int(part, 16) for part in span.split("-"))
        found.append(_Mapping(start, end, rights, name[0] if name else ""))
    return tuple(found)
