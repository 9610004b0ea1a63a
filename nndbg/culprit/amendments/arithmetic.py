"""Arithmetic, copies and comparisons that may be missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from iced_x86 import (
    Code,
    FlowControl,
    Instruction,
    InstructionInfoFactory,
    OpAccess,
    OpKind,
    RegisterExt,
)

from nndbg.culprit.amendments.coding import Change, Cost, Register, name_of, with_mnemonic
from nndbg.culprit.amendments.insertions import ARGUMENTS, before, is_leader, is_target
from nndbg.culprit.amendments.replacements import Setting, like

Register_ = Any

_WRITES = {OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
_READS = {OpAccess.READ, OpAccess.COND_READ, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}


def unread(body: tuple[Instruction, ...], at: int) -> Iterator[Change]:
    """Yield arithmetic with a vector register that something is put into and nothing reads."""
    wasted = _unread(body)
    if not at or not wasted:
        return
    made = [number for base, number in _written(body[at - 1]) if base == Register.ZMM0]
    for number in made:
        yield from _vectors(body, at, number, wasted - {number}, Cost.PATTERN)
        if number in wasted:
            named = {other for base, other in _named(body) if base == Register.ZMM0}
            for other in named - {number}:
                yield from _vectors(body, at, other, {number}, Cost.PATTERN + 0.1)


def elsewhere(body: tuple[Instruction, ...], at: int) -> Iterator[Change]:
    """Yield arithmetic that the function does somewhere else, to what was just made.

    Of vectors where the other is of single numbers, and the other way round, too.
    """
    made = [r for r in _vector_operands(body[at - 1])[:1] if at]
    if not made or body[at - 1].op_kind(0) != OpKind.REGISTER:
        return
    number = RegisterExt.number(made[0])
    for model in _arithmetic(body):
        for name in _forms(name_of(model)):
            new = model.copy()
            for slot in range(model.op_count - 1):
                if model.op_register(slot) == model.op_register(0):
                    new.set_op_register(slot, like(model.op_register(0), number))
            for formed in with_mnemonic(new, name):
                yield from before(body[at], formed, Cost.PATTERN + 0.3)


def _forms(name: str) -> tuple[str, ...]:
    other = {"ps": "ss", "ss": "ps", "pd": "sd", "sd": "pd"}[name[-2:]]
    return name, name[:-2] + other


@lru_cache(maxsize=64)
def _arithmetic(body: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
    """Return the different arithmetic instructions of a function that change a register."""
    found: dict[str, Instruction] = {}
    for instruction in body:
        plain = name_of(instruction).removeprefix("v")
        if plain[:3] in _OPERATIONS and plain[-2:] in ("ps", "ss", "pd", "sd"):
            found.setdefault(str(instruction), instruction)
    return tuple(found.values())


# They write every register, in a way.
_UPPER = ("vzeroupper", "vzeroall")
_OPERATIONS = ("add", "sub", "mul", "div", "max", "min")


def unset(body: tuple[Instruction, ...], at: int) -> Iterator[Change]:
    """Yield what sets a vector register that is read and never set, where a block begins."""
    if not is_leader(body, at) and at > _FIRST:
        return
    names = {RegisterExt.base(r) for i in body for r in _vector_operands(i)}
    for number in _never_set(body):
        yield from _cleared(body, at, number, names)
        for source in range(_PASSED):
            for code, base in _SETTING:
                if base in names and number < 16:
                    new = Instruction.create_reg_reg(code, base + number, Register.XMM0 + source)
                    # What a function works with is set at its beginning.
                    yield from before(body[at], new, Cost.PATTERN + min(at, 50) / 500)


def _cleared(
    body: tuple[Instruction, ...], at: int, number: int, names: set[Register_]
) -> Iterator[Change]:
    """Yield what clears a vector register, in each width that the function uses."""
    for base, code in _CLEARING:
        if base in names and number < 16:
            one = base + number
            new = (
                Instruction.create_reg_reg(code, one, one)
                if code == Code.XORPS_XMM_XMMM128
                else Instruction.create_reg_reg_reg(code, one, one, one)
            )
            yield from before(body[at], new, Cost.ZEROING + min(at, 50) / 500)


def _vector_operands(instruction: Instruction) -> list[Register_]:
    registers = [
        instruction.op_register(n)
        for n in range(instruction.op_count)
        if instruction.op_kind(n) == OpKind.REGISTER
    ]
    return [register for register in registers if RegisterExt.is_vector_register(register)]


@lru_cache(maxsize=64)
def _never_set(body: tuple[Instruction, ...]) -> frozenset[int]:
    """Return the vector registers that a function reads and never writes."""
    factory = InstructionInfoFactory()
    written, read = set[int](), set[int]()
    for instruction in (i for i in body if name_of(i) not in _UPPER):
        for used in factory.info(instruction).used_registers():
            if RegisterExt.is_vector_register(used.register):
                number = RegisterExt.number(used.register)
                (written if used.access in _WRITES else read).add(number)
    return frozenset(read - written)


# How many of a function's first instructions may prepare what it works with.
_FIRST = 6
# How many vector registers arguments are passed in here.
_PASSED = 4
_CLEARING = (
    (Register.XMM0, Code.XORPS_XMM_XMMM128),
    (Register.YMM0, Code.VEX_VXORPS_YMM_YMM_YMMM256),
    (Register.ZMM0, Code.EVEX_VPXORD_ZMM_K1Z_ZMM_ZMMM512B32),
)
_SETTING = (
    (Code.VEX_VBROADCASTSS_YMM_XMM, Register.YMM0),
    (Code.EVEX_VBROADCASTSS_ZMM_K1Z_XMMM32, Register.ZMM0),
    (Code.VEX_VMOVAPS_XMM_XMMM128, Register.XMM0),
    (Code.MOVAPS_XMM_XMMM128, Register.XMM0),
)


def anything(body: tuple[Instruction, ...], at: int, setting: Setting) -> Iterator[Change]:
    """Yield the code with something before an instruction for which nothing there speaks."""
    yield from _reckoned(body, at, setting)
    yield from _copied(body, at, setting)


def compared(body: Sequence[Instruction], at: int, setting: Setting) -> Iterator[Change]:
    """Yield a comparison before what goes by the flags."""
    if not body[at].rflags_read:
        return
    general = [Register.RAX + number for base, number in setting.registers if base == Register.RAX]
    for one in general:
        yield from before(
            body[at], Instruction.create_reg_reg(Code.TEST_RM64_R64, one, one), Cost.INSERTION
        )
        for other in general:
            new = Instruction.create_reg_reg(Code.CMP_R64_RM64, one, other)
            yield from before(body[at], new, Cost.INSERTION + 0.5)
        for number in _small(setting.numbers):
            new = Instruction.create_reg_i32(Code.CMP_RM64_IMM32, one, number)
            yield from before(body[at], new, Cost.INSERTION + 0.6)


@lru_cache(maxsize=64)
def _unread(body: tuple[Instruction, ...]) -> frozenset[int]:
    """Return the vector registers that a function writes and never reads, nor hands to another."""
    factory = InstructionInfoFactory()
    written, read = set[int](), {0}
    for instruction in (i for i in body if name_of(i) not in _UPPER):
        if instruction.flow_control == FlowControl.CALL or instruction.is_call_near_indirect:
            read |= set(range(8))
        vectors = [
            (RegisterExt.number(used.register), used.access)
            for used in factory.info(instruction).used_registers()
            if RegisterExt.is_vector_register(used.register)
        ]
        own = {number for number, access in vectors if access in _WRITES}
        written |= own
        # What is made of itself alone is not yet put to use.
        read |= {number for number, access in vectors if access in _READS} - own
    return frozenset(written - read)


def _written(instruction: Instruction) -> list[tuple[Register_, int]]:
    """Return the registers that an instruction writes: the class of the widest, and the number."""
    return [
        (RegisterExt.base(whole), RegisterExt.number(whole))
        for used in InstructionInfoFactory().info(instruction).used_registers()
        if used.access in _WRITES
        for whole in (RegisterExt.full_register(used.register),)
    ]


def _named(body: Sequence[Instruction]) -> set[tuple[Register_, int]]:
    return {register for instruction in body for register in _written(instruction)}


def _reckoned(body: Sequence[Instruction], at: int, setting: Setting) -> Iterator[Change]:
    """Yield further arithmetic on what the instruction before has made."""
    if not at:
        return
    info = InstructionInfoFactory().info(body[at - 1])
    for used in info.used_registers():
        if used.access not in _WRITES:
            continue
        register = used.register
        if RegisterExt.is_gpr64(register) or RegisterExt.is_gpr32(register):
            whole = RegisterExt.full_register(register)
            for code in (Code.NEG_RM64, Code.NOT_RM64, Code.INC_RM64, Code.DEC_RM64):
                new = Instruction.create_reg(code, whole)
                yield from before(body[at], new, Cost.INSERTION + 1)
            for code in (Code.SHL_RM64_IMM8, Code.SHR_RM64_IMM8):
                for count in (1, 2, 3, 4, 5, 6):
                    new = Instruction.create_reg_u32(code, whole, count)
                    yield from before(body[at], new, Cost.INSERTION + 1)
            for base, number in setting.registers:
                if base == Register.RAX:
                    other = Register.RAX + number
                    for code in (Code.ADD_R64_RM64, Code.SUB_R64_RM64, Code.IMUL_R64_RM64):
                        new = Instruction.create_reg_reg(code, whole, other)
                        yield from before(body[at], new, Cost.INSERTION + 1.5)
        elif RegisterExt.is_vector_register(register):
            others = [number for base, number in setting.registers if base == Register.ZMM0]
            number = RegisterExt.number(register)
            yield from _vectors(body, at, number, others, Cost.INSERTION + 1)


_SSE = (
    *(Code.MULPS_XMM_XMMM128, Code.ADDPS_XMM_XMMM128, Code.SUBPS_XMM_XMMM128),
    *(Code.DIVPS_XMM_XMMM128, Code.MAXPS_XMM_XMMM128, Code.MINPS_XMM_XMMM128),
    *(Code.ADDSS_XMM_XMMM32, Code.MULSS_XMM_XMMM32, Code.SUBSS_XMM_XMMM32),
    *(Code.DIVSS_XMM_XMMM32, Code.MAXSS_XMM_XMMM32, Code.MULSD_XMM_XMMM64),
    *(Code.ADDSD_XMM_XMMM64, Code.SUBSD_XMM_XMMM64, Code.DIVSD_XMM_XMMM64),
)
_VEX = (
    *(Code.VEX_VMULPS_YMM_YMM_YMMM256, Code.VEX_VADDPS_YMM_YMM_YMMM256),
    *(Code.VEX_VSUBPS_YMM_YMM_YMMM256, Code.VEX_VDIVPS_YMM_YMM_YMMM256),
    *(Code.VEX_VMAXPS_YMM_YMM_YMMM256, Code.VEX_VMINPS_YMM_YMM_YMMM256),
)
_EVEX = (
    *(Code.EVEX_VMULPS_ZMM_K1Z_ZMM_ZMMM512B32_ER, Code.EVEX_VADDPS_ZMM_K1Z_ZMM_ZMMM512B32_ER),
    *(Code.EVEX_VSUBPS_ZMM_K1Z_ZMM_ZMMM512B32_ER, Code.EVEX_VMAXPS_ZMM_K1Z_ZMM_ZMMM512B32_SAE),
)


def _vectors(
    body: Sequence[Instruction], at: int, number: int, others: Iterable[int], cost: float
) -> Iterator[Change]:
    names = {
        RegisterExt.base(i.op_register(n))
        for i in body
        for n in range(i.op_count)
        if i.op_kind(n) == OpKind.REGISTER
    }
    is_vex = any(name_of(i).startswith("v") for i in body)
    base, codes = Register.XMM0, [*_SSE]
    if Register.ZMM0 in names:
        base, codes = Register.ZMM0, [*_EVEX]
    elif is_vex:
        base, codes = Register.YMM0, [*_VEX]
    for other in others:
        for code in codes:
            new = (
                Instruction.create_reg_reg(code, base + number, base + other)
                if base == Register.XMM0
                else Instruction.create_reg_reg_reg(
                    code, base + number, base + number, base + other
                )
            )
            yield from before(body[at], new, cost)


def _copied(body: Sequence[Instruction], at: int, setting: Setting) -> Iterator[Change]:
    """Yield copies from register to register where a block begins, or a function."""
    if not is_leader(body, at):
        return
    general = [number for base, number in setting.registers if base == Register.RAX]
    sources = {RegisterExt.number(r) for r in ARGUMENTS} | set(general)
    target = is_target(body, at)
    for number in general:
        for other in sources - {number}:
            new = Instruction.create_reg_reg(
                Code.MOV_R64_RM64, Register.RAX + number, Register.RAX + other
            )
            yield from before(body[at], new, Cost.INSERTION + 1)
            if target:
                yield from before(body[at], new, Cost.INSERTION + 1, label=True)


def _small(numbers: Iterable[int]) -> list[int]:
    return [number for number in numbers if 0 <= number < 1 << 31]
