"""What may have been meant in place of one instruction: another opcode, number or register."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from iced_x86 import (
    FlowControl,
    Instruction,
    InstructionInfoFactory,
    MemorySizeExt,
    OpAccess,
    OpKind,
    Register,
    RegisterExt,
)

from nndbg.culprit.amendments.coding import (
    Change,
    Cost,
    immediate,
    immediate_operand,
    is_sound,
    name_of,
    signed,
    with_immediate,
    with_mnemonic,
)
from nndbg.culprit.amendments.opcodes import alternatives, conditions

Register_ = Any

_STEPS = (1, 4, 8, 16, 32, 64, 2, 3, 12, 128)
_FACTORS = (2, 4, 8, 16)
_BYTES = 8
_WRITES = {OpAccess.WRITE}
_VECTORS = (Register.XMM0, Register.YMM0, Register.ZMM0)
_STACK = {Register.RSP, Register.ESP, Register.SP, Register.SPL}


@dataclass(frozen=True)
class Setting:
    """What the function around an instruction, the map and the program offer instead.

    `registers` are those that the function names, by their class and number; `numbers` what stands
    in it or in the map; `addresses` where data lies that may be meant, as linked, the likeliest
    first; `targets` where its branches go; `calls` are those of the program,
    the likeliest to be missing here first, and `missed` how many of them there is reason to miss.
    `is_caller` says whether the function is one that makes calls.
    `extents` are numbers that are right somewhere: counts of elements and their bytes.
    `data` reads what the file has at an address that is no buffer's, empty where it has nothing.
    `ratio` is how many times larger the wrong numbers ought to be, NaN where that is unknown.
    """

    registers: tuple[tuple[Register_, int], ...]
    numbers: tuple[int, ...]
    addresses: tuple[int, ...]
    targets: tuple[int, ...]
    calls: tuple[Instruction, ...]
    missed: int
    is_caller: bool
    extents: frozenset[int]
    data: Callable[[int, int], bytes]
    ratio: float


def near(instruction: Instruction, setting: Setting) -> Iterator[Change]:
    """Yield the small changes: another condition, a sibling of the opcode, a number a bit off."""
    yield from _numbers(instruction, _close, Cost.NUMBER, setting.extents)
    yield from _conditions(instruction, 0, 5)
    yield from _opcodes(instruction, 0, 3)
    yield from _scales(instruction)
    yield from _exchanged(instruction)
    yield from _turned(instruction)
    yield from _addresses(instruction, setting.addresses[:_FEW])


def misdirected(body: Sequence[Instruction], at: int, setting: Setting) -> Iterator[Change]:
    """Yield an instruction whose result nobody reads with other registers in it."""
    if is_vain(body, at):
        yield from _registers(body[at], setting.registers, Cost.VAIN)


def is_vain(body: Sequence[Instruction], at: int) -> bool:
    """Whether what an instruction writes is overwritten before anything reads it."""
    factory = InstructionInfoFactory()
    instruction = body[at]
    if not instruction.op_count or instruction.op_kind(0) != OpKind.REGISTER:
        return False
    if factory.info(instruction).op_access(0) not in _WRITES:
        return False
    whole = RegisterExt.full_register(instruction.op_register(0))
    for later in body[at + 1 :]:
        used = [
            u.access
            for u in factory.info(later).used_registers()
            if RegisterExt.full_register(u.register) == whole
        ]
        if any(access not in _WRITES for access in used):
            return False
        if used:
            return True
        if later.flow_control != FlowControl.NEXT:
            return False
    return False


def named(instruction: Instruction, setting: Setting) -> Iterator[Change]:
    """Yield what takes a register or a number that occurs elsewhere in the function."""
    yield from _registers(instruction, setting.registers, Cost.REGISTER)
    yield from _numbers(instruction, lambda value: setting.numbers, Cost.REGISTER, setting.extents)
    yield from _conditions(instruction, 5, 16)
    yield from _opcodes(instruction, 3, 8)
    yield from _without(instruction)
    yield from _widths(instruction)


def far(instruction: Instruction, setting: Setting) -> Iterator[Change]:
    """Yield the larger ones: other numbers, addresses, opcodes and branches."""
    yield from _numbers(instruction, _around, Cost.FAR, setting.extents)
    yield from _opcodes(instruction, 8, 99)
    yield from _addresses(instruction, setting.addresses[_FEW:])
    yield from _targets(instruction, setting.targets)
    yield from _predicates(instruction)


def farthest(instruction: Instruction, setting: Setting) -> Iterator[Change]:
    """Yield what takes a register that the function does not name."""
    every = [
        (base, number)
        for base in {base for base, _ in setting.registers}
        for number in range(32 if base in _VECTORS else 8 if base == Register.K0 else 16)
        if (base, number) not in setting.registers
    ]
    yield from _registers(instruction, every, Cost.FAR + 1)


def _one(old: Instruction, new: Instruction | None, cost: float) -> Iterator[Change]:
    if new is not None and new != old and is_sound(new):
        yield Change(old.ip, 1, (new,), cost)


def _conditions(old: Instruction, first: int, last: int) -> Iterator[Change]:
    for place, name in enumerate(conditions(name_of(old))[first:last]):
        for new in with_mnemonic(old, name):
            yield from _one(old, new, Cost.CONDITION + (first + place) / 10)
    if last == 16 and old.is_jcc_short_or_near:
        for new in with_mnemonic(old, "jmp"):
            yield from _one(old, new, Cost.REGISTER)


def _opcodes(old: Instruction, first: int, last: int) -> Iterator[Change]:
    for place, name in enumerate(alternatives(name_of(old))[first:last]):
        for new in with_mnemonic(old, name):
            wider = MemorySizeExt.size(new.memory_size) > MemorySizeExt.size(old.memory_size)
            yield from _one(old, new, Cost.OPCODE + (first + place) / 10 + _WIDER * wider)


def _close(value: int) -> Iterator[int]:
    """Yield the numbers that are most often written for `value`."""
    if 0 <= value < _SMALL:
        yield from range(_SMALL)
    yield from (value + 1, value - 1, value * 2)
    if not value % 2:
        yield value // 2
    yield from (value + 4, value - 4, -value, 0, value * 4)
    if not value % 4:
        yield value // 4
    yield from (value + 16, value - 16, value + 64, value - 64)


def _around(value: int) -> Iterator[int]:
    """Yield the numbers that are written for `value`, the likeliest first."""
    for step in _STEPS:
        yield value + step
        yield value - step
    for factor in _FACTORS:
        yield value * factor
        if not value % factor:
            yield value // factor
    yield from (-value, 0, 1, ~value)
    yield from (value ^ 1 << bit for bit in range(_BYTES))


def _numbers(
    old: Instruction,
    candidates: Callable[[int], Iterable[int]],
    cost: float,
    extents: frozenset[int],
) -> Iterator[Change]:
    operand = immediate_operand(old)
    if operand is not None:
        value = immediate(old, operand)
        for place, number in enumerate(dict.fromkeys(candidates(value))):
            if number != value:
                price = cost + place / 40 + _natural(value, number, extents)
                yield from _one(old, with_immediate(old, operand, number), price)
    if has_memory(old):
        value = signed(old.memory_displacement)
        for place, number in enumerate(dict.fromkeys(candidates(value))):
            if number != value and not (old.is_ip_rel_memory_operand and abs(number) < 1 << 12):
                yield from _one(old, with_displacement(old, number), cost + place / 40)


def _natural(old: int, new: int, extents: frozenset[int]) -> float:
    """Return what a number costs in place of another, by whether they are extents."""
    return _EXTENT * ((old in extents and abs(old) > 1) - (new in extents and abs(new) > 1))


def has_memory(instruction: Instruction) -> bool:
    """Whether it has an operand in memory, or takes the address of one."""
    return any(instruction.op_kind(n) == OpKind.MEMORY for n in range(instruction.op_count))


def with_displacement(old: Instruction, displacement: int) -> Instruction:
    """Return the instruction with another displacement, or another address if it is relative."""
    new = old.copy()
    new.memory_displacement = displacement % (1 << 64)
    if not old.is_ip_rel_memory_operand:
        new.memory_displ_size = 1 if -128 <= displacement < 128 else 8
    return new


def _scales(old: Instruction) -> Iterator[Change]:
    if has_memory(old) and old.memory_index != Register.NONE:
        for place, scale in enumerate((4, 8, 1, 2)):
            new = old.copy()
            new.memory_index_scale = scale
            yield from _one(old, new, Cost.SCALE + place / 10)


def _exchanged(old: Instruction) -> Iterator[Change]:
    """Yield the instruction with two of its registers in each other's place."""
    slots = [slot for slot in _slots(old) if _get(old, slot) != Register.NONE]
    for at, one in enumerate(slots):
        for other in slots[at + 1 :]:
            if _get(old, one) != _get(old, other):
                new = old.copy()
                _set(new, one, _get(old, other))
                _set(new, other, _get(old, one))
                yield from _one(old, new, Cost.EXCHANGE)


