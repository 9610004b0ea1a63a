"""Turns the text of a layer map into objects, and refuses what cannot be meant."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NoReturn

from nndbg.errors import MapError
from nndbg.layermap.lines import Key, key_lines
from nndbg.layermap.model import (
    DTYPES,
    KINDS,
    Boundary,
    Buffer,
    Condition,
    LayerMap,
    Op,
    Phase,
    Seek,
    Size,
)
from nndbg.reference import Kind
from nndbg.reference.fusion import FusionError, fuse
from nndbg.reference.kinds import Parameter, Part

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SYMBOL = re.compile(r"[^\s\"'`;\\\x00-\x1f]+")
_BOUNDARY_FORMS = "probe:PROVIDER:NAME, enter:SYMBOL, FILE:LINE or *0xADDR"
_TOML_PLACE = re.compile(r" \(at line (\d+), column \d+\)$")
Table = Mapping[str, Any]

_PHASE_KEYS = frozenset({"step", "counter", "seek"})
_FLOATING = "floating-point"
_OP_KEYS = frozenset({"name", "kind", "in", "out", "enter", "done", "phase", "when"})


MAIN_PHASE = "train"


def parse_map(text: str, origin: str, phase: str = MAIN_PHASE) -> LayerMap:
    """Parse `text` and return it as `phase` sees it; `origin` names it in errors.

    Raises MapError, opening with `origin:line:`.
    """
    return _Parser(text, origin).parse(phase)


class _Parser:
    """Walks the tables of one text; knows the line of what it complains about."""

    def __init__(self, text: str, origin: str) -> None:
        self.source = text
        self.origin = origin
        self.lines = key_lines(text)
        self.sizes: dict[str, Size] = {}
        self.buffers: dict[str, Buffer] = {}
        try:
            self.document: Table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            place = _TOML_PLACE.search(str(error))
            line = place[1] if place else len(text.splitlines())
            reason = _TOML_PLACE.sub("", str(error))
            raise MapError(f"{origin}:{line}: not TOML: {reason}.") from error

    def parse(self, phase: str) -> LayerMap:
        self.check_keys((), self.document, {"program", "sizes", "buffers", "phases", "ops"})
        program = self.table((), self.document, "program")
        self.check_keys(("program",), program, {"name", *_PHASE_KEYS})
        self.sizes = {
            name: self.size(name, value) for name, value in self.named("sizes", required=False)
        }
        self.buffers = {name: self.buffer(name, value) for name, value in self.named("buffers")}
        phases = self.phases(program)
        if phase not in phases:
            self.fail(("phases",), f"no phase {phase!r} in this map", phases)
        return LayerMap(
            text=self.source,
            origin=self.origin,
            name=self.text(("program",), program, "name"),
            phase=phases[phase],
            phases=MappingProxyType(phases),
            sizes=MappingProxyType(self.sizes),
            buffers=MappingProxyType(self.buffers),
            lines=MappingProxyType(self.lines),
        )

    def phases(self, program: Table) -> dict[str, Phase]:
        tables: dict[str, tuple[Key, Table]] = {MAIN_PHASE: (("program",), program)}
        for name, value in self.named("phases", required=False):
            key: Key = ("phases", name)
            self.check_name(key, name)
            if name == MAIN_PHASE:
                self.fail(key, f"the phase {name!r} is the one that [program] describes")
            if not isinstance(value, dict):
                self.fail(key, f"phase {name} must be a table with `step`")
            self.check_keys(key, value, _PHASE_KEYS)
            tables[name] = (key, value)
        ops = self.ops(tables)
        return {
            name: Phase(
                key=key,
                name=name,
                step=self.boundary((*key, "step"), self.text(key, table, "step")),
                counter=self.symbol(key, table, "counter") if "counter" in table else None,
                seek=self.seek(key, table) if "seek" in table else None,
                ops=ops[name],
            )
            for name, (key, table) in tables.items()
        }

    def seek(self, phase: Key, table: Table) -> Seek:
        key: Key = (*phase, "seek")
        seek = self.table(phase, table, "seek")
        self.check_keys(key, seek, {"boundary", "target"})
        if "counter" not in table:
            self.fail(key, "seek needs `counter`, the step number that it is compared with")
        return Seek(
            boundary=self.boundary(key, self.text(key, seek, "boundary")),
            target=self.symbol(key, seek, "target"),
        )

    def when(self, op: Key, table: Table) -> Condition:
        key: Key = (*op, "when")
        condition = self.table(op, table, "when")
        self.check_keys(key, condition, {"symbol", "is", "dtype"})
        stated = condition.get("is")
        values: list[Any] = stated if isinstance(stated, list) else [stated]
        if not values or any(type(value) is not int for value in values):
            self.fail(key, "`when` needs `is`, the integer that the symbol must hold, or a list")
        return Condition(
            symbol=self.symbol(key, condition, "symbol"),
            values=tuple(values),
            dtype=self.integer_dtype(key, condition),
        )

    def integer_dtype(self, key: Key, table: Table) -> str:
        dtype = self.dtype(key, table.get("dtype", "i64"))
        if DTYPES[dtype].kind not in "iu":
            integers = " ".join(name for name, kind in DTYPES.items() if kind.kind in "iu")
            self.fail(key, f"read as {dtype}, and an integer is wanted: {integers}")
        return dtype

    def size(self, name: str, value: object) -> Size:
        key: Key = ("sizes", name)
        self.check_name(key, name)
        if isinstance(value, int) and not isinstance(value, bool):
            if value < 1:
                self.fail(key, f"size {name} is {value}; a size is at least 1")
            return Size(name, value)
        if not isinstance(value, dict):
            self.fail(key, f'size {name} must be a number or {{ symbol = "...", max = ... }}')
        self.check_keys(key, value, {"symbol", "dtype", "max"})
        dtype = self.integer_dtype(key, value)
        largest = value.get("max")
        if largest is not None and (type(largest) is not int or largest < 1):
            self.fail(key, f"max of size {name} must be a number of at least 1")
        return Size(name, largest, self.symbol(key, value, "symbol"), dtype)

    def buffer(self, name: str, value: object) -> Buffer:
        key: Key = ("buffers", name)
        self.check_name(key, name)
        if not isinstance(value, dict):
            self.fail(key, f"buffer {name} must be a table with dtype and shape")
        self.check_keys(key, value, {"dtype", "shape", "symbol", "pointer", "constant"})
        if "symbol" in value and "pointer" in value:
            self.fail(key, f"buffer {name} has both symbol and pointer; keep one")
        shape = value.get("shape")
        if not isinstance(shape, list):
            self.fail(key, f"buffer {name} needs shape, a list of sizes: [] for a scalar")
        for axis in shape:
            if isinstance(axis, str) and axis not in self.sizes:
                self.fail(
                    key, f"buffer {name} has a size {axis!r} that [sizes] does not name", self.sizes
                )
            if not isinstance(axis, str) and (type(axis) is not int or axis < 1):
                self.fail(key, f"buffer {name} has the axis {axis!r}; wanted a size or a number")
        place = "pointer" if "pointer" in value else "symbol"
        return Buffer(
            name=name,
            dtype=self.dtype(key, value.get("dtype")),
            shape=tuple(shape),
            symbol=self.symbol(key, value, place) if place in value else name,
            is_pointer="pointer" in value,
            is_constant=self.flag(key, value, "constant"),
        )

    def ops(self, phases: Collection[str]) -> dict[str, tuple[Op, ...]]:
        tables = self.document.get("ops")
        if not isinstance(tables, list) or not tables:
            self.fail(("ops",), "no [[ops]]: name at least one operation to check")
        found: dict[str, dict[str, Op]] = {phase: {} for phase in phases}
        for index, table in enumerate(tables):
            op = self.op(("ops", index), table)
            phase = table.get("phase", MAIN_PHASE)
            if not isinstance(phase, str) or phase not in found:
                self.fail(("ops", index, "phase"), f"op {op.name}: no phase {phase!r}", phases)
            if op.name in found[phase]:
                self.fail(("ops", index, "name"), f"a second op called {op.name}; names are unique")
            found[phase][op.name] = op
        return {phase: tuple(ops.values()) for phase, ops in found.items()}

    def op(self, key: Key, table: object) -> Op:
        if not isinstance(table, dict):
            self.fail(key, "an op must be a [[ops]] table")
        name = self.text(key, table, "name")
        kind = self.kind((*key, "kind"), name, self.text(key, table, "kind"))
        self.check_keys(key, table, {*_OP_KEYS, *kind.parameters})
        inputs = self.operands((*key, "in"), name, table.get("in"), kind.inputs)
        outputs = self.operands((*key, "out"), name, table.get("out"), kind.outputs)
        constant = [buffer for buffer in outputs.values() if self.buffers[buffer].is_constant]
        if constant:
            self.fail(
                (*key, "out"), f"op {name} writes {constant[0]}, which is said to be constant"
            )
        operands = [(part, inputs[part.name]) for part in kind.inputs]
        operands += [(part, outputs[part.name]) for part in kind.outputs]
        self.check_shapes(key, name, kind, operands)
        return Op(
            key=key,
            name=name,
            kind=kind,
            inputs=MappingProxyType(inputs),
            outputs=MappingProxyType(outputs),
            done=self.boundary((*key, "done"), self.text(key, table, "done")),
            parameters=self.parameters(key, name, table, kind),
            when=self.when(key, table) if "when" in table else None,
            enter=self.boundary((*key, "enter"), self.text(key, table, "enter"))
            if "enter" in table
            else None,
        )

    def kind(self, key: Key, op: str, text: str) -> Kind:
        """Return the kind of this name, or of these names with `+` between them."""
        names = [name.strip() for name in text.split("+")]
        for name in names:
            if name not in KINDS:
                self.fail(key, f"op {op} has the unknown kind {name!r}", KINDS)
        try:
            return fuse([KINDS[name] for name in names])
        except FusionError as error:
            self.fail(key, f"op {op}: {error}")

    def parameters(self, key: Key, op: str, table: Table, kind: Kind) -> Mapping[str, Parameter]:
        stated: dict[str, Parameter] = {}
        for name in kind.parameters:
            if name not in table:
                continue
            value = table[name]
            try:
                if isinstance(value, bool) or not isinstance(value, int | float | str):
                    raise ValueError
                stated[name] = float(Fraction(value))
            except (ValueError, ZeroDivisionError, OverflowError):
                self.fail(
                    (*key, name),
                    f"op {op} has {name} = {value!r}; wanted a number or a fraction in quotes",
                )
            if name == "accumulators" and not (stated[name] >= 0 and stated[name].is_integer()):
                self.fail(
                    (*key, name),
                    f"op {op} has accumulators = {value!r}; wanted how many partial sums the "
                    "program spreads a sum over, or 0 for any order",
                )
            if name.endswith("_ulps") and stated[name] < 0:
                self.fail((*key, name), f"op {op} has {name} = {value!r}; an error is not negative")
        return MappingProxyType({**kind.parameters, **stated})

    def operands(
        self,
        key: Key,
        op: str,
        value: object,
        parts: tuple[Part, ...],
    ) -> dict[str, str]:
        if isinstance(value, str) and len(parts) == 1:
            value = {parts[0].name: value}
        expected = ", ".join(map(str, parts))
        if not isinstance(value, dict):
            self.fail(key, f"op {op} needs `{key[-1]}`: a buffer for each of {expected}")
        names = {part.name for part in parts}
        if value.keys() != names:
            odd = sorted(value.keys() ^ names)
            self.fail(key, f"op {op}: `{key[-1]}` must name {expected}; {', '.join(odd)} is amiss")
        for part, buffer in value.items():
            if not isinstance(buffer, str) or buffer not in self.buffers:
                self.fail(key, f"op {op}: {part} is {buffer!r}, which is no buffer", self.buffers)
        return dict(value)

    def check_shapes(self, key: Key, op: str, kind: Kind, operands: list[tuple[Part, str]]) -> None:
        """Refuse buffers whose axes do not agree with the kind's signature."""
        axes: dict[str, tuple[object, str]] = {}
        for part, name in operands:
            shape = self.buffers[name].shape
            numbers = "integer" if DTYPES[self.buffers[name].dtype].kind in "iu" else _FLOATING
            if part.numbers not in (numbers, "any"):
                self.fail(
                    key,
                    f"op {op}: {name} is {self.buffers[name].dtype}, "
                    f"and {part} of {kind.name} takes {part.numbers} numbers",
                )
            for axis, extent in self.matched(key, op, part, self.buffers[name]):
                meaning = self.meaning(extent)
                first, where = axes.setdefault(axis, (meaning, f"{name} has {_listed(shape)}"))
                if first != meaning:
                    self.fail(
                        key,
                        f"op {op}: {where} but {name} has {_listed(shape)}, "
                        f"and {kind.name} is {_signature(kind)}",
                    )

    def matched(
        self, key: Key, op: str, part: Part, buffer: Buffer
    ) -> list[tuple[str, str | int | tuple[str | int, ...]]]:
        fixed = [axis for axis in part.axes if axis != ".."]
        if len(fixed) == len(part.axes):
            if len(buffer.shape) != len(fixed):
                self.fail(
                    key,
                    f"op {op}: {buffer.name} has {_listed(buffer.shape)}, "
                    f"{len(buffer.shape)} axes, where {part} is wanted",
                )
            return list(zip(fixed, buffer.shape, strict=True))
        if len(buffer.shape) < len(fixed):
            self.fail(
                key, f"op {op}: {buffer.name} has {_listed(buffer.shape)}, where {part} is wanted"
            )
        # `..` is written last, so the named axes come first.
        return [
            *zip(fixed, buffer.shape[: len(fixed)], strict=True),
            ("..", buffer.shape[len(fixed) :]),
        ]

    def meaning(self, extent: object) -> object:
        """Return what makes two extents the same: the number, or the name where it varies."""
        if isinstance(extent, tuple):
            return tuple(self.meaning(axis) for axis in extent)
        if isinstance(extent, str) and self.sizes[extent].is_fixed:
            return self.sizes[extent].largest
        return extent

    def boundary(self, key: Key, text: str) -> Boundary:
        if match := re.fullmatch(r"probe:([\w.]+):([\w.]+)", text):
            return Boundary(text, "probe", (match[1], match[2]))
        if match := re.fullmatch(r"enter:([^\s\"'`;\\]+)", text):
            return Boundary(text, "enter", (match[1],))
        if match := re.fullmatch(r"\*0x([0-9a-fA-F]+)", text):
            return Boundary(text, "address", (int(match[1], 16),))
        if match := re.fullmatch(r"([^:\x00-\x1f]+):(\d+)", text):
            return Boundary(text, "line", (match[1], int(match[2])))
        self.fail(key, f"{text!r} is no boundary; write {_BOUNDARY_FORMS}")

    def table(self, key: Key, parent: Table, name: str) -> Table:
        value = parent.get(name)
        if not isinstance(value, dict):
            self.fail((*key, name), f"[{'.'.join(map(str, (*key, name)))}] is missing")
        return value

    def named(self, table: str, required: bool = True) -> list[tuple[str, object]]:
        if not required and table not in self.document:
            return []
        return list(self.table((), self.document, table).items())

    def text(self, key: Key, table: Table, name: str) -> str:
        value = table.get(name)
        if not isinstance(value, str) or not value:
            found = "is missing" if value is None else f"is {value!r}"
            self.fail((*key, name), f"`{name}` {found}; wanted a text in quotes")
        return value

    def symbol(self, key: Key, table: Table, name: str) -> str:
        value = self.text(key, table, name)
        if not _SYMBOL.fullmatch(value):
            self.fail((*key, name), f"`{name}` is {value!r}, which cannot be a symbol")
        return value

    def flag(self, key: Key, table: Table, name: str) -> bool:
        value = table.get(name, False)
        if not isinstance(value, bool):
            self.fail((*key, name), f"`{name}` is {value!r}; wanted true or false")
        return value

    def dtype(self, key: Key, value: object) -> str:
        if not isinstance(value, str) or value not in DTYPES:
            self.fail(key, f"dtype {value!r} is not one of {' '.join(DTYPES)}")
        return value

    def check_name(self, key: Key, name: str) -> None:
        if not _NAME.fullmatch(name):
            self.fail(key, f"the name {name!r} must be letters, digits and underscores")

    def check_keys(self, key: Key, table: Table, known: Collection[str]) -> None:
        for name in table:
            if name not in known:
                self.fail((*key, name), f"unknown key {name!r}", known)

    def fail(self, key: Key, problem: str, known: Collection[str] = ()) -> NoReturn:
        """Raise MapError for `key`; the names in `known` are offered where one is close."""
        line = next(
            (self.lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in self.lines), 1
        )
        words = re.findall(r"'([^']*)'", problem)
        close = get_close_matches(words[0], known, n=1) if words and known else []
        hint = f" Did you mean {close[0]!r}?" if close else ""
        if known and not close:
            hint = f" Known: {', '.join(sorted(known))}."
        raise MapError(f"{self.origin}:{line}: {problem}.{hint}")


def _listed(shape: tuple[str | int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _signature(kind: Kind) -> str:
    inputs = " ".join(map(str, kind.inputs))
    return f"{inputs} -> {' '.join(map(str, kind.outputs))}"
