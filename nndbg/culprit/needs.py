"""Which elements of its inputs an op's formula needs for one element of an output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nndbg.culprit.places import Place
from nndbg.diagnose import Evidence
from nndbg.layermap import Op

# The axes along which a kind mixes elements although input and output share them.
_MIXED: Mapping[str, frozenset[str]] = {"softmax": frozenset("c")}


@dataclass(frozen=True)
class Needs:
    """For each part an index for each axis, None where all along the axis are needed."""

    op: Op
    parts: Mapping[str, tuple[int | None, ...]]

    def covers(self, place: Place) -> bool:
        """Whether the formula needs this element."""
        return any(
            buffer == place.buffer
            and all(
                fixed is None or fixed == at
                for fixed, at in zip(self.parts[part], place.index, strict=True)
            )
            for part, buffer in self.op.inputs.items()
        )

    def parts_of(self, buffer: str) -> tuple[str, ...]:
        """Return the parts that a buffer takes."""
        return tuple(part for part, name in self.op.inputs.items() if name == buffer)


def needs(evidence: Evidence, index: tuple[int, ...]) -> Needs:
    """Return what the element `index` of the output that the evidence is about needs."""
    kind = evidence.op.kind
    output = next(part for part in kind.outputs if part.name == evidence.part)
    fixed = _axes(output.axes, index)
    mixed = _MIXED.get(kind.name, frozenset())
    found: dict[str, tuple[int | None, ...]] = {}
    for part in kind.inputs:
        dimensions = evidence.inputs[part.name].ndim
        names = _spread(part.axes, dimensions)
        found[part.name] = tuple(None if n in mixed else fixed.get(n) for n in names)
    if kind.name == "gather":
        row = int(evidence.inputs["index"][index[0]])
        found["table"] = (row, *found["table"][1:])
    return Needs(evidence.op, found)


def _spread(axes: tuple[str, ...], dimensions: int) -> tuple[str, ...]:
    """Return a name for every axis; those of `..` count from the last."""
    if ".." not in axes:
        return axes
    at = axes.index("..")
    unnamed = dimensions - len(axes) + 1
    rest = tuple(f"..{unnamed - number}" for number in range(unnamed))
    return (*axes[:at], *rest, *axes[at + 1 :])


def _axes(axes: tuple[str, ...], index: tuple[int, ...]) -> dict[str, int]:
    return dict(zip(_spread(axes, len(index)), index, strict=True))
