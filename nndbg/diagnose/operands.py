"""Mistakes in what an op reads: another buffer, an old one, another order, another place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from nndbg.compare import bits
from nndbg.diagnose.image import Image
from nndbg.diagnose.model import AnyArray, Evidence, Hypothesis

_OFFSETS = (1, -1, 2, -2, 4, -4, 8, -8, 16, -16)
# A table of this many elements is no operand to try variations of; see gathering.py.
_LARGEST = 1 << 22

Reading = tuple[str, str, AnyArray, int]


def orders(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the output with each input as the op really found it, where that is not the map's."""
    for part, array in evidence.inputs.items():
        buffer = evidence.op.inputs[part]
        found = evidence.others.get(buffer)
        if found is not None and found.shape == array.shape and not _same(found, array):
            yield Hypothesis("order", _order(evidence, buffer), {part: found}, 0)


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the output with each input read wrongly in turn, and with inputs exchanged."""
    image = Image(evidence.memory)
    for part, array in evidence.inputs.items():
        if array.size > _LARGEST:
            yield from _other_tables(evidence, part, array)
            continue
        for kind, says, changed, rank in _readings(evidence, image, part, array):
            if not _same(changed, array):
                yield Hypothesis(kind, says, {part: changed}, rank)
    yield from _exchanged(evidence, image)


def _readings(evidence: Evidence, image: Image, part: str, array: AnyArray) -> Iterator[Reading]:
    op, buffer = evidence.op.name, evidence.op.inputs[part]
    stale = evidence.stale.get(buffer)
    if stale is not None and stale.shape == array.shape:
        says = f"{op} reads {buffer} as it was when the step began, left by the step before"
        yield "stale", says, stale, 2
    if array.any():
        kind = "bias_missing" if part == "b" else "operand_missing"
        yield kind, f"{op} leaves out {buffer}", np.zeros_like(array), 1
    role = f"{evidence.op.kind.name}.{part}"
    for name, other in evidence.others.items():
        if name != buffer and other.dtype == array.dtype and other.ndim == array.ndim:
            taken = image.read(evidence.addresses[name], array.size, array.dtype)
            says = f"{op} reads {name} where {buffer} is meant"
            # One that is meant for this part elsewhere is the likelier slip.
            rank = 2 if role in evidence.roles.get(name, ()) else 3
            yield "wrong_operand", says, taken.reshape(array.shape), rank
    for name, table in _tables_like(evidence, buffer, array):
        yield "wrong_operand", f"{op} reads {name} where {buffer} is meant", table, 2
    if array.ndim == 2 and min(array.shape) > 1:
        yield from _other_layouts(evidence, image, part, array)
    if array.ndim:
        yield from _offsets(evidence, image, part, array)


def _order(evidence: Evidence, buffer: str) -> str:
    """Say how an op came to see a buffer as it is not at its place in the map."""
    op = evidence.op.name
    changer = evidence.changers.get(buffer)
    if changer is not None:
        return f"{op} reads {buffer} after {changer} has changed it, and needs it as it was before"
    maker = evidence.makers.get(buffer)
    if maker is not None:
        return f"{op} reads {buffer} before {maker} has made it"
    return f"{op} reads {buffer} after it was changed, and needs it as it was before"


def _tables_like(
    evidence: Evidence, buffer: str, array: AnyArray
) -> Iterator[tuple[str, AnyArray]]:
    """Yield constant buffers whose rows are like those of a constant one."""
    if buffer not in evidence.tables:
        return
    for name, table in evidence.tables.items():
        if name != buffer and table.dtype == array.dtype and table.shape[1:] == array.shape[1:]:
            yield name, table


def _other_tables(evidence: Evidence, part: str, array: AnyArray) -> Iterator[Hypothesis]:
    buffer = evidence.op.inputs[part]
    for name, table in _tables_like(evidence, buffer, array):
        says = f"{evidence.op.name} reads {name} where {buffer} is meant"
        yield Hypothesis("wrong_operand", says, {part: table}, 2)


def _other_layouts(
    evidence: Evidence, image: Image, part: str, array: AnyArray
) -> Iterator[Reading]:
    op, buffer = evidence.op.name, evidence.op.inputs[part]
    rows, columns = array.shape
    turned = array.reshape(columns, rows).T.copy()
    says = f"{op} reads {buffer} transposed, as if it were stored [{columns}, {rows}]"
    yield "transposed", says, turned, 1
    if rows != columns:
        says = f"{op} reads the transpose of {buffer} as if it were [{rows}, {columns}]"
        yield "transposed", says, array.T.reshape(rows, columns), 2
    address = evidence.addresses[buffer]
    for name, stride in _strides(evidence, columns):
        says = (
            f"{op} steps through the rows of {buffer} by {stride} elements ({name}) "
            f"instead of {columns}"
        )
        read = image.rows(address, (rows, columns), stride, array.dtype)
        yield "wrong_stride", says, read, 3
    for step in (2, 4):
        says = f"{op} steps through the elements of {buffer} by {step} instead of 1"
        yield (
            "wrong_stride",
            says,
            image.rows(address, (rows, columns), columns, array.dtype, step),
            2,
        )
    repeated = np.broadcast_to(array[:1], array.shape).copy()
    yield "row_repeated", f"{op} uses row 0 of {buffer} for all rows", repeated, 2


def _strides(evidence: Evidence, columns: int) -> Iterator[tuple[str, int]]:
    """Yield strides that a person could have written: another size, one off, double, half."""
    named = [(f"the size {name}", size) for name, size in evidence.sizes.items()]
    named += [("one too many", columns + 1), ("one too few", columns - 1)]
    named += [("twice as many", 2 * columns), ("half as many", columns // 2)]
    seen = {0, columns}
    for name, stride in named:
        if stride not in seen and stride < _LARGEST // columns:
            seen.add(stride)
            yield name, stride


def _offsets(evidence: Evidence, image: Image, part: str, array: AnyArray) -> Iterator[Reading]:
    op, buffer = evidence.op.name, evidence.op.inputs[part]
    row = array.shape[-1] if array.ndim > 1 else 0
    for offset in (*_OFFSETS, row, -row) if row > 1 else _OFFSETS:
        address = evidence.addresses[buffer] + offset * array.dtype.itemsize
        read = image.read(address, array.size, array.dtype).reshape(array.shape)
        if abs(offset) == row:
            distance = "one row"
        else:
            distance = f"{abs(offset)} element{'s' if abs(offset) > 1 else ''}"
        says = f"{op} reads {buffer} {distance} too {'late' if offset > 0 else 'early'}"
        yield "offset", says, read, 3


def _exchanged(evidence: Evidence, image: Image) -> Iterator[Hypothesis]:
    """Yield the output with two inputs in each other's place, read with their own sizes."""
    for first, second in combinations(evidence.inputs, 2):
        a, b = evidence.inputs[first], evidence.inputs[second]
        if a.dtype != b.dtype or not a.ndim or not b.ndim or max(a.size, b.size) > _LARGEST:
            continue
        names = evidence.op.inputs[first], evidence.op.inputs[second]
        changed = {
            first: image.read(evidence.addresses[names[1]], a.size, a.dtype).reshape(a.shape),
            second: image.read(evidence.addresses[names[0]], b.size, b.dtype).reshape(b.shape),
        }
        says = f"{evidence.op.name} takes {names[0]} and {names[1]} in each other's place"
        yield Hypothesis("exchanged", says, changed, 1)


def _same(a: AnyArray, b: AnyArray) -> bool:
    return a.shape == b.shape and bool(np.array_equal(bits(a), bits(b)))
