"""Do the buffers of an op have the axes and the numbers that its kind wants? And if not, why?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations

from nndbg.layermap.model import DTYPES, Buffer, Size
from nndbg.reference import Kind
from nndbg.reference.kinds import Numbers, Part
from nndbg.reference.transposition import TranspositionError, transpose

Extent = str | int | tuple[str | int, ...]
Operand = tuple[Part, Buffer]
_MOST_TURNED = 3


class ShapeError(ValueError):
    """Operands that a kind cannot take; says which and why."""


def check_operands(
    kind: Kind,
    inputs: Mapping[str, Buffer],
    outputs: Mapping[str, Buffer],
    sizes: Mapping[str, Size],
) -> None:
    """Raise ShapeError where a buffer does not fit its part, or two do not fit each other."""
    operands = [(part, inputs[part.name]) for part in kind.inputs]
    operands += [(part, outputs[part.name]) for part in kind.outputs]
    for part, buffer in operands:
        numbers: Numbers = "integer" if DTYPES[buffer.dtype].kind in "iu" else "floating-point"
        if part.numbers not in (numbers, "any"):
            raise ShapeError(
                f"{buffer.name} is {buffer.dtype}, and {part} of {kind.name} takes "
                f"{part.numbers} numbers"
            )
    problem = next(_disagreements(kind, operands, sizes), None)
    if problem is not None:
        raise ShapeError(problem + _hint(kind, inputs, outputs, sizes))


def _disagreements(
    kind: Kind, operands: Sequence[Operand], sizes: Mapping[str, Size]
) -> Iterator[str]:
    axes: dict[str, tuple[object, str]] = {}
    for part, buffer in operands:
        matched = _matched(part, buffer)
        if matched is None:
            count = len(buffer.shape)
            yield (
                f"{buffer.name} has {_listed(buffer)}, {count} ax{'i' if count == 1 else 'e'}s, "
                f"where {part} is wanted"
            )
            continue
        for axis, extent in matched:
            meaning = _meaning(extent, sizes)
            first, where = axes.setdefault(axis, (meaning, f"{buffer.name} has {_listed(buffer)}"))
            if first != meaning:
                yield (
                    f"{where} but {buffer.name} has {_listed(buffer)}, "
                    f"and {kind.name} is {signature(kind)}"
                )


def _matched(part: Part, buffer: Buffer) -> list[tuple[str, Extent]] | None:
    """Return the extent of each axis of the part, None where the buffer has not that many."""
    fixed = [axis for axis in part.axes if axis != ".."]
    if len(fixed) == len(part.axes):
        return (
            list(zip(fixed, buffer.shape, strict=True)) if len(fixed) == len(buffer.shape) else None
        )
    if len(buffer.shape) < len(fixed):
        return None
    # `..` is written last, so the named axes come first.
    named: list[tuple[str, Extent]] = list(zip(fixed, buffer.shape, strict=False))
    return [*named, ("..", buffer.shape[len(fixed) :])]


def _meaning(extent: Extent, sizes: Mapping[str, Size]) -> object:
    """Return what makes two extents the same: the number, or the name where it varies."""
    if isinstance(extent, tuple):
        return tuple(_meaning(axis, sizes) for axis in extent)
    if isinstance(extent, str) and sizes[extent].is_fixed:
        return sizes[extent].largest
    return extent


def _hint(
    kind: Kind,
    inputs: Mapping[str, Buffer],
    outputs: Mapping[str, Buffer],
    sizes: Mapping[str, Size],
) -> str:
    """Return which matrices would have to be turned for everything to fit, if that is all."""
    buffers = {b.name: b for b in chain(inputs.values(), outputs.values())}
    matrices = [name for name, buffer in buffers.items() if len(buffer.shape) == 2]
    for count in range(1, _MOST_TURNED + 1):
        for names in combinations(matrices, count):
            turned_in = {p.name for p in kind.inputs if inputs[p.name].name in names}
            turned_out = {p.name for p in kind.outputs if outputs[p.name].name in names}
            # One that the map turns already is turned back.
            known_in = {p.name for p in kind.inputs if p.is_turned}
            try:
                other = transpose(kind, turned_in, turned_out)
            except TranspositionError:
                continue
            operands = [(part, inputs[part.name]) for part in other.inputs]
            operands += [(part, outputs[part.name]) for part in other.outputs]
            if next(_disagreements(other, operands, sizes), None) is None:
                told = [f'"{name}"' if known_in & turned_in else f'"{name}.T"' for name in names]
                return (
                    f". They would fit with {' and '.join(told)}, "
                    f"if {' and '.join(names)} {'is' if count == 1 else 'are'} stored so"
                )
    return ""


def signature(kind: Kind) -> str:
    """Return the parts of a kind as the manual lists them."""
    inputs = " ".join(map(str, kind.inputs))
    return f"{inputs} -> {' '.join(map(str, kind.outputs))}"


def _listed(buffer: Buffer) -> str:
    return f"[{', '.join(map(str, buffer.shape))}]"
