"""The user's own reference of a whole step, asked once a step, beside what judges each op."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from nndbg.compare import Status, Verdict
from nndbg.layermap import WHOLE, LayerMap, Op
from nndbg.reference import FLOAT32, FLOAT64, Bounded, Kind

_FARTHER = "farther from {source} than rounding takes it, by an estimate that is no proof"
_ALONE = "; {op} itself agrees with its kind, so look before it, or in the reference"
_LOOSE = "{source}: runs of it differ by as much as the values"


class Beside:
    """What the user's function makes of one step; nothing, where the phase has none."""

    def __init__(self, layer_map: LayerMap, ops: Sequence[Op]) -> None:
        self._map = layer_map
        self._ops = ops
        self._own = layer_map.phase.own
        self._made: Mapping[str, Bounded] | None = None
        writers = {
            name: index
            for index, op in enumerate(ops)
            for name in op.outputs.values()
            if self._own is not None and name in self._own.outputs
        }
        # Of each op, the buffers that no op after it writes.
        self._last = {
            index: tuple(name for name, last in writers.items() if last == index)
            for index in set(writers.values())
        }
        self._first = min(
            (i for i, op in enumerate(ops) if writers.keys() & set(op.outputs.values())), default=0
        )

    @property
    def kind(self) -> Kind | None:
        """The kind that its function is, None where there is none."""
        return self._own.kind if self._own is not None else None

    def since(self, index: int) -> int:
        """Return the op before which the one at `index` takes its inputs.

        What the function of the step makes and no other op owns is an op too, the last: it takes
        what the function takes.
        """
        is_whole = self._own is not None and self._ops[index].key == WHOLE
        return self._first if is_whole else index

    def expected(
        self, index: int, before: Callable[[int, str], NDArray[Any]]
    ) -> dict[str, Bounded]:
        """Return what it says of the outputs of the op at `index`, by buffer.

        `before` reads a buffer as the ops before an index have left it.
        """
        if self._own is None or index not in self._last:
            return {}
        if self._made is None:
            given = {name: before(self._first, name) for name in self._own.inputs}
            dtypes = [self._map.buffers[name].dtype for name in self._own.outputs]
            fmt = FLOAT64 if "f64" in dtypes and "f32" not in dtypes else FLOAT32
            self._made = self._own.kind.compute(given, fmt, self._own.kind.parameters)
        return {name: self._made[name] for name in self._last[index]}


def estimated(verdict: Verdict, source: str, is_alone: bool = False) -> Verdict:
    """Return a verdict by the function `source`, in words that claim no proof.

    With `is_alone` the op's own kind finds nothing wrong.
    """
    subject = verdict.subject
    if verdict.status is Status.DIVERGED:
        says = _FARTHER.format(source=source)
        return replace(verdict, says=says + (_ALONE.format(op=subject.op) if is_alone else ""))
    if verdict.status is Status.UNCHECKED:
        return replace(verdict, says=_LOOSE.format(source=source))
    return verdict