def _turned(old: Instruction) -> Iterator[Change]:
    """Yield a load where a store stands, and the other way round."""
    if old.op_count != 2 or not has_memory(old):
        return
    new = old.copy()
    memory = 0 if old.op_kind(0) == OpKind.MEMORY else 1
    if old.op_kind(1 - memory) != OpKind.REGISTER:
        return
    new.set_op_kind(1 - memory, OpKind.MEMORY)
    new.set_op_kind(memory, OpKind.REGISTER)
    new.set_op_register(memory, old.op_register(1 - memory))
    for turned in with_mnemonic(new, name_of(old)):
        yield from _one(old, turned, Cost.EXCHANGE)


_Slot = int | str


def _slots(instruction: Instruction) -> list[_Slot]:
    """Return where an instruction names registers: operands by number, and parts of its memory."""
    found: list[_Slot] = [
        n for n in range(instruction.op_count) if instruction.op_kind(n) == OpKind.REGISTER
    ]
    if has_memory(instruction) and not instruction.is_ip_rel_memory_operand:
        found += ["memory_base", "memory_index"]
    if instruction.has_op_mask:
        found.append("op_mask")
    return found


def _get(instruction: Instruction, slot: _Slot) -> Register_:
    return instruction.op_register(slot) if isinstance(slot, int) else getattr(instruction, slot)


