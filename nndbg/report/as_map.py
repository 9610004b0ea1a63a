"""Renders a placed layer map: what nndbg understood, with every address."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from nndbg.layermap import PlacedMap
from nndbg.text import printable


def show(placed: PlacedMap, console: Console) -> None:
    """Print the sizes, buffers and ops of `placed`."""
    layer_map = placed.layer_map
    console.print(f"{layer_map.name}: layer map of {layer_map.origin}", markup=False)

    sizes = _table("size", "value", "read from")
    for size in layer_map.sizes.values():
        largest = str(size.largest) if size.largest is not None else "any"
        value = largest if size.is_fixed else f"at most {largest}"
        place = "" if size.is_fixed else f"{size.symbol} {placed.size_places[size.name]:#x}"
        sizes.add_row(size.name, value, printable(place))

    buffers = _table("buffer", "dtype", "shape", "at", "symbol")
    for buffer in layer_map.buffers.values():
        place = f"{placed.places[buffer.name]:#x}"
        buffers.add_row(
            buffer.name,
            buffer.dtype,
            f"[{', '.join(map(str, buffer.shape))}]",
            f"via {place}" if buffer.is_pointer else place,
            printable(buffer.symbol),
        )

    ops = _table("op", "kind", "computes", "done at", "source")
    for op in layer_map.ops:
        inputs = ", ".join(f"{part}={buffer}" for part, buffer in op.inputs.items())
        addresses = placed.done[op.name]
        lines = [str(placed.executable.line_at(address) or "-") for address in addresses]
        ops.add_row(
            op.name,
            op.kind.name,
            f"{', '.join(op.outputs.values())} from {inputs}",
            "\n".join(f"{address:#x}" for address in addresses),
            printable("\n".join(lines)),
        )

    for table in (sizes, buffers, ops):
        console.print()
        console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, no_wrap=column != "computes")
    return table
