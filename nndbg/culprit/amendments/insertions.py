"""What may be missing, too much, or in the wrong order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from iced_x86 import (
    Code,
    FlowControl,
    Instruction,
    InstructionInfoFactory,
    MemoryOperand,
    OpAccess,
    OpKind,
    RegisterExt,
)

from nndbg.culprit.amendments.coding import Change, Cost, Register, is_sound, name_of
from nndbg.culprit.amendments.replacements import (
    Setting,
    has_memory,
    immediate_steps,
    register_slots,
    with_register,
)

Register_ = Any

ARGUMENTS = (
    *(Register.RDI, Register.RSI, Register.RDX, Register.RCX, Register.R8, Register.R9),
)  # fmt: skip
_NEIGHBOURS = 8
_WRITES = {OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
_READ_WRITES = {OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}


def patterned(body: Sequence[Instruction], at: int, setting: Setting) -> Iterator[Change]:
    """Yield the code without an instruction, and with one before it that continues a pattern."""
    is_branch = body[at].flow_control not in (FlowControl.NEXT, FlowControl.CALL)
    yield Change(body[at].ip, 1, (), Cost.INSERTION if is_branch else Cost.OMISSION)
    yield from _extrapolated(body, at)
    yield from _zeroed(body, at, _accumulators(body), Cost.ZEROING)
    yield from _undecided(body, at, setting)
    if is_call(body[at]):
        yield from _copies(body, at, setting)


def swapped(body: Sequence[Instruction], at: int, cost: float = Cost.ORDER) -> Iterator[Change]:
    """Yield the code with an instruction behind the next one."""
    if at + 1 < len(body):
        one, other = body[at], body[at + 1]
        if one.flow_control == FlowControl.NEXT and other.flow_control == FlowControl.NEXT:
            yield Change(one.ip, 2, (other, one), cost)


def overwritten(body: Sequence[Instruction], at: int) -> Iterator[Change]:
    """Yield the code with an instruction behind the next one, which does away with its result."""
    if at + 1 == len(body):
        return
    one, other = body[at], body[at + 1]
    factory = InstructionInfoFactory()
    if not one.op_count or one.op_kind(0) != OpKind.REGISTER:
        return
    if factory.info(one).op_access(0) not in _WRITES or not other.op_count:
        return
    result = RegisterExt.full_register(one.op_register(0))
    used = [
        u.access
        for u in factory.info(other).used_registers()
        if RegisterExt.full_register(u.register) == result
    ]
    # A conversion leaves the upper lanes alone, and is said to read them.
    converts = name_of(other).startswith("cvt") and len(used) == 1
    if used and (converts or all(access == OpAccess.WRITE for access in used)):
        yield from swapped(body, at, Cost.NUMBER)


def likely(body: Sequence[Instruction], at: int, setting: Setting) -> Iterator[Change]:
    """Yield the code with something in front of an instruction that a pattern there asks for."""
    if is_call(body[at]):
        yield from _arguments(body, at, setting)
    yield from _calls(body, at, setting)


def possible(body: Sequence[Instruction], at: int, setting: Setting) -> Iterator[Change]:
    """Yield the code with more of what is done around an instruction, or a branch."""
    yield from _repeated(body, at, setting)
    yield from _zeroed(body, at, setting.registers, Cost.INSERTION)
    yield from _jumps(body, at, setting)


def before(
    there: Instruction, new: Instruction, cost: float, label: bool = False
) -> Iterator[Change]:
    """Yield what puts a new instruction in front of one that is there, if the new one can be."""
    if is_sound(new):
        yield Change(there.ip, 0, (new,), cost, label)


def is_call(instruction: Instruction) -> bool:
    """Whether it calls a function."""
    return bool(instruction.is_call_near or instruction.is_call_near_indirect)


def is_leader(body: Sequence[Instruction], at: int) -> bool:
    """Whether control may come here otherwise than from the instruction before."""
    return at == 0 or body[at - 1].flow_control != FlowControl.NEXT or is_target(body, at)


def is_target(body: Sequence[Instruction], at: int) -> bool:
    """Whether a branch of the function goes to an instruction."""
    here = body[at].ip
    return any(
        i.flow_control in (FlowControl.CONDITIONAL_BRANCH, FlowControl.UNCONDITIONAL_BRANCH)
        and i.near_branch_target == here
        for i in body
    )


def _zeroed(
    body: Sequence[Instruction], at: int, registers: Iterable[tuple[Register_, int]], cost: float
) -> Iterator[Change]:
    """Yield what clears a register, where a block begins or others are cleared."""
    ends_clearing = at and is_zeroing(body[at - 1]) and not is_zeroing(body[at])
    if not (is_leader(body, at) or ends_clearing):
        return
    target = is_target(body, at)
    uses_vex = any(name_of(i).startswith("v") for i in body)
    for base, number in registers:
        if base == Register.RAX:
            register = Register.EAX + number
            new = Instruction.create_reg_reg(Code.XOR_R32_RM32, register, register)
        elif base == Register.ZMM0:
            if uses_vex and number < 16:
                one = Register.XMM0 + number
                new = Instruction.create_reg_reg_reg(Code.VEX_VXORPS_XMM_XMM_XMMM128, one, one, one)
            elif number < 16:
                one = Register.XMM0 + number
                new = Instruction.create_reg_reg(Code.XORPS_XMM_XMMM128, one, one)
            else:
                one = Register.ZMM0 + number
                new = Instruction.create_reg_reg_reg(
                    Code.EVEX_VPXORD_ZMM_K1Z_ZMM_ZMMM512B32, one, one, one
                )
        else:
            continue
        yield from before(body[at], new, cost)
        if target:
            yield from before(body[at], new, cost, label=True)


def _accumulators(body: Sequence[Instruction]) -> list[tuple[Register_, int]]:
    """Return the registers to which something is added, by class and number."""
    found: dict[tuple[Register_, int], None] = {}
    factory = InstructionInfoFactory()
    for instruction in body:
        if instruction.op_count < 2 or is_zeroing(instruction):
            continue
        register = instruction.op_register(0)
        read = factory.info(instruction).op_access(0) in _READ_WRITES
        if read or (instruction.op_count > 2 and instruction.op_register(1) == register):
            whole = RegisterExt.full_register(register)
            found[RegisterExt.base(whole), RegisterExt.number(whole)] = None
    return [key for key in found if key[0] in (Register.RAX, Register.ZMM0)]


def is_zeroing(instruction: Instruction) -> bool:
    """Whether it clears a register by what is in it."""
    registers = [instruction.op_register(n) for n in range(instruction.op_count)]
    same = len(registers) > 1 and registers[-1] == registers[-2] != Register.NONE
    return same and "xor" in name_of(instruction)


def _extrapolated(body: Sequence[Instruction], at: int) -> Iterator[Change]:
    """Yield the next, the one before or the one between of two that follow a pattern."""
    for later in (at - 1, at):
        if later < 1:
            continue
        two = body[later]
        for earlier in range(later - 1, max(-1, later - _NEIGHBOURS), -1):
            one = body[earlier]
            if one.code != two.code:
                continue
            for times, cost in ((1, 0.0), (-2, 0.1), (-0.5, 0.2)):
                new = _along(one, two, times)
                if new is not None:
                    yield from before(body[at], new, Cost.PATTERN + cost)
            break


def _along(one: Instruction, two: Instruction, times: float) -> Instruction | None:
    """Return `two` moved on by so many times what it is from `one`."""
    new = two.copy()
    moved = False
    for slot in register_slots(two):
        a, b = RegisterExt.number(_reg(one, slot)), RegisterExt.number(_reg(two, slot))
        if RegisterExt.base(_reg(one, slot)) != RegisterExt.base(_reg(two, slot)):
            return None
        number = b + (b - a) * times
        if number != int(number) or not 0 <= number < 32:
            return None
        new = with_register(new, slot, int(number))
        moved |= a != b
    if has_memory(two):
        gap = (two.memory_displacement - one.memory_displacement + (1 << 63)) % (1 << 64) - (
            1 << 63
        )
        step = gap * times
        if step != int(step):
            return None
        new.memory_displacement = (two.memory_displacement + int(step)) % (1 << 64)
        moved |= gap != 0
    return new if moved else None


def _reg(instruction: Instruction, slot: int | str) -> Register_:
    return instruction.op_register(slot) if isinstance(slot, int) else getattr(instruction, slot)


def _repeated(body: Sequence[Instruction], at: int, setting: Setting) -> Iterator[Change]:
    """Yield what the neighbours do, done to another register."""
    for model in {at - 1, at} - {-1}:
        there = body[model]
        if there.flow_control != FlowControl.NEXT:
            continue
        for slot in register_slots(there):
            own = _reg(there, slot)
            kind, number = RegisterExt.base(RegisterExt.full_register(own)), RegisterExt.number(own)
            for base, other in setting.registers:
                if base == kind and other != number:
                    new = with_register(there, slot, other)
                    yield from before(body[at], new, Cost.INSERTION + 0.3)
        for new in immediate_steps(there):
            yield from before(body[at], new, Cost.INSERTION + 0.5)


def _copies(body: Sequence[Instruction], at: int, setting: Setting) -> Iterator[Change]:
    """Yield copies into the argument registers of a call that nothing sets before it."""
    for register in _unset(body, at):
        for base, other in setting.registers:
            if base == Register.RAX and Register.RAX + other != register:
                copy = Instruction.create_reg_reg(Code.MOV_R64_RM64, register, Register.RAX + other)
                yield from before(body[at], copy, Cost.PATTERN)


def _unset(body: Sequence[Instruction], at: int) -> list[Register_]:
    """Return the argument registers that nothing sets between a call and what comes before it."""
    found = list(ARGUMENTS)
    for earlier in reversed(body[:at]):
        if earlier.flow_control != FlowControl.NEXT:
            break
        if earlier.op_count and earlier.op_kind(0) == OpKind.REGISTER:
            whole = RegisterExt.full_register(earlier.op_register(0))
            if whole in found:
                found.remove(whole)
    return found


def _arguments(body: Sequence[Instruction], at: int, setting: Setting) -> Iterator[Change]:
    """Yield what puts an argument where the called function takes it."""
    call = body[at]
    for register in _unset(body, at):
        for place, address in enumerate(setting.addresses):
            lea = Instruction.create_reg_mem(
                Code.LEA_R64_M, register, MemoryOperand(Register.RIP, displ=address, displ_size=8)
            )
            yield from before(call, lea, Cost.INSERTION + place / 50)
            load = Instruction.create_reg_mem(
                Code.MOV_R64_RM64,
                register,
                MemoryOperand(Register.RIP, displ=address, displ_size=8),
            )
            yield from before(call, load, Cost.INSERTION + place / 50 + 0.1)
        for number in setting.numbers:
            if 0 <= number < 1 << 31:
                put = Instruction.create_reg_i32(Code.MOV_RM64_IMM32, register, number)
                yield from before(call, put, Cost.INSERTION + 0.5)
    for place, address in enumerate(setting.addresses):
        load = Instruction.create_reg_mem(
            Code.MOVSS_XMM_XMMM32,
            Register.XMM0,
            MemoryOperand(Register.RIP, displ=address, displ_size=8),
        )
        yield from before(call, load, Cost.INSERTION + place / 50 + 0.1)


def _calls(body: Sequence[Instruction], at: int, setting: Setting) -> Iterator[Change]:
    for place, call in enumerate(setting.calls if setting.is_caller else ()):
        yield from before(body[at], call, Cost.INSERTION + place / 50)


def _jumps(body: Sequence[Instruction], at: int, setting: Setting) -> Iterator[Change]:
    """Yield a branch to one of the function's labels, where a block ends."""
    if not at or not (
        is_target(body, at) or name_of(body[at - 1]) in ("cmp", "test", "dec", "sub")
    ):
        return
    codes = (Code.JMP_REL32_64,) if is_target(body, at) else ()
    if body[at - 1].rflags_modified and not body[at].rflags_read:
        codes = (*codes, *_BRANCHES)
    for target in setting.targets:
        for code in codes:
            yield from before(
                body[at], Instruction.create_branch(code, target), Cost.INSERTION + 0.4
            )


def _undecided(body: Sequence[Instruction], at: int, setting: Setting) -> Iterator[Change]:
    """Yield a branch behind a comparison that decides nothing."""
    if not at or name_of(body[at - 1]) not in ("cmp", "test", "bt", "comiss", "ucomiss"):
        return
    for later in body[at:]:
        if later.rflags_read or later.flow_control != FlowControl.NEXT:
            return
        if later.rflags_modified:
            break
    for place, target in enumerate(setting.targets):
        for code in _BRANCHES:
            new = Instruction.create_branch(code, target)
            yield from before(body[at], new, Cost.SCALE + place / 50)


_BRANCHES = (
    *(Code.JE_REL32_64, Code.JNE_REL32_64, Code.JL_REL32_64, Code.JGE_REL32_64, Code.JB_REL32_64),
    *(Code.JAE_REL32_64, Code.JG_REL32_64, Code.JLE_REL32_64, Code.JA_REL32_64, Code.JBE_REL32_64),
)
