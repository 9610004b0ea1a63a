"""What an instruction reads and writes, from iced-x86; text as NASM writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from iced_x86 import (
    Code,
    CpuidFeature,
    Decoder,
    FlowControl,
    Formatter,
    FormatterSyntax,
    InstructionInfoFactory,
    MemorySizeExt,
    Mnemonic,
    OpAccess,
    OpKind,
    Register,
    RegisterExt,
)
from iced_x86 import (
    Instruction as Decoded,
)

from nndbg.elf import Executable, Symbol

# The stubs of iced-x86 call the type of a register so.
Register_ = Any

_LONGEST = 15
_READS = {OpAccess.READ, OpAccess.COND_READ, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
_WRITES = {OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
_NAMES: Mapping[int, str] = {
    getattr(Register, name): name.lower() for name in dir(Register) if not name.startswith("_")
}
_MNEMONICS: Mapping[int, str] = {
    getattr(Mnemonic, name): name.lower() for name in dir(Mnemonic) if not name.startswith("_")
}
_FEATURES: Mapping[int, str] = {
    getattr(CpuidFeature, name): name for name in dir(CpuidFeature) if not name.startswith("_")
}
_HIGH = {"ah", "bh", "ch", "dh"}
_STRINGS = {"movsb", "movsw", "movsd", "movsq", "stosb", "stosw", "stosd", "stosq"}
_CALLS = {FlowControl.CALL, FlowControl.INDIRECT_CALL}
_GOES_ON = {FlowControl.NEXT, FlowControl.CONDITIONAL_BRANCH, *_CALLS}
_BASED = {Register.FS, Register.GS}
_JUMPS = {FlowControl.UNCONDITIONAL_BRANCH, FlowControl.INDIRECT_BRANCH}


@dataclass(frozen=True)
class Access:
    """One memory operand: base + index * scale + displacement, `size` bytes of `width` a lane.

    `segment` is fs or gs where their base is to be added, else empty.
    """

    base: str
    index: str
    scale: int
    displacement: int
    size: int
    width: int
    reads: bool
    writes: bool
    segment: str = ""

    def address(self, registers: Mapping[str, int]) -> int:
        """Return the effective address with these general registers; as loaded if they are."""
        base = registers.get(self.base, 0)
        return (base + registers.get(self.index, 0) * self.scale + self.displacement) % (1 << 64)

    @property
    def registers(self) -> tuple[str, ...]:
        """The registers that make the address."""
        return tuple(name for name in (self.base, self.index) if name != "none")


@dataclass(frozen=True)
class Instruction:
    """One instruction; registers by their full names: rax, zmm0, k1, flags.

    `operands` are the registers in the order written, "" for one that is no register, and `names`
    the same as written (ymm4 for zmm4). `kills` are those whose whole contents it replaces, `data`
    those that it reads for their value and not for an address. `target` is where a direct branch or
    call goes, `named` the address that a lea has in itself.
    """

    address: int
    size: int
    text: str
    mnemonic: str
    reads: frozenset[str]
    writes: frozenset[str]
    kills: frozenset[str]
    data: tuple[str, ...]
    memory: tuple[Access, ...]
    operands: tuple[str, ...]
    names: tuple[str, ...]
    mask: str
    immediate: int | None
    target: int | None
    named: int | None
    flow: int
    stack: int
    is_string: bool
    is_broadcast: bool
    is_zeroing: bool

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.address + self.size

    @property
    def is_call(self) -> bool:
        """Whether it calls a function."""
        return self.flow in _CALLS

    @property
    def is_return(self) -> bool:
        """Whether it returns from one."""
        return self.flow == FlowControl.RETURN

    @property
    def is_branch(self) -> bool:
        """Whether it jumps only if a condition holds."""
        return self.flow == FlowControl.CONDITIONAL_BRANCH

    @property
    def is_jump(self) -> bool:
        """Whether it always jumps."""
        return self.flow in _JUMPS

    @property
    def goes_on(self) -> bool:
        """Whether what follows it may run next, or after the function that it calls."""
        return self.flow in _GOES_ON

    @property
    def is_float(self) -> bool:
        """Whether it calculates with floating-point numbers."""
        return self.mnemonic.removeprefix("v").startswith(_FLOATING)

    @property
    def store(self) -> Access | None:
        """The memory that it writes."""
        return next((m for m in self.memory if m.writes), None)

    @property
    def load(self) -> Access | None:
        """The memory that it reads."""
        return next((m for m in self.memory if m.reads), None)

    @property
    def source(self) -> str:
        """The register whose value a store writes, as written; "" where it is none."""
        return next((name for name in reversed(self.names[1:]) if name), "")


_FLOATING = (
    *("add", "sub", "mul", "div", "max", "min", "sqrt", "rcp", "rsqrt", "fmadd", "fmsub"),
    *("fnmadd", "fnmsub", "and", "or", "xor", "cmp", "blend", "cvt", "scalef", "hadd", "dp"),
    *("reduce", "range", "round", "rndscale"),
)


class Disassembly:
    """The program's own code, decoded when it is first asked for; addresses as linked."""

    def __init__(self, executable: Executable) -> None:
        self.executable = executable
        self._known: dict[int, Instruction | None] = {}
        self._functions: dict[int, tuple[Instruction, ...]] = {}

    def at(self, address: int) -> Instruction | None:
        """Return the instruction at `address`, None where the file has no code there."""
        if address not in self._known:
            self._known[address] = self._decode(address)
        return self._known[address]

    def function(self, address: int) -> tuple[Instruction, ...]:
        """Return the function around `address`, from its symbol on to the next one, in order."""
        symbol = self.executable.function_at(address)
        if symbol is None:
            return ()
        if symbol.address not in self._functions:
            self._functions[symbol.address] = self._body(symbol)
        return self._functions[symbol.address]

    def _body(self, symbol: Symbol) -> tuple[Instruction, ...]:
        found: list[Instruction] = []
        at = symbol.address
        while self.executable.function_at(at) == symbol:
            instruction = self.at(at)
            if instruction is None:
                at += 1
                continue
            found.append(instruction)
            at = instruction.end
        return tuple(found)

    def before(self, address: int) -> Instruction | None:
        """Return the instruction that ends where `address` begins."""
        # The end of a function belongs to the one before it.
        for inside in (address, address - 1):
            for instruction in self.function(inside):
                if instruction.end == address:
                    return instruction
        return None

    def _decode(self, address: int) -> Instruction | None:
        if not any(address in section for section in self.executable.code):
            return None
        return decode(self.executable.read(address, _LONGEST), address)


