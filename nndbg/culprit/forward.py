"""What the lanes of a slice are made of, followed in the order in which the program ran."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nndbg.culprit.lanes import ALL, Mask
from nndbg.culprit.slicing import Slice, Trace, is_masked_move
from nndbg.culprit.terms import LIVE, STRANGE, Set
from nndbg.decode import Instruction

# Lanes are kept in pieces of so many bytes; a double has two of them.
_PIECE = 4
_FORMATS = {4: "<f", 8: "<d"}


@dataclass(frozen=True)
class Result:
    """One lane that an instruction calculated.

    `made_of` are the elements that went into it, `operands` the same for each operand, and `value`
    is what the lane held behind the instruction.
    """

    index: int
    instruction: Instruction
    register: str
    lane: int
    made_of: Set
    operands: tuple[Set, ...]
    value: float


class Forward:
    """The lanes of a slice, from the loads on to the store."""

    def __init__(
        self, trace: Trace, made: Slice, element: Callable[[int], Set], is_strict: bool = True
    ) -> None:
        """`element` returns the set of the element that lies at an address, as loaded.

        Where it `is_strict`, what went through constants, or was not followed lane by lane, is
        strange.
        """
        self._strange = STRANGE if is_strict else 0
        self._trace = trace
        self._slice = made
        self._element = element
        self._registers: dict[tuple[str, int], Set] = {}
        self._memory: dict[int, Set] = {}
        # What the last store of the slice wrote is made of.
        self.stored: Set = STRANGE

    def results(self, correct: Callable[[Result], Set]) -> Iterator[Result]:
        """Yield what is calculated, in order; it is taken to be made of what `correct` returns."""
        for index in self._slice.ordered:
            instruction = self._trace.instructions[index]
            assert instruction is not None
            width = 8 if instruction.mnemonic.endswith(("sd", "pd")) else _PIECE
            made: list[tuple[str, int, Set]] = []
            for register, mask in self._slice.asked[index]:
                is_wide = register.startswith("zmm") or not register
                for begin in _pieces(mask, width) if is_wide else (0,):
                    wanted = ((1 << width) - 1) << begin if is_wide else ALL
                    operands = self._operands(index, instruction, register, wanted)
                    union = _union(operands)
                    result = self._result(index, instruction, register, begin, width, operands)
                    if result is not None:
                        yield result
                        union = correct(result)
                    made.append((register, begin, union))
            # All is read before anything is written.
            for register, begin, union in made:
                self._keep(index, instruction, register, begin, width, union)

    def _operands(
        self, index: int, instruction: Instruction, register: str, wanted: Mask
    ) -> tuple[Set, ...]:
        """Return what each operand of one lane of a result is made of."""
        found = self._trace.sources(index, register, wanted)
        is_masked = is_masked_move(instruction) and self._trace.passed(index) is not None
        skipped = instruction.operands[1] if is_masked else ""
        sets = [
            self._lanes(name, mask)
            for name, mask in found.registers
            if not name.startswith("k") and name != skipped
        ]
        for access, mask in found.memory:
            span = self._trace.span(index, access)
            sets.append(_union(tuple(self._loaded(at) for at in _at(span, mask))))
        is_constant = not sets and instruction.immediate not in (None, 0)
        if found.is_loose or is_constant or (instruction.mask and "blendm" in instruction.mnemonic):
            sets.append(self._strange)
        return tuple(sets)

    def _lanes(self, name: str, mask: Mask) -> Set:
        if not name.startswith("zmm"):
            return self._registers.get((name, 0), LIVE)
        return _union(
            tuple(self._registers.get((name, at // _PIECE), LIVE) for at in _pieces(mask, 4))
        )

    def _loaded(self, at: int) -> Set:
        stored = self._memory.get(at)
        return self._element(at) if stored is None else stored

    def _result(
        self,
        index: int,
        instruction: Instruction,
        register: str,
        begin: int,
        width: int,
        operands: tuple[Set, ...],
    ) -> Result | None:
        seen = self._trace.steps.seen.get(index)
        is_number = instruction.mnemonic.endswith(("ss", "sd", "ps", "pd"))
        if seen is None or seen.vector is None or not register.startswith("zmm"):
            return None
        if not (instruction.is_float and is_number):
            return None
        (value,) = struct.unpack_from(_FORMATS[width], seen.vector, begin)
        lane = begin // width
        return Result(index, instruction, register, lane, _union(operands), operands, value)

    def _keep(
        self, index: int, instruction: Instruction, register: str, begin: int, width: int, made: Set
    ) -> None:
        if not register:
            store = instruction.store
            assert store is not None
            for at in self._trace.span(index, store)[begin : begin + width]:
                self._memory[at] = made
            self.stored = made
            return
        if not register.startswith("zmm"):
            self._registers[register, 0] = made
            return
        for at in range(begin, begin + width, _PIECE):
            self._registers[register, at // _PIECE] = made


def _union(sets: tuple[Set, ...]) -> Set:
    union = 0
    for one in sets:
        union |= one
    return union


def _pieces(mask: Mask, size: int) -> Iterator[int]:
    """Yield the first byte of each piece of `size` bytes that a mask touches."""
    for begin in range(0, 64, size):
        if mask >> begin & ((1 << size) - 1):
            yield begin


def _at(span: range, mask: Mask) -> Iterator[int]:
    for number, at in enumerate(span):
        if mask >> number & 1:
            yield at
