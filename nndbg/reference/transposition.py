"""Kinds whose matrices a program stores the other way round: `W[o,i]`, not `W[i,o]`.

Turned once, here: everything behind it, from the books of a step to the culprit, sees the parts
with the axes that the buffers have in memory.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from nndbg.reference.bounded import Bounded, Format
from nndbg.reference.kinds import Integers, Kind, Part, Result

_ANY = ("..",)
# What the two axes of a part are called that may have any.
_MATRIX = ("row", "column")


class TranspositionError(ValueError):
    """A part that is no matrix has no transpose."""


def transpose(kind: Kind, inputs: Collection[str], outputs: Collection[str]) -> Kind:
    """Return the kind that takes, and gives, the transposes of the parts of these names.

    Where one of them may have any number of axes, all such parts are matrices. What is drawn is
    drawn in the order of memory. Raises TranspositionError.
    """
    if not inputs and not outputs:
        return kind
    named = [p for p in kind.inputs if p.name in inputs] + [
        p for p in kind.outputs if p.name in outputs
    ]
    for part in named:
        if part.axes != _ANY and (len(part.axes) != 2 or ".." in part.axes):
            raise TranspositionError(f"{part} is no matrix, and has no transpose")
    axes = _MATRIX if any(part.axes == _ANY for part in named) else _ANY

    def function(*, fmt: Format, **parts: Any) -> Result:
        meant = {n: value.T if n in inputs else value for n, value in parts.items()}
        result = kind.function(fmt=fmt, **meant)
        results = result if isinstance(result, tuple) else (result,)
        return tuple(
            (_refilled(value) if kind.is_drawn else value.T) if part.name in outputs else value
            for part, value in zip(kind.outputs, results, strict=True)
        )

    return replace(
        kind,
        inputs=tuple(_stored(part, axes, part.name in inputs) for part in kind.inputs),
        outputs=tuple(_stored(part, axes, part.name in outputs) for part in kind.outputs),
        function=function,
    )


def _refilled(value: Bounded | Integers) -> Bounded | Integers:
    """Return the same numbers in the same order, with the axes exchanged."""
    if isinstance(value, Bounded):
        return Bounded(value.value.reshape(value.T.shape), value.error.reshape(value.T.shape))
    return value.reshape(value.T.shape)


def _stored(part: Part, any_axes: tuple[str, ...], is_turned: bool) -> Part:
    """Return the part with the axes that it has in memory."""
    axes = any_axes if part.axes == _ANY else part.axes
    return replace(part, axes=axes[::-1] if is_turned else axes, is_turned=is_turned)
