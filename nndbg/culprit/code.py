"""The program's functions as instructions that can be changed, and what else they offer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from iced_x86 import Decoder, Instruction, Register, RegisterExt

from nndbg.culprit.amendments.coding import immediate, immediate_operand, signed
from nndbg.culprit.amendments.insertions import ARGUMENTS
from nndbg.culprit.amendments.replacements import Setting, has_memory, registers_of
from nndbg.culprit.callees import Callees
from nndbg.elf import Executable, Symbol
from nndbg.layermap import Op, PlacedMap
from nndbg.layermap.model import DTYPES

_LONGEST = 15
_MOST_ADDRESSES = 80
_WIDTHS = (1, 4, 8)


class Code:
    """The program's code, function by function; addresses as linked."""

    def __init__(self, executable: Executable) -> None:
        self.executable = executable
        self._bodies: dict[int, tuple[Instruction, ...]] = {}

    def body(self, address: int) -> tuple[Instruction, ...]:
        """Return the function around an address; empty where there is none."""
        symbol = self.executable.function_at(address)
        if symbol is None:
            return ()
        if symbol.address not in self._bodies:
            self._bodies[symbol.address] = tuple(self._decoded(symbol))
        return self._bodies[symbol.address]

    def _decoded(self, symbol: Symbol) -> Iterator[Instruction]:
        """Yield the instructions from a symbol on to the next one."""
        at = symbol.address
        while self.executable.function_at(at) == symbol:
            found = Decoder(64, self.executable.code_at(at, _LONGEST), ip=at).decode()
            if not found.is_invalid:
                yield found
            at += found.len or 1

    @cached_property
    def functions(self) -> tuple[int, ...]:
        """Where the program's own functions begin; none where it cannot be told which are."""
        if not self.executable.has_lines:
            return ()
        return tuple(
            sorted(
                {
                    symbol.address
                    for symbol in self.executable.symbols.values()
                    if symbol.is_code and "." not in symbol.name and self.is_own(symbol.address)
                }
            )
        )

    def labels(self, body: Sequence[Instruction]) -> Iterator[int]:
        """Yield where the labels of a function are."""
        inside = {instruction.ip for instruction in body}
        for symbol in self.executable.symbols.values():
            if symbol.is_code and symbol.address in inside and "." in symbol.name:
                yield symbol.address

    def is_own(self, address: int) -> bool:
        """Whether it is the program's own code: where there are lines, code without is not."""
        return not self.executable.has_lines or self.executable.line_at(address) is not None


def settings(
    code: Code,
    placed: PlacedMap,
    op: Op,
    sizes: Mapping[str, int],
    executed: Sequence[int],
    fixed: Collection[int],
    ratio: float,
    pointers: Iterable[int] = (),
) -> dict[int, Setting]:
    """Return what may be meant instead in each function that ran, by its first address.

    `fixed` are the addresses of the op's boundaries: calls are made around them. `pointers` are
    where variables lie that hold the address of a function.
    """
    bodies = {body[0].ip: body for address in executed if (body := code.body(address))}
    offered = tuple(dict.fromkeys(_addresses(placed, op, bodies.values())))[:_MOST_ADDRESSES]
    extents = frozenset(_extents(placed, op, sizes))
    spans = [
        range(place.address, place.address + size)
        for name, place in placed.places.items()
        if (size := _largest(placed, name))
    ]

    def data(address: int, size: int) -> bytes:
        return (
            b"" if any(address in span for span in spans) else code.executable.read(address, size)
        )

    every = bodies | {body[0].ip: body for a in code.functions if (body := code.body(a))}
    callees = Callees(code.executable, every, code.functions, pointers)
    found = {}
    for start, body in bodies.items():
        calls, missed = callees.of(body)
        found[start] = Setting(
            registers=registers_of(body) + _passed(body),
            numbers=tuple(dict.fromkeys((*_numbers(body), *sorted(extents)))),
            addresses=offered,
            targets=tuple(dict.fromkeys((*_targets(body), *code.labels(body)))),
            calls=calls,
            missed=missed,
            is_caller=_makes_calls(body, fixed),
            extents=extents,
            data=data,
            ratio=ratio,
        )
    return found


def _addresses(placed: PlacedMap, op: Op, bodies: Iterable[Sequence[Instruction]]) -> Iterable[int]:
    for name in (*op.inputs.values(), *op.outputs.values()):
        if name in placed.places:
            yield placed.places[name].address
    for place in placed.size_places.values():
        yield place.address
    for body in bodies:
        for instruction in body:
            if instruction.is_ip_rel_memory_operand:
                yield instruction.ip_rel_memory_address
    for place in placed.places.values():
        yield place.address


def _extents(placed: PlacedMap, op: Op, sizes: Mapping[str, int]) -> Iterable[int]:
    """Yield the extents of the op's buffers, then all sizes, as counts and in bytes."""
    buffers = [placed.layer_map.buffers[n] for n in (*op.inputs.values(), *op.outputs.values())]
    for buffer in buffers:
        for extent in buffer.extents(sizes):
            yield from (extent * width for width in _WIDTHS)
        yield from (buffer.elements(sizes) * width for width in _WIDTHS)
    for size in sizes.values():
        yield from (size * width for width in _WIDTHS)


def _numbers(body: Iterable[Instruction]) -> Iterable[int]:
    for instruction in body:
        operand = immediate_operand(instruction)
        if operand is not None:
            yield immediate(instruction, operand)
        if has_memory(instruction) and not instruction.is_ip_rel_memory_operand:
            yield signed(instruction.memory_displacement)


def _targets(body: Iterable[Instruction]) -> Iterable[int]:
    for instruction in body:
        if instruction.is_jcc_short_or_near or instruction.is_jmp_short_or_near:
            yield instruction.near_branch_target


def _passed(body: Sequence[Instruction]) -> tuple[tuple[Any, int], ...]:
    """Return the registers of arguments that a function which makes calls does not name."""
    if not any(i.is_call_near or i.is_call_near_indirect for i in body):
        return ()
    named = registers_of(body)
    passed = ((Register.RAX, RegisterExt.number(register)) for register in ARGUMENTS)
    return tuple(register for register in passed if register not in named)


def _makes_calls(body: Sequence[Instruction], fixed: Collection[int]) -> bool:
    inside = range(body[0].ip, body[-1].next_ip)
    return any(address in inside for address in fixed) or any(
        i.is_call_near or i.is_call_near_indirect for i in body
    )


def _largest(placed: PlacedMap, name: str) -> int:
    """Return how many bytes a buffer has at most; none of one that a pointer leads to."""
    buffer = placed.layer_map.buffers[name]
    if buffer.is_pointer:
        return 0
    largest = {size.name: size.largest or 1 for size in placed.layer_map.sizes.values()}
    return buffer.elements(largest) * int(DTYPES[buffer.dtype].itemsize)
