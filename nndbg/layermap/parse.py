"""Turns the text of a layer map into objects, and refuses what cannot be meant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nndbg.layermap.boundary import Boundary
from nndbg.layermap.lines import Key
from nndbg.layermap.model import (
    KINDS,
    TRANSPOSE,
    WHOLE,
    Buffer,
    Condition,
    LayerMap,
    Op,
    Phase,
    Seek,
    Size,
)
from nndbg.layermap.scripts import PREFIX, Scripts, own_parts, own_reference
from nndbg.layermap.shapes import ShapeError, check_operands
from nndbg.layermap.tables import PASSING_KEYS, Table, Tables
from nndbg.layermap.views import ViewError, check_inside, parse_view, part_of
from nndbg.own import Own, ScriptError
from nndbg.reference import Kind
from nndbg.reference.fusion import FusionError, fuse
from nndbg.reference.kinds import Parameter, Part
from nndbg.reference.transposition import TranspositionError, transpose

_PHASE_KEYS = frozenset({"step", "counter", "seek"})
_OP_KEYS = frozenset({"name", "kind", "in", "out", "enter", "done", "phase", "when", *PASSING_KEYS})
_PLACES = ("symbol", "pointer", "register", "view")
_BUFFER_KEYS = frozenset({"dtype", "shape", "constant", "scratch", "at", *_PLACES, *PASSING_KEYS})


MAIN_PHASE = "train"


def parse_map(
    text: str, origin: str, phase: str = MAIN_PHASE, scripts: Path | None = None
) -> LayerMap:
    """Parse `text` and return it as `phase` sees it; `origin` names it in errors.

    `scripts` is where the Python files lie that it may call, None where it may call none. Raises
    MapError, opening with `origin:line:`.
    """
    return _Parser(text, origin, scripts).parse(phase)


class _Parser(Tables):
    """Walks the tables of one text; knows the line of what it complains about."""

    def __init__(self, text: str, origin: str, scripts: Path | None = None) -> None:
        super().__init__(text, origin)
        self.sizes: dict[str, Size] = {}
        self.buffers: dict[str, Buffer] = {}
        stated = self.document.get("reference")
        self.scripts = Scripts(scripts, stated.get("timeout") if isinstance(stated, dict) else None)

    def parse(self, phase: str) -> LayerMap:
        self.check_keys(
            (), self.document, {"program", "sizes", "buffers", "phases", "ops", "reference"}
        )
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
        ops, own = self.reference(tables, self.ops(tables))
        return {
            name: Phase(
                key=key,
                name=name,
                step=self.step(key, table),
                counter=self.symbol(key, table, "counter") if "counter" in table else None,
                seek=self.seek(key, table) if "seek" in table else None,
                ops=ops[name],
                own=own.get(name),
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
            boundary=self.place(key, self.text(key, seek, "boundary")),
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
        self.check_keys(key, value, _BUFFER_KEYS)
        places = [place for place in _PLACES if place in value]
        if len(places) > 1:
            self.fail(key, f"buffer {name} has both {' and '.join(places)}; keep one")
        if ("register" in value) != ("at" in value):
            self.fail(
                key,
                f"buffer {name} needs both `at`, the boundary at which the program holds its "
                "address, and `register`, which then holds it",
            )
        if "view" in value:
            return self.view(key, name, value)
        held = None
        if "register" in value:
            word = self.word((*key, "register"), self.text(key, value, "register"))
            if word.size != 8:
                self.fail(key, f"buffer {name}: {word} has 32 bits, and an address has 64")
            held = self.boundary(key, value, "at"), word
        place = "pointer" if "pointer" in value else "symbol"
        return Buffer(
            name=name,
            dtype=self.dtype(key, value.get("dtype")),
            shape=self.shape(key, name, value.get("shape")),
            symbol=self.symbol(key, value, place) if place in value else name,
            is_pointer="pointer" in value,
            is_constant=self.flag(key, value, "constant"),
            held=held,
            is_scratch=self.flag(key, value, "scratch")
            or (held is not None and held[1].is_on_stack),
        )

    def view(self, key: Key, name: str, value: Table) -> Buffer:
        """Return a part of another buffer; without a shape of its own it has that of the part."""
        self.check_keys(key, value, {"view", "dtype", "shape"})
        try:
            whole, index = parse_view(self.text(key, value, "view"))
            table = self.table((), self.document, "buffers").get(whole)
            if table is None:
                self.fail(
                    key,
                    f"buffer {name} is a part of {whole!r}, which is no buffer",
                    self.buffer_names,
                )
            if isinstance(table, dict) and "view" in table:
                self.fail(
                    key, f"buffer {name} is a part of {whole}, which is one itself: name the whole"
                )
            base = self.buffer(whole, table)
            offset, shape = part_of(base, index, self.sizes)
            part = replace(
                base,
                name=name,
                dtype=self.dtype(key, value["dtype"]) if "dtype" in value else base.dtype,
                shape=self.shape(key, name, value["shape"]) if "shape" in value else shape,
                view=(whole, offset),
            )
            check_inside(part, base, offset, self.sizes)
        except ViewError as error:
            self.fail(key, f"buffer {name}: {error}")
        return part

    def shape(self, key: Key, name: str, shape: object) -> tuple[str | int, ...]:
        if not isinstance(shape, list):
            self.fail(key, f"buffer {name} needs shape, a list of sizes: [] for a scalar")
        for axis in shape:
            if isinstance(axis, str) and axis not in self.sizes:
                self.fail(
                    key, f"buffer {name} has a size {axis!r} that [sizes] does not name", self.sizes
                )
            if not isinstance(axis, str) and (type(axis) is not int or axis < 1):
                self.fail(key, f"buffer {name} has the axis {axis!r}; wanted a size or a number")
        return tuple(shape)

    def ops(self, phases: Collection[str]) -> dict[str, tuple[Op, ...]]:
        tables = self.document.get("ops", [] if "reference" in self.document else None)
        if not isinstance(tables, list) or not (tables or "reference" in self.document):
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
        if self.text(key, table, "kind").startswith(PREFIX):
            return self.own_op(key, table, name)
        kind = self.kind((*key, "kind"), name, self.text(key, table, "kind"))
        self.check_keys(key, table, {*_OP_KEYS, *kind.parameters})
        stored = self.operands((*key, "out"), name, table.get("out"), kind.outputs)
        given = self.operands((*key, "in"), name, table.get("in"), kind.inputs, stored)
        inputs, turned = _views(given)
        outputs, out_turned = _views(stored)
        try:
            kind = transpose(kind, turned, out_turned)
            check_operands(
                kind,
                {part: self.buffers[buffer] for part, buffer in inputs.items()},
                {part: self.buffers[buffer] for part, buffer in outputs.items()},
                self.sizes,
            )
        except (TranspositionError, ShapeError) as error:
            self.fail(key, f"op {name}: {error}")
        return self.made(key, table, name, kind, inputs, outputs)

    def own_op(self, key: Key, table: Table, name: str) -> Op:
        """Return an op that a function of the user's computes, of arrays of any shapes."""
        try:
            script = self.scripts.read(self.text(key, table, "kind").removeprefix(PREFIX))
        except ScriptError as error:
            self.fail((*key, "kind"), f"op {name}: {error}")
        self.check_keys(key, table, {*_OP_KEYS, *script.numbers})
        stated = table.get("out")
        given = stated if isinstance(stated, dict) and stated else {"out": stated}
        taken = self.operands((*key, "in"), name, table.get("in"), own_parts(script.inputs))
        made = self.operands((*key, "out"), name, stated, own_parts(tuple(given)))
        inputs, turned = _views(taken)
        outputs, out_turned = _views(made)
        kind = self.scripts.kind(
            script, self.shapes(inputs, turned), self.shapes(outputs, out_turned)
        )
        try:
            kind = transpose(kind, turned, out_turned)
        except TranspositionError as error:
            self.fail(key, f"op {name}: {error}")
        return self.made(key, table, name, kind, inputs, outputs)

    def shapes(
        self, operands: Mapping[str, str], turned: Collection[str]
    ) -> dict[str, tuple[str | int, ...]]:
        shapes = {part: self.buffers[name].shape for part, name in operands.items()}
        return {p: shape[::-1] if p in turned else shape for p, shape in shapes.items()}

    def reference(
        self, phases: Mapping[str, tuple[Key, Table]], ops: dict[str, tuple[Op, ...]]
    ) -> tuple[dict[str, tuple[Op, ...]], dict[str, Own]]:
        """Return the ops of each phase, and what the user's own reference of a whole step adds."""
        if "reference" not in self.document:
            return ops, {}
        key: Key = WHOLE
        table = self.table((), self.document, "reference")
        self.check_keys(key, table, {"python", "phase", "out", "done", "timeout", *PASSING_KEYS})
        self.scripts.check_timeout(lambda problem: self.fail((*key, "timeout"), problem))
        if "python" not in table:
            return ops, {}
        phase = table.get("phase", MAIN_PHASE)
        if phase not in phases:
            self.fail((*key, "phase"), f"[reference]: no phase {phase!r}", phases)
        try:
            script = self.scripts.read(self.text(key, table, "python"))
            own, op = own_reference(script, table, self.scripts, self.buffers, ops[phase])
        except ScriptError as error:
            self.fail((*key, "python"), f"[reference]: {error}")
        made = ops[phase]
        if op is not None:
            kind, inputs, outputs = op
            made = (*made, self.made(key, table, "reference", kind, inputs, outputs))
        return {**ops, phase: made}, {phase: own} if own is not None else {}

    def made(
        self,
        key: Key,
        table: Table,
        name: str,
        kind: Kind,
        inputs: Mapping[str, str],
        outputs: Mapping[str, str],
    ) -> Op:
        constant = [buffer for buffer in outputs.values() if self.buffers[buffer].is_constant]
        if constant:
            self.fail(
                (*key, "out"), f"op {name} writes {constant[0]}, which is said to be constant"
            )
        return Op(
            key=key,
            name=name,
            kind=kind,
            inputs=MappingProxyType(dict(inputs)),
            outputs=MappingProxyType(dict(outputs)),
            done=self.boundary(key, table, "done"),
            parameters=self.parameters(key, name, table, kind),
            when=self.when(key, table) if "when" in table else None,
            enter=self.boundary(key, table, "enter") if "enter" in table else None,
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
        given: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, str]:
        """Return what the map writes for each part; for one that it leaves out, what is `given`."""
        needed = [part for part in parts if part.name not in given]
        if isinstance(value, str) and len(needed or parts) == 1:
            value = {(needed or parts)[0].name: value}
        elif value is None and not needed:
            value = {}
        expected = ", ".join(map(str, parts))
        if not isinstance(value, dict):
            self.fail(key, f"op {op} needs `{key[-1]}`: a buffer for each of {expected}")
        names = {part.name for part in parts}
        for part in value.keys() - names:
            self.fail(key, f"op {op}: `{key[-1]}` has no part {part!r}; it takes {expected}", names)
        if missing := [part.name for part in needed if part.name not in value]:
            self.fail(
                key, f"op {op}: `{key[-1]}` must name {expected}; {', '.join(missing)} is missing"
            )
        for part, text in value.items():
            buffer = text.removesuffix(TRANSPOSE) if isinstance(text, str) else text
            if not isinstance(buffer, str) or buffer not in self.buffers:
                self.fail(key, f"op {op}: {part} is {buffer!r}, which is no buffer", self.buffers)
        return {**{part: text for part, text in given.items() if part in names}, **value}

    def step(self, key: Key, table: Table) -> Boundary:
        boundary = self.boundary(key, table, "step")
        if boundary.nth is not None:
            self.fail(
                (*key, "step"),
                "`nth` counts from where a step begins, and cannot say where it does; "
                "`call` can tell the calls of a function apart",
            )
        return boundary


def _views(operands: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
    """Return the buffer of each part, and the parts that take the transpose of theirs."""
    return (
        {part: text.removesuffix(TRANSPOSE) for part, text in operands.items()},
        {part for part, text in operands.items() if text.endswith(TRANSPOSE)},
    )
