"""What a number was made of: a backward slice over the instructions that really ran.

Source of the idea: Korel and Laski, "Dynamic program slicing" (1988). Effective addresses are known
for each instruction, so memory is followed byte by byte, and vector registers lane by lane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from nndbg.culprit.lanes import ALL, Mask, Sources, sources, written
from nndbg.decode import Access, Disassembly, Instruction
from nndbg.inferior.stepper import Steps

_OUTSIDE = -1
_SIGN = 0x80
# Instructions under a mask that read where their result goes all the same.
_READ_THEIR_TARGET = ("vfm", "vfnm", "vpternlog")


class Trace:
    """The instructions that ran, in order, with the registers before each.

    It `is_late` where it begins somewhere within the op.
    """

    def __init__(self, steps: Steps, code: Disassembly, offset: int, is_late: bool = False) -> None:
        self.is_late = is_late
        self.steps = steps
        self.code = code
        self.offset = offset
        self.addresses = [int(a) - offset for a in steps.addresses]
        known = {address: code.at(address) for address in set(self.addresses)}
        self.instructions: list[Instruction | None] = [known[a] for a in self.addresses]
        self._registers: dict[int, dict[str, int]] = {}
        self._stores: list[tuple[int, int, int]] | None = None

    def __len__(self) -> int:
        return len(self.addresses)

    def registers(self, index: int) -> dict[str, int]:
        """Return the registers before an instruction; rip and none as addresses use them."""
        found = self._registers.get(index)
        if found is None:
            found = self.steps.at(index)
            found["rip"], found["none"] = self.offset, 0
            self._registers[index] = found
        return found

    def span(self, index: int, access: Access) -> range:
        """Return the bytes that a memory operand of an instruction covered."""
        begin = access.address(self.registers(index))
        instruction = self.instructions[index]
        if instruction is not None and instruction.stack < 0 and access.base == "rsp":
            # A push writes below the stack pointer that it finds.
            begin = self.registers(index)["rsp"] + instruction.stack
        return range(begin, begin + access.size)

    def sources(self, index: int, register: str, wanted: Mask) -> Sources:
        """Return what bytes of a register were made of; lanes that a mask left out took nothing.

        The mask itself is named as well.
        """
        instruction = self.instructions[index]
        assert instruction is not None
        passed = self.passed(index) if register.startswith("zmm") else None
        if passed is None:
            return sources(instruction, register, wanted)
        taken = sources(instruction, register, wanted & passed)
        reads_target = register in instruction.operands[1:] or instruction.mnemonic.startswith(
            _READ_THEIR_TARGET
        )
        masks = {instruction.mask, instruction.operands[1] if is_masked_move(instruction) else ""}
        found = {
            name: mask
            for name, mask in taken.registers
            if name in masks or (wanted & passed and (reads_target or name != register))
        }
        kept = wanted & ~passed
        if kept and not (is_masked_move(instruction) or "{z}" in instruction.text):
            found[register] = found.get(register, 0) | kept
        memory = taken.memory if wanted & passed else ()
        return Sources(tuple(found.items()), memory, taken.is_loose and bool(wanted & passed))

    def passed(self, index: int) -> Mask | None:
        """Return which bytes of its result a mask lets through; None without, or if not known."""
        instruction = self.instructions[index]
        assert instruction is not None
        if instruction.mask:
            seen = self.steps.seen.get(index)
            bits = seen.mask if seen is not None else None
            if bits is None or "blendm" in instruction.mnemonic:
                return None
            width = 8 if instruction.mnemonic.endswith(("pd", "sd", "q", "64")) else 4
            return _lanes(width, lambda lane: bool(bits >> lane & 1))
        if is_masked_move(instruction):
            held = self._held(index, instruction.operands[1])
            width = 8 if instruction.mnemonic.endswith(("pd", "q")) else 4
            if held is not None:
                return _lanes(width, lambda lane: bool(held[width * (lane + 1) - 1] & _SIGN))
        return None

    def touched(self, index: int, access: Access) -> Sequence[int]:
        """Return the bytes that a store wrote, without those that a mask left out."""
        span = self.span(index, access)
        passed = self.passed(index)
        if passed is None:
            return span
        return [at for number, at in enumerate(span) if passed >> number & 1]

    def _held(self, index: int, register: str) -> bytes | None:
        """Return what a vector register held before an instruction, None if nobody looked."""
        for before in range(index - 1, -1, -1):
            instruction = self.instructions[before]
            if instruction is not None and register in instruction.writes:
                seen = self.steps.seen.get(before)
                return seen.vector if seen is not None else None
        return None

    @property
    def stores(self) -> list[tuple[int, int, int]]:
        """Every store: index, first byte, behind the last."""
        if self._stores is None:
            self._stores = []
            for index, instruction in enumerate(self.instructions):
                if instruction is not None and (access := instruction.store) is not None:
                    touched = self.touched(index, access)
                    if touched:
                        self._stores.append((index, touched[0], touched[-1] + 1))
        return self._stores

    def last_store(self, begin: int, end: int, before: int | None = None) -> int | None:
        """Return the last instruction that stored into these bytes."""
        for index, start, stop in reversed(self.stores):
            if start < end and begin < stop and (before is None or index < before):
                return index
        return None


@dataclass(frozen=True)
class Leaf:
    """Bytes that were loaded as they lay in memory when the trace began."""

    index: int
    address: int
    size: int


@dataclass
class Slice:
    """The instructions that a value was made by, by index; `leaves` are what they loaded.

    `asked` says which bytes of which registers ("" is memory) each of them was followed for,
    `feeds` which later instructions of the slice took what an earlier one made. `live` are
    registers that held part of it when the trace began. `loose` are instructions at which more may
    have been followed than counts.
    """

    nodes: set[int] = field(default_factory=set)
    leaves: list[Leaf] = field(default_factory=list)
    asked: dict[int, list[tuple[str, Mask]]] = field(default_factory=dict)
    feeds: dict[int, set[int]] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    loose: set[int] = field(default_factory=set)

    @property
    def ordered(self) -> list[int]:
        """The instructions in the order in which they ran."""
        return sorted(self.nodes)


class _Wanted:
    """What is still looked for on the way back: bytes of registers and of memory, and for whom."""

    def __init__(self) -> None:
        self.registers: dict[str, dict[int, Mask]] = {}
        self.memory: dict[int, set[int]] = {}

    def take_register(self, name: str, mask: Mask) -> dict[int, Mask]:
        """Return who wanted bytes of a register, which are looked for no more."""
        found: dict[int, Mask] = {}
        rest: dict[int, Mask] = {}
        for user, wanted in self.registers.pop(name, {}).items():
            if wanted & mask:
                found[user] = wanted & mask
            if wanted & ~mask:
                rest[user] = wanted & ~mask
        if rest:
            self.registers[name] = rest
        return found

    def take_memory(self, span: range, touched: Sequence[int]) -> tuple[set[int], Mask]:
        """Return who wanted bytes that are written, and which of the span these are."""
        users: set[int] = set()
        mask = 0
        for at in touched:
            wanting = self.memory.pop(at, None)
            if wanting:
                users |= wanting
                mask |= 1 << (at - span.start)
        return users, mask

    def want(self, user: int, found: Sources, trace: Trace) -> None:
        for name, mask in found.registers:
            users = self.registers.setdefault(name, {})
            users[user] = users.get(user, 0) | mask
        for access, mask in found.memory:
            for number, at in enumerate(trace.span(user, access)):
                if mask >> number & 1:
                    self.memory.setdefault(at, set()).add(user)


def value_slice(trace: Trace, store: int, begin: int, end: int) -> Slice:
    """Return how the bytes begin to end were made, that the instruction `store` wrote."""
    wanted = _Wanted()
    for at in range(begin, end):
        wanted.memory[at] = {_OUTSIDE}
    return _back(trace, store, wanted)


def address_slice(trace: Trace, index: int, registers: Iterable[str]) -> Slice:
    """Return how `registers` came to what they held before the instruction `index`."""
    wanted = _Wanted()
    for name in registers:
        if name != "rip":
            wanted.registers[name] = {_OUTSIDE: ALL}
    return _back(trace, index - 1, wanted)


def _back(trace: Trace, start: int, wanted: _Wanted) -> Slice:
    result = Slice()
    instructions = trace.instructions
    for index in range(start, -1, -1):
        if not wanted.registers and not wanted.memory:
            break
        instruction = instructions[index]
        if instruction is None:
            continue
        _visit(trace, index, instruction, wanted, result)
    result.live = set(wanted.registers)
    loads: dict[int, list[int]] = {}
    for at, users in wanted.memory.items():
        for user in users:
            loads.setdefault(user, []).append(at)
    for user, bytes_read in loads.items():
        if user != _OUTSIDE:
            result.leaves += _runs(user, sorted(bytes_read))
    result.leaves.sort(key=lambda leaf: leaf.index)
    return result


def _visit(
    trace: Trace, index: int, instruction: Instruction, wanted: _Wanted, result: Slice
) -> None:
    asked: list[tuple[str, Mask]] = []
    users: set[int] = set()
    for name in instruction.writes:
        if name in wanted.registers and name != "rsp":
            mask = written(instruction, name)
            taken = wanted.take_register(name, mask)
            if taken:
                whole = 0
                for part in taken.values():
                    whole |= part
                asked.append((name, whole))
                users |= taken.keys()
    store = instruction.store
    if store is not None and wanted.memory:
        span = trace.span(index, store)
        touched = trace.touched(index, store)
        if any(at in wanted.memory for at in touched):
            takers, mask = wanted.take_memory(span, touched)
            users |= takers
            asked.append(("", mask))
    if not asked:
        return
    result.nodes.add(index)
    result.asked[index] = asked
    for user in users:
        if user != _OUTSIDE:
            result.feeds.setdefault(index, set()).add(user)
    for name, mask in asked:
        found = trace.sources(index, name, mask)
        if found.is_loose:
            result.loose.add(index)
        wanted.want(index, found, trace)


def is_masked_move(instruction: Instruction) -> bool:
    """Whether it loads or stores the lanes that the signs of a vector register say."""
    return instruction.mnemonic.startswith(("vmaskmov", "vpmaskmov"))


def _lanes(width: int, chosen: Callable[[int], bool]) -> Mask:
    """Return the bytes of the lanes that are chosen."""
    lane = (1 << width) - 1
    return sum(lane << width * n for n in range(64 // width) if chosen(n))


def _runs(user: int, bytes_read: list[int]) -> list[Leaf]:
    """Return the stretches of bytes without gaps."""
    found: list[Leaf] = []
    for at in bytes_read:
        if found and found[-1].address + found[-1].size == at:
            found[-1] = Leaf(user, found[-1].address, found[-1].size + 1)
        else:
            found.append(Leaf(user, at, 1))
    return found
