"""Two sizes of a call in each other's place: every part is then read and stored in wrong shape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from nndbg.diagnose.image import Image
from nndbg.diagnose.model import Evidence, Hypothesis
from nndbg.reference import Bounded

_LARGEST = 1 << 22


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the output with each two sizes of the kind's signature exchanged."""
    kind = evidence.op.kind
    extents: dict[str, int] = {}
    for part in kind.inputs:
        if ".." in part.axes or evidence.inputs[part.name].size > _LARGEST:
            return
        extents.update(zip(part.axes, evidence.inputs[part.name].shape, strict=True))
    output = next(part for part in kind.outputs if part.name == evidence.part)
    image = Image(evidence.memory)
    for first, second in combinations(extents, 2):
        if extents[first] == extents[second]:
            continue
        swapped = {**extents, first: extents[second], second: extents[first]}
        changed = {}
        for part in kind.inputs:
            array = evidence.inputs[part.name]
            shape = tuple(swapped[axis] for axis in part.axes)
            address = evidence.addresses[evidence.op.inputs[part.name]]
            changed[part.name] = image.read(address, math.prod(shape), array.dtype).reshape(shape)
        result = evidence.compute(**changed)
        if not all(axis in swapped for axis in output.axes):
            continue
        says = (
            f"the dimensions of {evidence.op.name} are swapped: {_meaning(evidence, first)} and "
            f"{_meaning(evidence, second)} are in each other's place"
        )
        yield Hypothesis("dimensions_swapped", says, _stored(evidence, result), 1)


def _meaning(evidence: Evidence, axis: str) -> str:
    """Return an axis by the size that the map gives it."""
    part = next(part for part in evidence.op.kind.inputs if axis in part.axes)
    at = part.axes.index(axis)
    name, extent = evidence.shapes[part.name][at], evidence.inputs[part.name].shape[at]
    return f"{name} ({extent})" if isinstance(name, str) else str(extent)


def _stored(evidence: Evidence, result: Bounded) -> Bounded:
    """Return what the buffer holds after `result` was stored into it row by row."""
    count = min(result.value.size, evidence.actual.size)
    value = evidence.before.astype(np.float64).reshape(-1).copy()
    error = np.zeros(value.shape)
    value[:count] = result.value.reshape(-1)[:count]
    error[:count] = result.error.reshape(-1)[:count]
    return Bounded(value.reshape(evidence.actual.shape), error.reshape(evidence.actual.shape))
