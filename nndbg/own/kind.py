"""A kind of op that the user wrote: a function of a Python file as the reference computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.own.process import Worker
from nndbg.own.sampling import Operand
from nndbg.own.script import Script
from nndbg.own.worker import Request
from nndbg.reference import Bounded, Format, Kind
from nndbg.reference.kinds import Part, Result


@dataclass(frozen=True)
class Own:
    """The user's function of a whole step: it takes and returns buffers by their own names.

    `inputs` and `outputs` name buffers. It is fed with what the ops before the first that writes an
    output have left, and judges the last op that writes each of them.
    """

    kind: Kind
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def own_kind(
    script: Script, inputs: Sequence[Part], outputs: Sequence[Part], worker: Worker
) -> Kind:
    """Return the kind that `worker` computes with the function of `script`."""

    def function(*, fmt: Format, **given: Any) -> Result:
        operands = {part.name: _operand(given[part.name]) for part in inputs}
        numbers = {name: given[name] for name in script.numbers}
        names = tuple(part.name for part in outputs)
        path = str(script.path.resolve())
        answer = worker.ask(Request(path, script.function, operands, numbers, names, fmt))
        return tuple(answer.results[name] for name in names)

    return Kind(
        name=f"python:{script.text}",
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        parameters=script.numbers,
        function=function,
        source=str(script),
    )


def _operand(value: Bounded | NDArray[Any]) -> Operand:
    if not isinstance(value, Bounded):
        return Operand(np.ascontiguousarray(value))
    if value.own is not None:
        return Operand(value.own)
    return Operand(value.value, value.error if value.error.any() else None)
