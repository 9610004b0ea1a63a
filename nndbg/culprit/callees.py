"""What the program's functions call, and which call one of them may miss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from iced_x86 import Code as Opcode
from iced_x86 import Instruction, MemoryOperand, Register

from nndbg.culprit.amendments.replacements import has_memory
from nndbg.elf import Executable

_MOST = 60
# How much of a table is looked at, in bytes.
_POINTER, _TABLE = 8, 128
Callee = tuple[bool, int]


class Callees:
    """The calls that functions, `bodies` by their first address, make or that could be made.

    `pointers` are the addresses of variables that hold the address of a function.
    """

    def __init__(
        self,
        executable: Executable,
        bodies: Mapping[int, Sequence[Instruction]],
        functions: Iterable[int],
        pointers: Iterable[int],
    ) -> None:
        self._executable = executable
        self._made = {start: dict(_calls(body)) for start, body in bodies.items()}
        self._known: dict[Callee, Instruction] = {}
        for made in self._made.values():
            for callee, call in made.items():
                self._known.setdefault(callee, call)
        self._unused: dict[Callee, Instruction] = {}
        for pointer in pointers:
            where = MemoryOperand(Register.RIP, displ=pointer, displ_size=8)
            call = Instruction.create_mem(Opcode.CALL_RM64, where)
            if (True, pointer) not in self._known:
                self._unused[True, pointer] = self._known[True, pointer] = call
        held = self._held()
        self._alone: list[Callee] = []
        for address in functions:
            if (False, address) not in self._known and address not in held:
                self._alone.append((False, address))
            call = Instruction.create_branch(Opcode.CALL_REL32_64, address)
            self._known.setdefault((False, address), call)

    def of(self, body: Sequence[Instruction]) -> tuple[tuple[Instruction, ...], int]:
        """Return what a function may call, the likeliest to be missing first.

        Those that there is reason to miss are so many: a sibling, of a name that begins like its
        own, makes them, and it does not; or nobody goes by a pointer that there is.
        """
        start = body[0].ip
        own = self._made.get(start, {})
        name = self._name(start)
        missed = dict(self._unused)
        for other, made in self._made.items():
            if other == start or not name or not _are_siblings(name, self._name(other)):
                continue
            for callee, call in made.items():
                twin = self._twin(callee, self._name(other), name)
                if twin not in own:
                    missed.setdefault(twin, self._known.get(twin, call))
        file = self._file(start)
        near = {
            callee: call
            for other, made in self._made.items()
            if other == start or (file is not None and self._file(other) == file)
            for callee, call in made.items()
        }
        alone = {callee: self._known[callee] for callee in self._alone}
        every = missed | alone | near | self._known
        return tuple(every.values())[:_MOST], min(len(missed), _MOST)

    def _held(self) -> set[int]:
        """Return what the file's data has at its symbols, as if all of it were addresses."""
        return {
            int.from_bytes(held[at : at + _POINTER], "little")
            for symbol in self._executable.symbols.values()
            if not symbol.is_code
            for held in (self._executable.read(symbol.address, _TABLE),)
            for at in range(0, len(held), _POINTER)
        }

    def _twin(self, callee: Callee, other: str, name: str) -> Callee:
        """Return what is to a function what a callee is to its sibling."""
        is_indirect, address = callee
        called = self._name(address)
        ending, own = other.rpartition("_")[2], name.rpartition("_")[2]
        if is_indirect or not called.endswith("_" + ending):
            return callee
        symbol = self._executable.symbols.get(called.removesuffix(ending) + own)
        return (False, symbol.address) if symbol is not None and symbol.is_code else callee

    def _name(self, address: int) -> str:
        symbol = self._executable.function_at(address)
        return symbol.name if symbol is not None and symbol.address == address else ""

    def _file(self, address: int) -> str | None:
        line = self._executable.line_at(address)
        return line.file if line is not None else None


def _are_siblings(name: str, other: str) -> bool:
    """Whether two functions do the same in different ways: all but the last word is the same."""
    return bool(stem := name.rpartition("_")[0]) and stem == other.rpartition("_")[0]


def _calls(body: Sequence[Instruction]) -> Iterator[tuple[Callee, Instruction]]:
    for instruction in body:
        if instruction.is_call_near:
            yield (False, instruction.near_branch_target), instruction
        elif instruction.is_call_near_indirect and has_memory(instruction):
            yield (True, instruction.memory_displacement), instruction
