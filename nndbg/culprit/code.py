"""The program's functions as instructions that can be changed, and what else they offer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from iced_x86 import Decoder, Instruction

from nndbg.culprit.amendments.coding import decode_all, immediate, immediate_operand, signed
from nndbg.culprit.amendments.replacements import Setting, has_memory, registers_of
from nndbg.decode import Disassembly
from nndbg.layermap import Op, PlacedMap

_LONGEST = 15
_MOST_ADDRESSES = 80
_WIDTHS = (1, 4, 8)


class Code:
    """The program's code, function by function; addresses as linked."""

    def __init__(self, code: Disassembly) -> None:
        self.executable = code.executable
        self._code = code
        self._bodies: dict[int, tuple[Instruction, ...]] = {}

    def body(self, address: int) -> tuple[Instruction, ...]:
        """Return the function around an address; empty where there is none."""
        listed = self._code.function(address)
        if not listed:
            return ()
        start = listed[0].address
        if start not in self._bodies:
            self._bodies[start] = tuple(
                instruction
                for one in listed
                for instruction in decode_all(
                    self.executable.code_at(one.address, one.size), one.address
                )
            )
        return self._bodies[start]

    def is_own(self, address: int) -> bool:
        """Whether it is the program's own code: where there are lines, code without is not."""
        return not self.executable.has_lines or self.executable.line_at(address) is not None

    def bytes_at(self, changed: Mapping[int, int], address: int, size: int) -> bytes:
        """Return code with some bytes changed."""
        original = self.executable.code_at(address, size).ljust(size, b"\x90")
        return bytes(changed.get(address + n, byte) for n, byte in enumerate(original))

    def size(self, changed: Mapping[int, int], address: int) -> int:
        """Return how long the instruction at an address is; 0 where there is none."""
        if address not in changed and not self.executable.code_at(address, 1):
            return 0
        decoded = Decoder(64, self.bytes_at(changed, address, _LONGEST), ip=address).decode()
        return 0 if decoded.is_invalid else int(decoded.len)


def settings(
    code: Code, placed: PlacedMap, op: Op, sizes: Mapping[str, int], executed: Sequence[int]
) -> dict[int, Setting]:
    """Return what may be meant instead in each function that ran, by its first address."""
    bodies = {body[0].ip: body for address in executed if (body := code.body(address))}
    offered = tuple(dict.fromkeys(_addresses(placed, op, bodies.values())))[:_MOST_ADDRESSES]
    extents = frozenset(_extents(placed, op, sizes))
    calls: dict[int, Instruction] = {}
    for body in bodies.values():
        for instruction in body:
            if instruction.is_call_near:
                calls.setdefault(instruction.near_branch_target, instruction)
            elif instruction.is_call_near_indirect and has_memory(instruction):
                calls.setdefault(instruction.memory_displacement, instruction)
    return {
        start: Setting(
            registers=registers_of(body),
            numbers=tuple(dict.fromkeys((*_numbers(body), *sorted(extents)))),
            addresses=offered,
            targets=tuple(dict.fromkeys(_targets(body))),
            calls=tuple(calls.values()),
            extents=extents,
        )
        for start, body in bodies.items()
    }


def _addresses(placed: PlacedMap, op: Op, bodies: Iterable[Sequence[Instruction]]) -> Iterable[int]:
    for name in (*op.inputs.values(), *op.outputs.values()):
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