def decode(code: bytes, address: int) -> Instruction | None:
    """Return the instruction that `code` begins with, None where that is none."""
    decoded = Decoder(64, code, ip=address).decode()
    return None if decoded.code == Code.INVALID else _instruction(decoded)


def features(code: bytes) -> tuple[str, ...]:
    """Return what a processor must have for the instruction that `code` begins with."""
    return tuple(_FEATURES[feature] for feature in Decoder(64, code).decode().cpuid_features())


def part(name: str, registers: Mapping[str, int]) -> tuple[int, int]:
    """Return the width in bytes and the value of a general register, such as `cl` or `ah`."""
    register = getattr(Register, name.upper())
    size, value = RegisterExt.size(register), registers[full(register)]
    return size, value >> (8 if name in _HIGH else 0) & (1 << 8 * size) - 1


@cache
def _formatter() -> Formatter:
    formatter = Formatter(FormatterSyntax.NASM)
    formatter.hex_prefix, formatter.hex_suffix = "0x", ""
    formatter.space_after_operand_separator = True
    formatter.rip_relative_addresses = False
    formatter.show_branch_size = False
    formatter.branch_leading_zeros = False
    return formatter


def _instruction(decoded: Decoded) -> Instruction:
    info = InstructionInfoFactory().info(decoded)
    reads, writes, kills = set(), set(), set()
    for used in info.used_registers():
        name = full(used.register)
        if used.access in _READS:
            reads.add(name)
        if used.access in _WRITES:
            writes.add(name)
            if used.access == OpAccess.WRITE and RegisterExt.size(used.register) >= 4:
                kills.add(name)
    if decoded.rflags_read:
        reads.add("flags")
    if decoded.rflags_modified:
        writes.add("flags")
        kills.add("flags")
    registers = tuple(
        decoded.op_register(n) if decoded.op_kind(n) == OpKind.REGISTER else Register.NONE
        for n in range(decoded.op_count)
    )
    operands = tuple(full(register) if register else "" for register in registers)
    mnemonic = _MNEMONICS[decoded.mnemonic]
    # The string instruction movsd has a namesake that moves a double.
    is_string = mnemonic in _STRINGS and (mnemonic.startswith("stos") or not any(operands))
    memory = tuple(
        Access(
            base=full(used.base),
            index=full(used.index),
            scale=used.scale,
            displacement=used.displacement,
            size=_string_width(mnemonic) if is_string else MemorySizeExt.size(used.memory_size),
            width=_string_width(mnemonic)
            if is_string
            else MemorySizeExt.element_size(used.memory_size),
            reads=used.access in _READS,
            writes=used.access in _WRITES,
            segment=_NAMES[used.segment] if used.segment in _BASED else "",
        )
        for used in info.used_memory()
    )
    direct = decoded.flow_control in (
        FlowControl.CALL,
        FlowControl.CONDITIONAL_BRANCH,
        FlowControl.UNCONDITIONAL_BRANCH,
    )
    return Instruction(
        address=decoded.ip,
        size=decoded.len,
        text=_formatter().format(decoded),
        mnemonic=mnemonic,
        reads=frozenset(reads - {"none"}),
        writes=frozenset(writes - {"none"}),
        kills=frozenset(kills - {"none"}),
        data=_data(decoded, info, reads),
        memory=memory,
        operands=operands,
        names=tuple(_NAMES[register] if register else "" for register in registers),
        mask=full(decoded.op_mask) if decoded.has_op_mask else "",
        immediate=_immediate(decoded),
        target=decoded.near_branch_target if direct else None,
        named=_named(decoded),
        flow=decoded.flow_control,
        stack=_stack(decoded, mnemonic, operands),
        is_string=is_string,
        is_broadcast=decoded.is_broadcast,
        is_zeroing=_is_zeroing(mnemonic, operands),
    )


