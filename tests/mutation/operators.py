"""Makes mutants: every single small change of a NASM file that an operator can make."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .opcodes import other_conditions, other_opcodes
from .source import REGISTERS, Line, read_lines

# Lines around an instruction in which a register counts as nearby.
_NEARBY = 8
_NUMBER = re.compile(r"(?<![\w.$])(?:0x[0-9a-fA-F]+(?!p)|\d+)(?![\w.])")
_DATA_NUMBER = re.compile(
    r"(?<![\w.$])-?(?:\d+\.\d+(?:e-?\d+)?|0x1p-?\d+|0x[0-9a-fA-F]+|\d+)(?![\w.])"
)
_WORD = re.compile(r"[A-Za-z_]\w*")
_CONSTANT = re.compile(r"[\w\s*+()/-]+")
_SCALE = re.compile(r"\*\s*(F32|INDEX|[248])\b")


@dataclass(frozen=True)
class Mutant:
    """One change of one file: from `line` on, the lines `removed` are replaced by those `added`."""

    file: str
    line: int
    operator: str
    removed: tuple[str, ...]
    added: tuple[str, ...]
    source: str

    @property
    def text(self) -> str:
        """The whole file, changed."""
        lines = self.source.splitlines()
        lines[self.line - 1 : self.line - 1 + len(self.removed)] = self.added
        return "\n".join(lines) + "\n"

    @property
    def before(self) -> str:
        """What the changed lines were, without comments."""
        return _told(self.removed)

    @property
    def after(self) -> str:
        """What they became."""
        return _told(self.added) or "(nothing)"

    @property
    def key(self) -> str:
        """A name that stays the same while the file's text does."""
        digest = hashlib.sha1(f"{self.file}\0{self.text}".encode(), usedforsecurity=False)
        return digest.hexdigest()[:12]


def mutants(file: str, text: str) -> Iterator[Mutant]:
    """Yield every mutant of a file, operator by operator; many do not assemble."""
    lines = read_lines(text)
    raw = text.splitlines()
    for operator, make in OPERATORS.items():
        for at, changed in make(lines):
            removed = tuple(raw[at : at + len(changed)])
            yield Mutant(file, at + 1, operator, removed, tuple(changed), text)


def _told(lines: Sequence[str]) -> str:
    return " / ".join(" ".join(line.split(";")[0].split()) for line in lines).strip()


Changes = Iterator[tuple[int, list[str]]]


def _instructions(lines: Sequence[Line]) -> Iterator[tuple[int, Line]]:
    return ((at, line) for at, line in enumerate(lines) if line.is_instruction)


def change_opcode(lines: Sequence[Line]) -> Changes:
    """Another instruction of the same family: add/sub, mul/add, max/min, FMA forms, predicates."""
    for at, line in _instructions(lines):
        for other in other_opcodes(line.mnemonic):
            yield at, [line.with_operands(line.operands, other)]


def change_condition(lines: Sequence[Line]) -> Changes:
    """Another condition of a jump or a set: negated, or off by the case of equality or sign."""
    for at, line in _instructions(lines):
        for other in other_conditions(line.mnemonic):
            yield at, [line.with_operands(line.operands, other)]


def change_register(lines: Sequence[Line]) -> Changes:
    """Another register of the same class, under the name by which it occurs nearby."""
    for at, line in _instructions(lines):
        pool: dict[str, None] = {}
        for near in lines[max(0, at - _NEARBY) : at + _NEARBY + 1]:
            if near.is_instruction:
                pool.update(dict.fromkeys(_WORD.findall(", ".join(near.operands))))
        for index, operand in enumerate(line.operands):
            for word in _WORD.finditer(operand):
                kind = _class(word[0], line)
                if kind is None:
                    continue
                for other in pool:
                    if other != word[0] and _class(other, line) == kind:
                        changed = operand[: word.start()] + other + operand[word.end() :]
                        yield at, [line.with_operands(_replaced(line.operands, index, changed))]


def _class(name: str, line: Line) -> str | None:
    return line.names.get(name) or REGISTERS.get(name)


def _replaced(operands: Sequence[str], index: int, operand: str) -> list[str]:
    return [*operands[:index], operand, *operands[index + 1 :]]


def change_immediate(lines: Sequence[Line]) -> Changes:
    """A number in the code or the data: one more, one less, 0, doubled, its sign turned."""
    for at, line in enumerate(lines):
        if line.is_instruction:
            for index, operand in enumerate(line.operands):
                if _is_constant(operand, line):
                    for other in _other_numbers(operand):
                        yield at, [line.with_operands(_replaced(line.operands, index, other))]
        elif line.is_data and '"' not in line.code:
            for number in _DATA_NUMBER.finditer(line.code):
                for other in _other_numbers(number[0]):
                    code = line.code[: number.start()] + other + line.code[number.end() :]
                    yield at, [line.with_code(code)]


def _is_constant(operand: str, line: Line) -> bool:
    """Whether an operand is a number, spelled out or by names in capitals."""
    words = _WORD.findall(operand)
    return (
        bool(_CONSTANT.fullmatch(operand))
        and (bool(words) or bool(_NUMBER.search(operand)))
        and all(word.isupper() and word not in line.names for word in words)
    )


