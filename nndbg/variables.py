"""The variables of a program in C, C++ or Rust, from its DWARF: where they lie, what they are.

Assembly has none of this: its data symbols carry no types. DWARF 5, section numbers below.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, cast

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.dwarf.dwarf_expr import DWARFExprParser
from elftools.elf.elffile import ELFFile

from nndbg.elf import DAMAGE

_STEP = re.compile(r"(?P<arrow>->|\.)(?P<field>[A-Za-z_]\w*)|\[(?P<index>\d{1,9})\]")
_NAME = re.compile(r"[A-Za-z_][\w:]*")
# Section 7.8, table 7.11.
_FLOAT, _SIGNED, _SIGNED_CHAR, _UNSIGNED, _UNSIGNED_CHAR = 0x04, 0x05, 0x06, 0x07, 0x08
_LETTERS = {
    _FLOAT: "f",
    _SIGNED: "i",
    _SIGNED_CHAR: "i",
    _UNSIGNED: "u",
    _UNSIGNED_CHAR: "u",
}
_TRANSPARENT = {
    "DW_TAG_typedef",
    "DW_TAG_const_type",
    "DW_TAG_volatile_type",
    "DW_TAG_restrict_type",
    "DW_TAG_atomic_type",
}
_MOST_OPENED = 16
_RECORDS = {"DW_TAG_structure_type", "DW_TAG_union_type", "DW_TAG_class_type"}


class VariableError(LookupError):
    """No such variable or member; the message says what there is instead."""


@dataclass(frozen=True)
class Variable:
    """What an expression such as `net->hidden.W[1]` names.

    It lies at `address` as linked; where that goes through pointers, each of `hops` is what is
    added to the pointer read there. `dtype` is that of its elements ("" for a record), `extents`
    those of an array. Of a pointer, `is_pointer`, both describe what it points to.
    """

    address: int
    hops: tuple[int, ...]
    dtype: str
    extents: tuple[int, ...]
    is_pointer: bool
    size: int


class Variables:
    """The variables with a fixed address of one executable; read once."""

    def __init__(self, path: Path, contents: bytes | None = None) -> None:
        """Read the DWARF of `path`, or of these `contents`; it may have no variables."""
        self._found: dict[str, tuple[int, DIE]] = {}
        self._units: tuple[CompileUnit, ...] = ()
        # Types are read when they are asked for, so the file stays mapped.
        if contents is None:
            with path.open("rb") as file:
                stream = cast(IO[bytes], mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        else:
            stream = BytesIO(contents)
        try:
            elf = ELFFile(stream)
            if elf.has_dwarf_info():
                self._found = dict(_statics(elf))
                self._units = tuple(elf.get_dwarf_info().iter_CUs())
        except DAMAGE:
            self._found = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def placeless(self, name: str) -> str | None:
        """Return in words why the variable `name` of the DWARF has no address; None: there is none.

        Such are locals, and what a compiler keeps in registers or does without.
        """
        if name in self._found:
            return None
        with suppress(*DAMAGE):
            for unit in self._units:
                for die, function in _everywhere(unit.get_top_DIE(), ""):
                    if die.tag == "DW_TAG_variable" and _name(die) == name:
                        of = f" of {function}" if function else ""
                        if {"DW_AT_location", "DW_AT_const_value"} & die.attributes.keys():
                            return f"is a variable{of} in registers or on the stack"
                        return f"is a variable{of} that the compiler did away with"
        return None

    def leaves(self, name: str) -> Iterator[tuple[str, Variable]]:
        """Yield a variable and, of a record, its members and theirs instead, by what C calls them.

        Arrays of records are opened up to their first few elements; pointers are not followed.
        """
        address, kind = self._found[name]
        yield from _leaves(name, address, _bare(kind))

    def find(self, text: str) -> Variable:
        """Return what `text` names: a variable, then members, elements and arrows as in C.

        Raises VariableError.
        """
        start = _NAME.match(text)
        if start is None or start[0] not in self._found:
            raise VariableError(f"no variable {start[0] if start else text!r} in its DWARF")
        address, kind = self._found[start[0]]
        hops: list[int] = []
        offset, at = 0, start.end()
        while at < len(text):
            step = _STEP.match(text, at)
            if step is None:
                raise VariableError(f"{text[at:]!r} is neither .MEMBER, ->MEMBER nor [INDEX]")
            so_far, at = text[:at], step.end()
            kind = _bare(kind)
            if kind.tag == "DW_TAG_pointer_type" and (step["arrow"] == "->" or step["index"]):
                if hops:
                    hops[-1] += offset
                else:
                    address += offset
                hops.append(0)
                offset, kind = 0, _bare(_type(kind))
                if step["index"]:
                    offset = int(step["index"]) * _size(kind)
                    continue
            if step["index"]:
                kind, more = _element(so_far, kind, int(step["index"]))
            else:
                kind, more = _member(so_far, kind, step["field"])
            offset += more
        if hops:
            hops[-1] += offset
        else:
            address += offset
        return _described(address, tuple(hops), _bare(kind))


def _everywhere(die: DIE, function: str) -> Iterator[tuple[DIE, str]]:
    """Yield everything below `die`, with the name of the function that it is in."""
    for inner in die.iter_children():
        yield inner, function
        is_function = inner.tag == "DW_TAG_subprogram"
        yield from _everywhere(inner, _name(inner) if is_function else function)


def _described(address: int, hops: tuple[int, ...], kind: DIE) -> Variable:
    is_pointer = kind.tag == "DW_TAG_pointer_type"
    size = _size(kind)
    if is_pointer:
        kind = _bare(_type(kind))
    extents: list[int] = []
    while kind.tag == "DW_TAG_array_type":
        extents += _extents(kind)
        kind = _bare(_type(kind))
    return Variable(address, hops, _dtype(kind), tuple(extents), is_pointer, size)


def _leaves(name: str, address: int, kind: DIE) -> Iterator[tuple[str, Variable]]:
    if kind.tag in _RECORDS:
        for member, (inner, offset) in _members(kind).items():
            yield from _leaves(f"{name}.{member}", address + offset, _bare(inner))
        return
    element = _bare(_type(kind)) if kind.tag == "DW_TAG_array_type" else kind
    if element.tag in _RECORDS:
        extents, size = _extents(kind), _size(element)
        for index in range(min(extents[0], _MOST_OPENED) if len(extents) == 1 else 0):
            yield from _leaves(f"{name}[{index}]", address + index * size, element)
        return
    with suppress(*DAMAGE):
        yield name, _described(address, (), kind)


def _statics(elf: ELFFile) -> Iterator[tuple[str, tuple[int, DIE]]]:
    """Yield variables with a fixed address; those of functions as `function::name`."""
    dwarf = elf.get_dwarf_info()
    for unit in dwarf.iter_CUs():
        parser = DWARFExprParser(unit.structs)
        for die in unit.get_top_DIE().iter_children():
            if die.tag == "DW_TAG_variable":
                yield from _static(die, "", parser)
            elif die.tag == "DW_TAG_subprogram" and die.has_children:
                for inner in die.iter_children():
                    if inner.tag == "DW_TAG_variable":
                        yield from _static(inner, f"{_name(die)}::", parser)


def _static(die: DIE, scope: str, parser: DWARFExprParser) -> Iterator[tuple[str, tuple[int, DIE]]]:
    place = die.attributes.get("DW_AT_location")
    if place is None or place.form != "DW_FORM_exprloc":
        return
    steps = parser.parse_expr(place.value)
    if len(steps) != 1 or steps[0].op_name != "DW_OP_addr":
        return
    declared = die
    if "DW_AT_specification" in die.attributes:
        declared = die.get_DIE_from_attribute("DW_AT_specification")
    if "DW_AT_type" in declared.attributes:
        yield scope + _name(declared), (steps[0].args[0], _type(declared))


def _name(die: DIE) -> str:
    attribute = die.attributes.get("DW_AT_name")
    return attribute.value.decode(errors="replace") if attribute else ""


def _type(die: DIE) -> DIE:
    if "DW_AT_type" not in die.attributes:
        raise VariableError("a pointer to void has no elements to name")
    return die.get_DIE_from_attribute("DW_AT_type")


def _bare(kind: DIE) -> DIE:
    """Return the type without its typedefs and qualifiers."""
    while kind.tag in _TRANSPARENT and "DW_AT_type" in kind.attributes:
        kind = _type(kind)
    return kind


def _member(owner: str, kind: DIE, name: str) -> tuple[DIE, int]:
    members = _members(kind)
    if name not in members:
        has = f"it has {', '.join(members)}" if members else f"it is no struct ({_word(kind)})"
        raise VariableError(f"{owner} has no member {name}: {has}")
    return members[name]


def _word(kind: DIE) -> str:
    return str(kind.tag).removeprefix("DW_TAG_").replace("_", " ")


def _members(kind: DIE) -> Mapping[str, tuple[DIE, int]]:
    """Return the members of a record with their types and offsets; unnamed records opened."""
    if kind.tag not in _RECORDS:
        return {}
    found: dict[str, tuple[DIE, int]] = {}
    for die in kind.iter_children():
        if die.tag != "DW_TAG_member":
            continue
        location = die.attributes.get("DW_AT_data_member_location")
        offset = location.value if location is not None and isinstance(location.value, int) else 0
        if _name(die):
            found[_name(die)] = (_type(die), offset)
        else:
            inner = _members(_bare(_type(die)))
            found.update({name: (t, offset + more) for name, (t, more) in inner.items()})
    return found


def _element(owner: str, kind: DIE, index: int) -> tuple[DIE, int]:
    if kind.tag != "DW_TAG_array_type":
        raise VariableError(f"{owner} is no array")
    extents = _extents(kind)
    if extents[0] and index >= extents[0]:
        raise VariableError(f"{owner} has {extents[0]} elements, and [{index}] is none of them")
    if len(extents) > 1:
        raise VariableError(f"{owner} has {len(extents)} axes: name it whole, with its shape")
    element = _bare(_type(kind))
    return element, index * _size(element)


def _extents(kind: DIE) -> list[int]:
    """Return the extents of an array type, 0 where one is not stated."""
    found = []
    for die in kind.iter_children():
        if die.tag != "DW_TAG_subrange_type":
            continue
        count, upper = die.attributes.get("DW_AT_count"), die.attributes.get("DW_AT_upper_bound")
        value: Any = count.value if count else upper.value + 1 if upper else 0
        found.append(value if isinstance(value, int) else 0)
    return found


def _size(kind: DIE) -> int:
    if kind.tag == "DW_TAG_pointer_type":
        return 8
    if kind.tag == "DW_TAG_array_type":
        total = _size(_bare(_type(kind)))
        for extent in _extents(kind):
            total *= extent
        return total
    size = kind.attributes.get("DW_AT_byte_size")
    return int(size.value) if size else 0


def _dtype(kind: DIE) -> str:
    """Return the map's name of a number's type, "" for anything else."""
    encoding = kind.attributes.get("DW_AT_encoding")
    letter = _LETTERS.get(encoding.value) if encoding else None
    if kind.tag == "DW_TAG_enumeration_type":
        letter = "i"
    width = _size(kind) * 8
    name = f"{letter}{width}"
    known = {"f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"}
    return name if name in known else ""
