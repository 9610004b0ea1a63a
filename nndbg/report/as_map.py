"""Renders a placed layer map: what nndbg understood, with every address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nndbg.layermap import Boundary, Buffer, Op, Place, PlacedMap, Size
from nndbg.layermap.model import TRANSPOSE
from nndbg.text import printable


def render(placed: PlacedMap) -> str:
    """Return the sizes, buffers and ops of `placed` as aligned lines of text."""
    layer_map = placed.layer_map
    title = f"{layer_map.name}: layer map of {layer_map.origin}, phase {layer_map.phase.name}"
    blocks = [
        ["sizes", *_aligned([_size(placed, size) for size in layer_map.sizes.values()])],
        ["buffers", *_aligned([_buffer(placed, b) for b in layer_map.buffers.values()])],
        ["ops", *_aligned([_op(placed, op) for op in layer_map.ops])],
    ]
    return printable("\n\n".join([title, *("\n".join(block) for block in blocks)])) + "\n"


def _size(placed: PlacedMap, size: Size) -> Sequence[str]:
    if size.symbol is None:
        return size.name, str(size.largest)
    most = f"at most {size.largest}" if size.largest is not None else "any"
    return size.name, f"{most}, read from {size.symbol} at {placed.size_places[size.name]}"


def _buffer(placed: PlacedMap, buffer: Buffer) -> Sequence[str]:
    return (
        buffer.name,
        buffer.dtype,
        f"[{', '.join(map(str, buffer.shape))}]",
        _lies(placed, buffer),
        "constant" if buffer.is_constant else "",
    )


def _lies(placed: PlacedMap, buffer: Buffer) -> str:
    if buffer.view is not None:
        whole, offset = buffer.view
        return f"{offset} bytes into {whole}"
    if buffer.held is not None:
        boundary, word = buffer.held
        return f"where {word} points at {_passed(placed, boundary, placed.held[buffer.name])}"
    place = placed.places[buffer.name]
    if buffer.is_pointer:
        return f"where {buffer.symbol} at {Place(place.address, place.hops[:-1])} points"
    return f"at {place}"


def _op(placed: PlacedMap, op: Op) -> Sequence[str]:
    turned = {part.name for part in op.kind.inputs if part.is_turned}
    inputs = ", ".join(
        f"{part}={buffer}{TRANSPOSE if part in turned else ''}"
        for part, buffer in op.inputs.items()
    )
    done = _passed(placed, op.done, placed.done[op.name])
    begins = _passed(placed, op.enter, placed.enter.get(op.name, ()))
    values = " or ".join(map(str, op.when.values)) if op.when else ""
    when = f"when {op.when.symbol} is {values}" if op.when else ""
    outputs = ", ".join(
        f"{op.outputs[part.name]}{TRANSPOSE if part.is_turned else ''}" for part in op.kind.outputs
    )
    return (
        op.name,
        op.kind.name,
        f"{outputs} from {inputs}",
        begins and f"enter at {begins}",
        f"done at {done}",
        when,
    )


def _passed(placed: PlacedMap, boundary: Boundary | None, addresses: Sequence[int]) -> str:
    """Return where a boundary is, and which of its passings is meant."""
    places = _places(placed, addresses)
    if boundary is None or boundary.is_plain:
        return places
    return f"{places} ({' '.join(boundary.passing)})"


def _places(placed: PlacedMap, addresses: Sequence[int]) -> str:
    return ", ".join(
        f"{address:#x} {placed.executable.line_at(address) or ''}".strip() for address in addresses
    )


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield ("  " + "  ".join(cells)).rstrip()
