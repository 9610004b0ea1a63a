"""Ops that a program does in one go, with no buffer in between: `dense + relu`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from nndbg.reference.bounded import Format
from nndbg.reference.kinds import Kind, Part, Result


class FusionError(ValueError):
    """Two kinds that cannot follow one another without a buffer."""


def fuse(kinds: Sequence[Kind]) -> Kind:
    """Return the kind that does each of `kinds` in turn; the bounds compose.

    The output of one becomes the part `grad` of the next or, where that has none, its first part.
    The other parts keep their names, so no two may share one unless they mean the same buffer.
    Raises FusionError.
    """
    fused = kinds[0]
    for kind in kinds[1:]:
        fused = _fuse(fused, kind)
    return fused


def _fuse(first: Kind, second: Kind) -> Kind:
    if len(first.outputs) != 1:
        raise FusionError(f"{first.name} has several outputs, and none can be left out")
    made = first.outputs[0]
    taken = next((part for part in second.inputs if part.name == "grad"), second.inputs[0])
    if "floating-point" not in (made.numbers, taken.numbers) or made.numbers != taken.numbers:
        raise FusionError(f"{made} of {first.name} cannot be {taken} of {second.name}")
    axes = _renaming(first, made, taken, second)
    others = tuple(_renamed(part, axes) for part in second.inputs if part is not taken)
    known = {part.name: part for part in first.inputs}
    for part in others:
        if part.name in known and known[part.name].axes != part.axes:
            raise FusionError(f"{known[part.name]} of {first.name} is no {part} of {second.name}")

    def function(*, fmt: Format, **given: Any) -> Result:
        between = _call(first, given, fmt)
        return _call(second, {**given, taken.name: between}, fmt)

    return Kind(
        name=f"{first.name} + {second.name}",
        inputs=first.inputs + tuple(part for part in others if part.name not in known),
        outputs=tuple(_renamed(part, axes) for part in second.outputs),
        parameters=MappingProxyType({**first.parameters, **second.parameters}),
        function=function,
    )


def _call(kind: Kind, given: Mapping[str, Any], fmt: Format) -> Result:
    wanted = {part.name for part in kind.inputs} | set(kind.parameters)
    return kind.function(fmt=fmt, **{name: given[name] for name in wanted if name in given})


def _renaming(first: Kind, made: Part, taken: Part, second: Kind) -> Mapping[str, Sequence[str]]:
    """Return what each axis of `second` is called by `first`, so that `made` is its `taken`."""
    fixed = [axis for axis in taken.axes if axis != ".."]
    rest = made.axes[len(fixed) :]
    if len(made.axes) < len(fixed) or (rest and len(fixed) == len(taken.axes)):
        raise FusionError(f"{made} of {first.name} does not have the axes of {taken}")
    axes: dict[str, Sequence[str]] = {
        axis: (name,) for axis, name in zip(fixed, made.axes, strict=False)
    }
    if ".." in taken.axes:
        axes[".."] = rest
    # An axis that only the second has must not be taken for one of the first's.
    own = {axis for part in (*second.inputs, *second.outputs) for axis in part.axes}
    return {axis: axes.get(axis, (f"{axis}'",)) for axis in own}


def _renamed(part: Part, axes: Mapping[str, Sequence[str]]) -> Part:
    return replace(part, axes=tuple(name for axis in part.axes for name in axes[axis]))