def _other_numbers(number: str) -> list[str]:
    if re.fullmatch(r"-?\d+\.\d+(e-?\d+)?|0x1p-?\d+", number):
        value = float.fromhex(number) if number.startswith("0x") else float(number)
        others = [value + 1, value - 1, 0.0, 2 * value, -value]
        return [repr(other) for other in dict.fromkeys(others) if other != value]
    if re.fullmatch(r"\d+", number):
        whole = int(number)
        values = dict.fromkeys([whole + 1, whole - 1, 0, 2 * whole, -whole])
        return [str(other) for other in values if other != whole]
    return [f"({number}) + 1", f"({number}) - 1", "0", f"({number}) * 2", f"-({number})"]


def change_address(lines: Sequence[Line]) -> Changes:
    """Another displacement, or another scale of the index, in an address."""
    for at, line in _instructions(lines):
        for index, operand in enumerate(line.operands):
            start, end = operand.find("["), operand.rfind("]")
            if start < 0:
                continue
            inside = operand[start + 1 : end]
            for other in _other_addresses(inside):
                changed = f"{operand[: start + 1]}{other}{operand[end:]}"
                yield at, [line.with_operands(_replaced(line.operands, index, changed))]


def _other_addresses(inside: str) -> Iterator[str]:
    yield f"{inside} + 4"
    yield f"{inside} - 4"
    yield f"{inside} + 1"
    for scale in _SCALE.finditer(inside):
        before, after = inside[: scale.start()], inside[scale.end() :]
        for other in ("2", "4", "8"):
            yield f"{before}* {other}{after}"
        yield f"{before}{after}"
    for number in _NUMBER.finditer(inside):
        if inside[: number.start()].rstrip().endswith(("+", "-")):
            before, after = inside[: number.start()], inside[number.end() :]
            for value in (0, int(number[0], 0) * 2, int(number[0], 0) // 2):
                yield f"{before}{value}{after}"


def swap_operands(lines: Sequence[Line]) -> Changes:
    """The operands in another order: the last two, or the first two."""
    for at, line in _instructions(lines):
        operands = line.operands
        # Nothing is stored in a number, and no address is computed into memory.
        if len(operands) >= 2 and line.mnemonic != "lea":
            *first, a, b = operands
            if a != b and (first or not _is_constant(b, line)):
                yield at, [line.with_operands([*first, b, a])]
        if len(operands) >= 3:
            a, b, *rest = operands
            if a != b:
                yield at, [line.with_operands([b, a, *rest])]


def swap_instructions(lines: Sequence[Line]) -> Changes:
    """Two neighbouring instructions in the other order."""
    for at, (line, following) in enumerate(pairwise(lines)):
        if line.is_instruction and following.is_instruction and not following.has_label:
            head, tail = line.code, following.code
            if not line.has_label and head.strip() != tail.strip():
                yield at, [following.code + following.comment, line.code + line.comment]


def delete_instruction(lines: Sequence[Line]) -> Changes:
    """No instruction where one was; calls are an operator of their own."""
    for at, line in _instructions(lines):
        if line.mnemonic != "call":
            yield at, [line.head.rstrip()]


def delete_call(lines: Sequence[Line]) -> Changes:
    """A function that is never called."""
    for at, line in _instructions(lines):
        if line.mnemonic == "call":
            yield at, [line.head.rstrip()]


def change_definition(lines: Sequence[Line]) -> Changes:
    """Another register or number behind a name: %define and equ."""
    definitions = [line.definition for line in lines]
    for at, line in enumerate(lines):
        found = definitions[at]
        if found is not None:
            name, text = found
            prefix = line.code[: line.code.index(name) + len(name)]
            gap = line.code[len(prefix) :][: -len(line.code[len(prefix) :].lstrip())]
            near = definitions[max(0, at - _NEARBY) : at + _NEARBY + 1]
            kind = REGISTERS.get(text)
            for _, other in (pair for pair in near if pair):
                if kind is not None and other != text and REGISTERS.get(other) == kind:
                    yield at, [line.with_code(f"{prefix}{gap}{other}")]
            for number in _NUMBER.finditer(text) if kind is None else ():
                for other in _other_numbers(number[0]):
                    changed = text[: number.start()] + other + text[number.end() :]
                    yield at, [line.with_code(f"{prefix}{gap}{changed}")]
        elif line.is_equ:
            name, value = re.split(r"(?<=\bequ)\s+", line.code.rstrip(), maxsplit=1)
            for other in _other_numbers(value):
                yield at, [line.with_code(f"{name} {other}")]


OPERATORS: dict[str, Callable[[Sequence[Line]], Changes]] = {
    "opcode": change_opcode,
    "register": change_register,
    "immediate": change_immediate,
    "address": change_address,
    "condition": change_condition,
    "operands": swap_operands,
    "swap": swap_instructions,
    "delete": delete_instruction,
    "call": delete_call,
    "define": change_definition,
}
