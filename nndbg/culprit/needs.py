"""Which elements of its inputs an op's formula needs for one element of an output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from nndbg.diagnose import Evidence
from nndbg.layermap import Op
from nndbg.places import Place
from nndbg.reference import Bounded

# The axes along which a kind mixes elements although input and output share them.
_MIXED: Mapping[str, frozenset[str]] = {"softmax": frozenset("c")}


@dataclass(frozen=True)
class Needs:
    """For each part an index for each axis, None where all along the axis are needed.

    `index` is the element's own.
    """

    op: Op
    index: tuple[int, ...]
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

    def is_one_to_one(self, buffer: str) -> bool:
        """Whether each element of the buffer belongs to one element of the output alone."""
        return any(
            len(self.parts[part]) == len(self.index) and None not in self.parts[part]
            for part, name in self.op.inputs.items()
            if name == buffer and self.index
        )

    def value(self, evidence: Evidence, part: str, place: Place) -> tuple[float, float]:
        """Return the element and its bound if another one, of `part`, were twice what it is.

        Only what the element needs is computed, which for a large matrix is a thousandth of it.
        """
        changed = evidence.inputs[part].copy()
        changed[place.index] = changed[place.index] * 2 if changed[place.index] else 1
        found = self._alone(evidence, {**evidence.inputs, part: changed})
        return float(found.value.flat[0]), float(found.error.flat[0])

    def unchanged(self, evidence: Evidence) -> float:
        """Return the element with its inputs as they are, computed as `value` does."""
        return float(self._alone(evidence, evidence.inputs).value.flat[0])

    def _alone(self, evidence: Evidence, inputs: Mapping[str, NDArray[Any]]) -> Bounded:
        kind = evidence.op.kind
        if kind.name == "gather":
            at = tuple(slice(i, i + 1) for i in self.index)
            whole = evidence.compute(**inputs)
            return Bounded(whole.value[at], whole.error[at])
        narrow = {
            part: array[
                tuple(slice(None) if i is None else slice(i, i + 1) for i in self.parts[part])
            ]
            for part, array in inputs.items()
        }
        results = kind.compute(narrow, evidence.fmt, evidence.op.parameters)[evidence.part]
        mixed = tuple(
            slice(i, i + 1) if extent > 1 else slice(0, 1)
            for i, extent in zip(self.index, results.shape, strict=True)
        )
        return Bounded(results.value[mixed], results.error[mixed])


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
    return Needs(evidence.op, index, found)


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
