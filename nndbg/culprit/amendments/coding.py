"""Machine code of instructions that are to stand in place of others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import iced_x86
from iced_x86 import Code, Decoder, Encoder, Instruction, Mnemonic, OpCodeInfo, OpKind

from nndbg.decode import decode

# The stubs of iced-x86 declare no type for the constants of an enumeration.
Coded = Any
# Registers are counted within their class, which its stubs do not allow.
Register: Any = iced_x86.Register

NOP = b"\x90"
_NAMES: dict[str, Coded] = {
    name.lower(): code for name in dir(Mnemonic) if isinstance(code := getattr(Mnemonic, name), int)
}
_MNEMONICS: dict[Coded, str] = {value: name for name, value in _NAMES.items()}
_CODE_NAMES: dict[Coded, str] = {
    code: name for name in dir(Code) if isinstance(code := getattr(Code, name), int)
}


class Cost:
    """How far a change is fetched, from 1 for a mistake of the fingers; a tenth is a small step."""

    CONSTANT = 1.0
    CONDITION = 1.0
    NUMBER = 1.0
    SCALE = 1.1
    OPCODE = 1.2
    VAIN = 1.2
    ADDRESS = 1.3
    EXCHANGE = 1.5
    ZEROING = 1.5
    REGISTER = 1.6
    PATTERN = 1.7
    OMISSION = 1.8
    ORDER = 2.2
    INSERTION = 2.5
    FAR = 3.0


@dataclass(frozen=True)
class Constant:
    """Other bytes at an address of the program's data; `text` says what they are."""

    address: int
    data: bytes
    text: str


@dataclass(frozen=True)
class Change:
    """Instructions, `code`, to stand in place of the `count` ones from `address` on.

    Without a count they are put before what stands there. Where `is_label`, what jumps there runs
    them too. A `constant` is changed instead of code: `address` is what reads it. `also` are the
    same changes of the other instructions that the source line was made into. `behind` is the
    address of the instruction to which what is missing belongs, where it is the one before.
    """

    address: int
    count: int
    code: tuple[Instruction, ...]
    cost: float
    is_label: bool = False
    constant: Constant | None = None
    also: tuple[Change, ...] = ()
    behind: int | None = None

    @property
    def site(self) -> int:
        """The address of the instruction that it is said of."""
        return self.address if self.behind is None else self.behind

    @property
    def parts(self) -> tuple[Change, ...]:
        """Each place that is changed, this one first."""
        return (replace(self, also=()), *self.also)

    @property
    def text(self) -> str:
        """The new instructions as NASM writes them, "" where there are none."""
        if self.constant is not None:
            return self.constant.text
        told: list[str] = []
        for instruction in self.code:
            decoded = decode(encode(instruction, self.address) or NOP, self.address)
            told.append(decoded.text if decoded is not None else str(instruction))
        return " / ".join(told)

    @property
    def says(self) -> str:
        """The change, as the beginning of a sentence."""
        if self.also:
            return f"{replace(self, also=()).says}, in all {len(self.also) + 1} repeats of the line"
        if self.constant is not None:
            return f"with {self.constant.text} where it reads"
        if not self.code:
            return "without it"
        if not self.count:
            return f"with {self.text} {'before' if self.behind is None else 'behind'} it"
        if self.count > 1:
            return "with the next instruction before it"
        return f"with {self.text} in its place"


def decode_all(code: bytes, address: int) -> list[Instruction]:
    """Return the instructions of a stretch of code."""
    return list(Decoder(64, code, ip=address))


def name_of(instruction: Instruction) -> str:
    """Return the mnemonic in lower case."""
    return _MNEMONICS[instruction.mnemonic]


def encode(instruction: Instruction, address: int) -> bytes | None:
    """Return the code of an instruction at an address, None where there is no such instruction."""
    encoder = Encoder(64)
    try:
        encoder.encode(instruction, address)
    except ValueError:
        return None
    return bytes(encoder.take_buffer())


def is_sound(instruction: Instruction) -> bool:
    """Whether an instruction can be encoded as it is, and decodes to the same."""
    return encode(instruction, instruction.ip) is not None


def with_mnemonic(instruction: Instruction, name: str) -> Iterator[Instruction]:
    """Yield the instruction with another opcode and the same operands, in each form there is."""
    wanted = _NAMES.get(name)
    if wanted is None:
        return
    seen: set[str] = set()
    own = OpCodeInfo(instruction.code)
    for code in _codes()[wanted]:
        info = OpCodeInfo(code)
        if info.op_count != instruction.op_count or info.encoding != own.encoding:
            continue
        changed = instruction.copy()
        changed.code = code
        coded = encode(changed, instruction.ip)
        if coded is not None and (text := str(changed)) not in seen:
            seen.add(text)
            yield changed


@cache
def _codes() -> dict[Coded, list[Coded]]:
    found: dict[Coded, list[Coded]] = defaultdict(list)
    for code in _CODE_NAMES:
        info = OpCodeInfo(code)
        if info.mode64 and info.is_instruction:
            found[info.mnemonic].append(code)
    return found


def immediate_operand(instruction: Instruction) -> int | None:
    """Return which operand is a number, None where none is."""
    for number in range(instruction.op_count):
        if OpKind.IMMEDIATE8 <= instruction.op_kind(number) <= OpKind.IMMEDIATE32TO64:
            return number
    return None


# The wider forms of a number, for one that does not fit.
_WIDER = {
    OpKind.IMMEDIATE8TO16: (OpKind.IMMEDIATE16, "IMM16"),
    OpKind.IMMEDIATE8TO32: (OpKind.IMMEDIATE32, "IMM32"),
    OpKind.IMMEDIATE8TO64: (OpKind.IMMEDIATE32TO64, "IMM32"),
}


def with_immediate(instruction: Instruction, operand: int, value: int) -> Instruction | None:
    """Return the instruction with another number, None where it cannot hold it."""
    kind = instruction.op_kind(operand)
    changed = instruction.copy()
    for attempt in (False, True):
        if attempt:
            if kind not in _WIDER:
                return None
            wider, suffix = _WIDER[kind]
            code = getattr(Code, _CODE_NAMES[instruction.code].replace("IMM8", suffix), None)
            if code is None:
                return None
            changed.code = code
            changed.set_op_kind(operand, wider)
        try:
            changed.set_immediate_i64(operand, value)
        except (ValueError, OverflowError):
            continue
        bits = _BITS.get(changed.op_kind(operand), 64)
        if (changed.immediate(operand) - value) % (1 << bits) == 0 and is_sound(changed):
            return changed
    return None


_BITS = {
    OpKind.IMMEDIATE8: 8,
    OpKind.IMMEDIATE8_2ND: 8,
    OpKind.IMMEDIATE16: 16,
    OpKind.IMMEDIATE32: 32,
    OpKind.IMMEDIATE8TO16: 16,
    OpKind.IMMEDIATE8TO32: 32,
}


def signed(value: int, bits: int = 64) -> int:
    """Return the number that these bits are in two's complement."""
    return value - (1 << bits) if value >> (bits - 1) & 1 else value


def immediate(instruction: Instruction, operand: int) -> int:
    """Return a number as a person would write it."""
    bits = _BITS.get(instruction.op_kind(operand), 64)
    return signed(instruction.immediate(operand) % (1 << bits), bits)
