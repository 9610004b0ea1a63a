"""Wrong sizes of a call: every part is then read, and the output stored, in another shape."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import combinations

import numpy as np

from nndbg.diagnose.image import Image
from nndbg.diagnose.model import Evidence, Hypothesis, matches
from nndbg.diagnose.product import find_product
from nndbg.reference import Bounded

_LARGEST = 1 << 20
_FIRST_ROWS = 8
_LEAST_SHARE = 0.25
NO_LIMITS: Mapping[str, int] = {}


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the output with a size of the kind's signature wrong, and with two exchanged."""
    kind = evidence.op.kind
    extents: dict[str, int] = {}
    for part in kind.inputs:
        if ".." in part.axes or evidence.inputs[part.name].size > _LARGEST:
            return
        extents.update(zip(part.axes, evidence.inputs[part.name].shape, strict=True))
    image, op = Image(evidence.memory), evidence.op.name
    is_product = find_product(evidence) is not None
    for axis, wrong, meaning in _others(evidence, extents):
        result = partial(_tried, evidence, image, {**extents, axis: wrong}, is_product)
        says = f"{op} takes {meaning} for {_meaning(evidence, axis)}"
        yield Hypothesis("wrong_size", says, result, 2)
    for first, second in combinations(extents, 2):
        if extents[first] == extents[second]:
            continue
        swapped = {**extents, first: extents[second], second: extents[first]}
        result = partial(_tried, evidence, image, swapped, is_product)
        says = (
            f"the dimensions of {op} are swapped: {_meaning(evidence, first)} and "
            f"{_meaning(evidence, second)} are in each other's place"
        )
        yield Hypothesis("dimensions_swapped", says, result, 3)


def _others(evidence: Evidence, extents: Mapping[str, int]) -> Iterator[tuple[str, int, str]]:
    """Yield the sizes that a person could have written for another one."""
    for axis, extent in extents.items():
        named: dict[int, list[str]] = {}
        for name, size in evidence.sizes.items():
            named.setdefault(size, []).append(name)
        near = {extent - 1: ["one too few"], extent + 1: ["one too many"]}
        for size, names in {**near, **named}.items():
            if 0 < size != extent and size <= 8 * extent:
                yield axis, size, f"{size} ({' or '.join(names)})"


def _tried(
    evidence: Evidence, image: Image, extents: Mapping[str, int], is_product: bool
) -> Bounded | None:
    """Return the output with other sizes; None where its first rows show already that it is not.

    A product of matrices makes each row of its output without the others.
    """
    output = next(part for part in evidence.op.kind.outputs if part.name == evidence.part)
    if is_product and len(output.axes) == 2 and extents[output.axes[0]] > _FIRST_ROWS:
        few = _computed(evidence, image, extents, {output.axes[0]: _FIRST_ROWS})
        if few is not None:
            count = min(_FIRST_ROWS * extents[output.axes[1]], evidence.actual.size)
            bad = evidence.bad.reshape(-1)[:count]
            met = matches(evidence.actual, few).reshape(-1)[:count]
            if np.count_nonzero(met & bad) < _LEAST_SHARE * np.count_nonzero(bad):
                return None
    return _computed(evidence, image, extents)


def _computed(
    evidence: Evidence,
    image: Image,
    extents: Mapping[str, int],
    first: Mapping[str, int] = NO_LIMITS,
) -> Bounded | None:
    """Return the output with these sizes, or with so many `first` ones of an axis."""
    changed = {}
    for part in evidence.op.kind.inputs:
        shape = tuple(extents[axis] for axis in part.axes)
        if math.prod(shape) > _LARGEST:
            return None
        array = evidence.inputs[part.name]
        address = evidence.addresses[evidence.op.inputs[part.name]]
        read = image.read(address, math.prod(shape), array.dtype).reshape(shape)
        for place, axis in enumerate(part.axes):
            if axis in first:
                read = read.take(np.arange(first[axis]), axis=place)
        changed[part.name] = read
    output = next(part for part in evidence.op.kind.outputs if part.name == evidence.part)
    if not all(axis in extents for axis in output.axes):
        return None
    result = evidence.compute(**changed)
    return None if _was_not_stored(evidence, result) else _stored(evidence, result)


def _was_not_stored(evidence: Evidence, result: Bounded) -> bool:
    """Return whether a result that is too long for its buffer is not behind its end."""
    size, dtype = evidence.actual.size, evidence.actual.dtype
    if result.value.size <= size or not evidence.after:
        return False
    address = evidence.addresses[evidence.buffer] + size * dtype.itemsize
    behind = Image(evidence.after).read(address, result.value.size - size, dtype)
    rest = Bounded(result.value.reshape(-1)[size:], result.error.reshape(-1)[size:])
    return bool(np.count_nonzero(matches(behind, rest)) * 2 < behind.size)


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
