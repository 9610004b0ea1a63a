"""The calls of a function, in order, with the arrays that each is passed or touches by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import iced_x86 as x86

from nndbg.elf import Executable, Symbol
from nndbg.guess.arrays import Array, Spans

_ARGUMENTS = ("RDI", "RSI", "RDX", "RCX", "R8", "R9")
_SAVED = ("RBX", "RBP", "R12", "R13", "R14", "R15")
# Bytes of code of a program without line information that are looked at.
_MOST_CODE = 1 << 19
# A record's first array is no farther from its beginning.
_HEAD = 64
_DEEPEST = 3
_START = frozenset({"main", "_start", "_init", "_fini"})

# What a register holds: an address as linked, or what an array's pointer points to.
Held = int | Array


@dataclass(frozen=True)
class Call:
    """A call of `callee` in `caller`; `behind` is where it returns to, None for a jump at the end.

    `passed` are the arrays in its arguments, `touched` those that the callee finds by itself.
    """

    caller: Symbol
    callee: Symbol
    behind: int | None
    passed: frozenset[str]
    touched: frozenset[str]

    @property
    def words(self) -> frozenset[str]:
        """What the callee's name is made of."""
        return frozenset(re.findall(r"[a-z]+", self.callee.name.lower()))

    @property
    def known(self) -> frozenset[str]:
        """All arrays that it can compute with."""
        return self.passed | self.touched


@dataclass(frozen=True)
class _Scanned:
    calls: tuple[tuple[Symbol, int | None, frozenset[str]], ...]
    touched: frozenset[str]


