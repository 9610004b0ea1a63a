"""What an op may be instead of what the map says: other kinds of its parts, turned matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nndbg.layermap.model import TRANSPOSE
from nndbg.reference import KINDS

Table = Mapping[str, Any]

_ACCUMULATE = "_accumulate"
_ACTIVATIONS = ("relu", "tanh", "sigmoid", "leaky_relu")
_TAKES = {"relu": "z", "leaky_relu": "z", "tanh": "h", "sigmoid": "h"}
_MATRIX = ("i", "o")


@dataclass(frozen=True)
class Variant:
    """An op as it may be; `says` tells how it differs from the map, empty for the map's own."""

    table: Table
    says: str = ""


def variants(table: Table, ops: Sequence[Table]) -> Iterator[Variant]:
    """Yield the op as the map has it, then what else it may be."""
    yield Variant(table)
    *before, last = [name.strip() for name in table["kind"].split("+")]
    yield from _accumulating(table, before, last)
    for name in _ACTIVATIONS:
        kind = " + ".join([*before, name])
        if last in _ACTIVATIONS and name != last:
            yield Variant({**table, "kind": kind}, f"computes {name}, not {last}")
        own = last.removesuffix("_grad")
        if last.endswith("_grad") and own in _ACTIVATIONS and name != own:
            yield from _gradient(table, ops, before, own, name)


def _accumulating(table: Table, before: list[str], last: str) -> Iterator[Variant]:
    """The output overwritten, or added to what it held."""
    if last.endswith(_ACCUMULATE):
        plain = last.removesuffix(_ACCUMULATE)
        part = KINDS[last].outputs[0].name
        inputs = {name: value for name, value in _inputs(table).items() if name != part}
        new = {**table, "kind": " + ".join([*before, plain]), "in": inputs}
        yield Variant(new, f"overwrites {_out(table)}, does not add to it")
    elif last + _ACCUMULATE in KINDS:
        part = KINDS[last].outputs[0].name
        inputs = {**_inputs(table), part: _out(table)}
        kind = " + ".join([*before, last + _ACCUMULATE])
        yield Variant(
            {**table, "kind": kind, "in": inputs}, f"adds to {_out(table)}, does not overwrite it"
        )


def _gradient(
    table: Table, ops: Sequence[Table], before: list[str], own: str, name: str
) -> Iterator[Variant]:
    """The gradient of another activation, which may take its result instead of its argument."""
    inputs = dict(_inputs(table))
    old, new = _TAKES[own], _TAKES[name]
    if old not in inputs:
        return
    buffer = inputs.pop(old)
    if old != new:
        buffer = _other_side(buffer, ops, forwards=new == "h")
    kind = " + ".join([*before, f"{name}_grad"])
    yield Variant(
        {**table, "kind": kind, "in": {**inputs, new: buffer}},
        f"is the gradient of {name}, not of {own}",
    )


def _other_side(buffer: str, ops: Sequence[Table], forwards: bool) -> str:
    """Return what an activation makes of a buffer, or makes it of."""
    for op in ops:
        if op["kind"].split("+")[-1].strip() in _ACTIVATIONS:
            argument = next(iter(_inputs(op).values()), "")
            if forwards and argument == buffer:
                return str(_out(op))
            if not forwards and _out(op) == buffer:
                return str(argument)
    return buffer


def matrices(table: Table) -> frozenset[str]:
    """Return the buffers that an op takes or makes as a matrix of inputs by outputs."""
    found: set[str] = set()

    def note(name: str) -> str:
        found.add(name.removesuffix(TRANSPOSE))
        return name

    _each_matrix(table, note)
    return frozenset(found)


def turned(table: Table, buffers: frozenset[str]) -> Table:
    """Return the op with the transposes of some buffers, where the map has not, and vice versa."""

    def turn(name: str) -> str:
        plain = name.removesuffix(TRANSPOSE)
        if plain not in buffers:
            return name
        return plain if name.endswith(TRANSPOSE) else plain + TRANSPOSE

    return _each_matrix(table, turn)


def _each_matrix(table: Table, change: Callable[[str], str]) -> Table:
    names = [name.strip() for name in table["kind"].split("+")]
    if not all(name in KINDS for name in names):
        return table
    inputs = {p.name for n in names for p in KINDS[n].inputs if p.axes == _MATRIX}
    outputs = {p.name for p in KINDS[names[-1]].outputs if p.axes == _MATRIX}
    given = {p: change(b) if p in inputs else b for p, b in _inputs(table).items()}
    out: Any = table["out"]
    if isinstance(out, str):
        out = change(out) if outputs else out
    else:
        out = {p: change(b) if p in outputs else b for p, b in out.items()}
    whole = {**table, "out": out}
    return {**whole, "in": given} if isinstance(table.get("in"), Mapping) else whole


def _inputs(table: Table) -> Mapping[str, str]:
    given = table.get("in", {})
    if isinstance(given, str):
        first = table["kind"].split("+")[0].strip()
        return {KINDS[first].inputs[0].name: given} if first in KINDS else {}
    return dict(given)


def _out(table: Table) -> str:
    out = table["out"]
    return str(out) if isinstance(out, str) else str(next(iter(out.values())))