def _set(instruction: Instruction, slot: _Slot, register: Register_) -> None:
    if isinstance(slot, int):
        instruction.set_op_register(slot, register)
    else:
        setattr(instruction, slot, register)


def class_of(register: Register_) -> Register_:
    """Return the first register of the widest class that a register belongs to."""
    return RegisterExt.base(RegisterExt.full_register(register))


def like(register: Register_, number: int) -> Register_:
    """Return the register of that number in the class and width of another."""
    return RegisterExt.base(register) + number


def registers_of(body: Iterable[Instruction]) -> tuple[tuple[Register_, int], ...]:
    """Return the registers that some code names: the class of the widest, and the number."""
    found: dict[tuple[Register_, int], None] = {}
    for instruction in body:
        for slot in _slots(instruction):
            register = _get(instruction, slot)
            if register != Register.NONE:
                whole = RegisterExt.full_register(register)
                found[RegisterExt.base(whole), RegisterExt.number(whole)] = None
    return tuple(found)


def _registers(
    old: Instruction, candidates: Iterable[tuple[Register_, int]], cost: float
) -> Iterator[Change]:
    for slot in _slots(old):
        register = _get(old, slot)
        if register == Register.NONE:
            continue
        kind = class_of(register)
        for base, number in candidates:
            if base == kind:
                new = old.copy()
                _set(new, slot, like(register, number))
                yield from _one(old, new, cost)