class Calls:
    """The functions of one program; each is read once."""

    def __init__(self, executable: Executable, arrays: Iterable[Array]) -> None:
        self._executable = executable
        self._arrays = sorted(arrays, key=lambda a: a.span.start)
        self._spans = Spans(self._arrays)
        self._known: dict[int, _Scanned] = {}

    @cached_property
    def functions(self) -> Mapping[int, tuple[Symbol, int]]:
        """The functions that may be the program's own, and where each ends, by address."""
        code = {
            s.address: s
            for s in sorted(self._executable.symbols.values(), key=lambda s: s.is_global)
            if s.is_code and not re.search(r"[.]", s.name) and s.name not in ("_init", "_fini")
        }
        starts = sorted(code)
        ends = dict(zip(starts, [*starts[1:], 0], strict=True))
        found = {}
        for start, symbol in code.items():
            section = next((s for s in self._executable.code if start in s), range(0))
            end = (
                start + symbol.size
                if symbol.size
                else min(ends[start] or section.stop, section.stop)
            )
            found[start] = symbol, end
        if self._executable.has_lines:
            return {a: f for a, f in found.items() if self._executable.line_at(a) is not None}
        return found if sum(end - a for a, (_, end) in found.items()) < _MOST_CODE else {}

    def roots(self) -> list[Symbol]:
        """Return the functions in which a step may begin: those that call others."""
        return [
            symbol
            for symbol, _ in self.functions.values()
            if symbol.name not in _START and self._scan(symbol).calls
        ]

    def of(self, function: Symbol, depth: int = 0) -> Iterator[Call]:
        """Yield the calls of a function; one that is passed nothing is opened instead."""
        for callee, behind, passed in self._scan(function).calls:
            touched = self._touched(callee, 0)
            inner = [] if depth == _DEEPEST else [*self.of(callee, depth + 1)]
            if not passed and sum(bool(call.passed) for call in inner) > 1:
                yield from inner
            elif passed | touched:
                yield Call(function, callee, behind, passed, touched)

    def callees(self, function: Symbol) -> set[str]:
        """Return the functions that it calls, at any depth."""
        found: set[str] = set()
        waiting = [function]
        while waiting:
            for callee, _, _ in self._scan(waiting.pop()).calls:
                if callee.name not in found:
                    found.add(callee.name)
                    waiting.append(callee)
        return found

    def _touched(self, function: Symbol, depth: int) -> frozenset[str]:
        scanned = self._scan(function)
        found = scanned.touched
        if depth < _DEEPEST:
            for callee, _, passed in scanned.calls:
                found |= passed | self._touched(callee, depth + 1)
        return found

    def _scan(self, function: Symbol) -> _Scanned:
        if function.address not in self._known:
            self._known[function.address] = _Scanned((), frozenset())
            end = self.functions.get(function.address, (function, function.address))[1]
            code = self._executable.code_at(function.address, end - function.address)
            self._known[function.address] = self._scanned(code, function.address)
        return self._known[function.address]

    def _scanned(self, code: bytes, address: int) -> _Scanned:
        held: dict[str, Held] = {}
        calls: list[tuple[Symbol, int | None, frozenset[str]]] = []
        touched: set[str] = set()
        end = address + len(code)
        for instruction in x86.Decoder(64, code, ip=address):
            place = _address(instruction, held)
            if isinstance(place, Array):
                touched.add(place.name)
            elif place is not None and (array := self._spans.at(place)) is not None:
                touched.add(array.name)
            flow = instruction.flow_control
            is_jump = flow == x86.FlowControl.UNCONDITIONAL_BRANCH
            if flow == x86.FlowControl.CALL or is_jump:
                target = instruction.near_branch_target
                callee = self.functions.get(target)
                if callee is not None and not (is_jump and address <= target < end):
                    behind = None if is_jump else instruction.next_ip
                    calls.append((callee[0], behind, self._passed(held)))
                if not is_jump:
                    held = {name: what for name, what in held.items() if name in _SAVED}
                continue
            if flow == x86.FlowControl.INDIRECT_CALL:
                held = {name: what for name, what in held.items() if name in _SAVED}
                continue
            self._follow(instruction, place, held)
        return _Scanned(tuple(calls), frozenset(touched))

    def _follow(
        self, instruction: x86.Instruction, place: Held | None, held: dict[str, Held]
    ) -> None:
        """Note what an instruction leaves in a register."""
        if not instruction.op_count or instruction.op0_kind != x86.OpKind.REGISTER:
            return
        if instruction.mnemonic in (x86.Mnemonic.CMP, x86.Mnemonic.TEST, x86.Mnemonic.PUSH):
            return
        target = _full(instruction.op0_register)
        what: Held | None = None
        if instruction.mnemonic == x86.Mnemonic.LEA:
            what = place
        elif instruction.mnemonic == x86.Mnemonic.MOV:
            kind = instruction.op1_kind
            if kind == x86.OpKind.REGISTER:
                what = held.get(_full(instruction.op1_register))
            elif kind == x86.OpKind.MEMORY and isinstance(place, int):
                array = self._spans.at(place)
                what = array if array is not None and array.is_pointer else None
            elif kind in (x86.OpKind.IMMEDIATE32, x86.OpKind.IMMEDIATE64):
                number = instruction.immediate(1)
                what = number if self._spans.at(number) is not None else None
        if what is None:
            held.pop(target, None)
        else:
            held[target] = what

    def _passed(self, held: Mapping[str, Held]) -> frozenset[str]:
        found: set[str] = set()
        for register in _ARGUMENTS:
            what = held.get(register)
            if isinstance(what, Array):
                found.add(what.name)
            elif what is not None:
                found |= self._at(what)
        return frozenset(found)

    def _at(self, address: int) -> set[str]:
        """Return the array at an address, or all members of the record that begins there."""
        array = self._spans.at(address)
        if array is not None and not array.is_pointer:
            return {array.name}
        first = next((a for a in self._arrays if a.span.start >= address), None)
        if first is None or not first.struct or first.span.start - address > _HEAD:
            return set()
        return {a.name for a in self._arrays if a.struct == first.struct}


def _address(instruction: x86.Instruction, held: Mapping[str, Held]) -> Held | None:
    """Return what the memory operand of an instruction is at, as far as that is known."""
    kinds = [instruction.op_kind(n) for n in range(instruction.op_count)]
    if x86.OpKind.MEMORY not in kinds:
        return None
    if instruction.is_ip_rel_memory_operand:
        return int(instruction.memory_displacement)
    base, index = instruction.memory_base, instruction.memory_index
    displacement = int(instruction.memory_displacement)
    if base == x86.Register.NONE:
        return displacement
    known = held.get(_full(base))
    if isinstance(known, Array):
        return known
    if known is not None and index == x86.Register.NONE:
        return (known + displacement) % (1 << 64)
    return known


_NAMES = {
    getattr(x86.Register, name): name for name in dir(x86.Register) if not name.startswith("_")
}


def _full(register: Any) -> str:
    return _NAMES[x86.RegisterExt.full_register(register)]
