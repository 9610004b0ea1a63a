"""The reference that goes on from its own outputs: an op is fed with what it made of earlier ones.

The books of one step keep such a chain from where the step begins, a trajectory over all its steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.layermap import LayerMap, Op
from nndbg.reference import FLOAT32, FLOAT64, Bounded, Format

Inputs = Mapping[str, NDArray[Any]]
Operands = Mapping[str, Bounded | NDArray[Any]]

_FLOATING = ("f32", "f64")


class Chain:
    """What the reference has made so far, buffer by buffer; it begins with nothing."""

    def __init__(self, layer_map: LayerMap) -> None:
        self._map = layer_map
        self._own: dict[str, Bounded] = {}

    def get(self, buffer: str) -> Bounded | None:
        """Return what the reference made of `buffer`, None where no op has written it yet."""
        return self._own.get(buffer)

    def operands(self, op: Op, inputs: Inputs) -> dict[str, Bounded | NDArray[Any]]:
        """Return the op's inputs by part: its own where the reference has them, else the program's.

        A buffer that has another shape than it had is another array: the program's is taken.
        """
        found: dict[str, Bounded | NDArray[Any]] = {}
        for part, name in op.inputs.items():
            own = self._own.get(name)
            fits = own is not None and own.shape == inputs[part].shape
            found[part] = own if own is not None and fits else inputs[part]
        return found

    def keep(self, outputs: Mapping[str, Bounded]) -> None:
        """Go on from these outputs: the floating-point ones, for integers leave nothing open.

        Of what shares numbers with them the program's are taken from here on.
        """
        for name in self._map.with_kin(outputs):
            self._own.pop(name, None)
        self._own.update(
            (name, value) for name, value in outputs.items() if is_floating(self._map, name)
        )

    def follow(self, op: Op, inputs: Inputs) -> dict[str, Bounded]:
        """Return, and keep, what the op should have made of the reference's own outputs."""
        outputs = evaluate(op, self.operands(op, inputs), format_of(self._map, op))
        self.keep(outputs)
        return outputs


def evaluate(op: Op, operands: Operands, fmt: Format) -> dict[str, Bounded]:
    """Return what the op makes of its operands, by buffer.

    Where an element of an operand is unknown, so is every output: an infinite error times zero
    would pass for none.
    """
    unknown = [
        part
        for part, value in operands.items()
        if isinstance(value, Bounded) and not np.isfinite(value.error).all()
    ]
    known = {
        part: Bounded(value.value, np.zeros(value.shape))
        if isinstance(value, Bounded) and part in unknown
        else value
        for part, value in operands.items()
    }
    results = op.kind.compute(known, fmt, op.parameters)
    outputs = {name: results[part] for part, name in op.outputs.items()}
    if not unknown:
        return outputs
    return {
        name: value
        if value.integers is not None
        else Bounded(value.value, np.where(np.isnan(value.value), 0.0, np.inf))
        for name, value in outputs.items()
    }


def is_floating(layer_map: LayerMap, buffer: str) -> bool:
    """Whether the buffer holds floating-point numbers."""
    return layer_map.buffers[buffer].dtype in _FLOATING


def format_of(layer_map: LayerMap, op: Op) -> Format:
    """Return the format that an op computes in: that of its outputs, else of its inputs."""
    dtypes = [layer_map.buffers[name].dtype for name in (*op.outputs.values(), *op.inputs.values())]
    floating = [dtype for dtype in dtypes if dtype in _FLOATING]
    return FLOAT64 if floating and floating[0] == "f64" else FLOAT32