def _addresses(old: Instruction, addresses: Iterable[int]) -> Iterator[Change]:
    """Yield the instruction with another address in it, of data that may be meant."""
    if has_memory(old) and old.memory_index == Register.NONE:
        absolute = old.memory_base == Register.NONE or old.is_ip_rel_memory_operand
        for place, address in enumerate(addresses if absolute else ()):
            yield from _one(old, with_displacement(old, address), Cost.ADDRESS + place / 40)
    operand = immediate_operand(old)
    if operand is not None and name_of(old) == "mov" and immediate(old, operand) > _LOWEST:
        for place, address in enumerate(addresses):
            new = with_immediate(old, operand, address)
            yield from _one(old, new, Cost.ADDRESS + place / 40)


_FEW = 16
_EXTENT = 0.4
# To read or write more than is there is seldom what was meant.
_WIDER = 0.3
_SMALL = 7
# No program is linked below this.
_LOWEST = 1 << 16


def _without(old: Instruction) -> Iterator[Change]:
    """Yield the address without one of its registers, and with a mask left out."""
    for slot in ("memory_base", "memory_index", "op_mask"):
        if slot in _slots(old) and _get(old, slot) != Register.NONE:
            new = old.copy()
            _set(new, slot, Register.NONE)
            yield from _one(old, new, Cost.EXCHANGE)


def _targets(old: Instruction, targets: Iterable[int]) -> Iterator[Change]:
    if old.is_jcc_short_or_near or old.is_jmp_short_or_near or old.is_call_near:
        for place, target in enumerate(targets):
            new = old.copy()
            if not old.is_call_near:
                new.as_near_branch()
            new.near_branch64 = target
            if target != old.near_branch_target:
                yield from _one(old, new, Cost.FAR + place / 40)


def _widths(old: Instruction) -> Iterator[Change]:
    """Yield the instruction on registers of another width."""
    for family in (
        (Register.AL, Register.AX, Register.EAX, Register.RAX),
        (Register.XMM0, Register.YMM0, Register.ZMM0),
    ):
        for base in family:
            new = old.copy()
            changes = 0
            for number in range(old.op_count):
                if old.op_kind(number) != OpKind.REGISTER:
                    continue
                own = old.op_register(number)
                if RegisterExt.base(own) in family and RegisterExt.base(own) != base:
                    new.set_op_register(number, base + RegisterExt.number(own))
                    changes += 1
            if changes:
                for wider in with_mnemonic(new, name_of(old)):
                    yield from _one(old, wider, Cost.REGISTER)


def _predicates(old: Instruction) -> Iterator[Change]:
    """Yield a vector instruction with each of the numbers that choose what it does."""
    operand = immediate_operand(old)
    if operand is None or old.op_kind(operand) != OpKind.IMMEDIATE8:
        return
    for value in range(256):
        yield from _one(old, with_immediate(old, operand, value), Cost.REGISTER)


def register_slots(instruction: Instruction) -> list[int | str]:
    """Return where an instruction names a register: operand numbers, or parts of its memory."""
    return [s for s in _slots(instruction) if _get(instruction, s) != Register.NONE]


def with_register(old: Instruction, slot: int | str, number: int) -> Instruction:
    """Return the instruction with the register of another number, of the same class, in a slot."""
    new = old.copy()
    _set(new, slot, like(_get(old, slot), number))
    return new


def immediate_steps(old: Instruction) -> Iterator[Instruction]:
    """Yield the instruction with its number, or displacement, one vector or element further."""
    if has_memory(old) and not old.is_ip_rel_memory_operand:
        for step in (4, 8, 16, 32, 64):
            for sign in (step, -step):
                yield with_displacement(old, signed(old.memory_displacement) + sign)