def _data(decoded: Decoded, info: Any, reads: set[str]) -> tuple[str, ...]:
    """Return the registers that are read for their value: operands, implicit ones, the mask."""
    written = {
        full(decoded.op_register(n)): info.op_access(n)
        for n in reversed(range(decoded.op_count))
        if decoded.op_kind(n) == OpKind.REGISTER
    }
    found = [name for name, access in written.items() if access in _READS]
    for n in range(decoded.op_count):
        if decoded.op_kind(n) == OpKind.REGISTER and info.op_access(n) in _READS:
            found.append(full(decoded.op_register(n)))
    if decoded.mnemonic == Mnemonic.LEA:
        return tuple(sorted(reads - {"none", "rip"}))
    address = {full(m.base) for m in info.used_memory()} | {
        full(m.index) for m in info.used_memory()
    }
    implicit = reads - written.keys() - address
    if decoded.has_op_mask:
        implicit.add(full(decoded.op_mask))
    return tuple(dict.fromkeys([*found, *sorted(implicit - {"none", "rip", "rsp"})]))


def full(register: Register_) -> str:
    """Return the name of the widest register that `register` is a part of."""
    return _NAMES[RegisterExt.full_register(register)]


def _immediate(decoded: Decoded) -> int | None:
    for number in range(decoded.op_count):
        kind = decoded.op_kind(number)
        if OpKind.IMMEDIATE8 <= kind <= OpKind.IMMEDIATE32TO64:
            return int(decoded.immediate(number))
    return None


def _named(decoded: Decoded) -> int | None:
    if decoded.mnemonic != Mnemonic.LEA:
        return None
    if decoded.is_ip_rel_memory_operand:
        return int(decoded.ip_rel_memory_address)
    alone = decoded.memory_base == Register.NONE and decoded.memory_index == Register.NONE
    return int(decoded.memory_displacement) if alone else None


def _stack(decoded: Decoded, mnemonic: str, operands: tuple[str, ...]) -> int:
    """Return by how much it moves the stack pointer, as far as it alone says."""
    immediate = _immediate(decoded)
    if operands[:1] == ("rsp",) and immediate is not None and mnemonic in ("add", "sub"):
        return _signed(immediate) if mnemonic == "add" else -_signed(immediate)
    is_above = decoded.memory_base == Register.RSP and decoded.memory_index == Register.NONE
    if operands[:1] == ("rsp",) and mnemonic == "lea" and is_above:
        return _signed(decoded.memory_displacement)
    return int(decoded.stack_pointer_increment)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _string_width(mnemonic: str) -> int:
    return {"b": 1, "w": 2, "d": 4, "q": 8}[mnemonic[-1]]


def _is_zeroing(mnemonic: str, operands: tuple[str, ...]) -> bool:
    plain = mnemonic.removeprefix("v")
    sources = operands[-2:]
    return (
        plain.startswith(("xorp", "pxor", "xor", "psub", "sub", "andnp", "pandn"))
        and len(sources) == 2
        and sources[0] == sources[1] != ""
    )
