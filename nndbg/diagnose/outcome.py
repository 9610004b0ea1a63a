"""Mistakes in what is done with a right result: where it goes, its sign, what it is added to."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nndbg.compare import bits
from nndbg.diagnose.image import Image
from nndbg.diagnose.model import AnyArray, Evidence, Hypothesis, matches
from nndbg.reference import Bounded
from nndbg.reference.bounded import exact, rounded

_VECTORS = (16, 8, 4)
# Fewer negative numbers than this may all be wrong by chance.
_FEW = 8
_LARGEST_STRIDE = 1 << 13


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield what would have become of the expected output."""
    yield from _left_as_it_was(evidence)
    yield from _stored_apart(evidence)
    if evidence.is_integer:
        return
    yield from _landed_elsewhere(evidence)
    yield from _changed_sign(evidence)
    yield from _added(evidence)
    yield from _done_twice(evidence)
    yield from _multiplied(evidence)
    yield from _misplaced(evidence)
    yield from _another_buffer(evidence)


def _left_as_it_was(evidence: Evidence) -> Iterator[Hypothesis]:
    """Where a part is left at zeros, nobody can say whether these were there or were stored."""
    name, op, bad = evidence.buffer, evidence.op.name, evidence.bad
    is_untouched = np.array_equal(bits(evidence.actual), bits(evidence.before))
    tail = _tail(bad)
    zeros = Bounded(np.zeros(evidence.actual.shape), np.zeros(evidence.actual.shape))
    if is_untouched or evidence.before[bad].any():
        says = f"{op} leaves {name if is_untouched else f'these elements of {name}'} as they were"
        if is_untouched:
            says = f"{op} leaves {name} as it was"
        yield Hypothesis(
            "unwritten", f"{says} before it{tail}", exact(evidence.before), 1, is_local=True
        )
        yield Hypothesis("zero", f"{op} leaves 0 in {name}{tail}", zeros, 4, is_local=True)
    else:
        says = f"{op} leaves 0 in these elements of {name}: not written, or overwritten with 0"
        yield Hypothesis("zero", f"{says}{tail}", zeros, 3, is_local=True)


def _tail(bad: AnyArray) -> str:
    """Say which remainder of a vector loop the elements are, where they are one."""
    for axis, word in ((bad.ndim - 1, "columns"), (0, "rows")):
        if not bad.ndim or (axis == 0 and bad.ndim == 1 and word == "rows"):
            continue
        used = np.flatnonzero(bad.any(axis=tuple(a for a in range(bad.ndim) if a != axis)))
        extent = bad.shape[axis]
        rest = extent - int(used[0])
        for width in _VECTORS:
            if extent > width and rest == extent % width:
                what = word if bad.ndim > 1 else "elements"
                return f": the tail of its {what}, {extent} mod {width}"
    return ""


def _stored_apart(evidence: Evidence) -> Iterator[Hypothesis]:
    """Rows, or elements, that are stored further apart than they lie, or closer."""
    name, op, shape = evidence.buffer, evidence.op.name, evidence.actual.shape
    if not shape:
        return
    width = shape[-1] if len(shape) > 1 else 1
    for stride, meaning in _strides(evidence, width):
        what = "rows" if width > 1 else "elements"
        says = f"{op} stores the {what} of {name} {stride} elements apart instead of {width}"
        predicted = _spaced(evidence, width, stride)
        yield Hypothesis("wrong_stride", f"{says}{meaning}", predicted, 2)
    if width > 1:
        for stride in (2, 4):
            says = f"{op} stores the elements of {name} {stride} places apart instead of 1"
            yield Hypothesis("wrong_stride", says, _spaced(evidence, 1, stride), 2)


def _strides(evidence: Evidence, width: int) -> Iterator[tuple[int, str]]:
    candidates = [(size, f" (the size {name})") for name, size in evidence.sizes.items()]
    candidates += [(-(-width // lanes) * lanes, " (whole vectors)") for lanes in _VECTORS[::-1]]
    candidates += [(width + 1, ""), (width - 1, ""), (2 * width, " (twice as many)")]
    candidates += [(4 * width, ""), (width // 2, " (half as many)")]
    seen = {0, width}
    for stride, meaning in candidates:
        if stride not in seen and stride < _LARGEST_STRIDE:
            seen.add(stride)
            yield stride, meaning


def _spaced(evidence: Evidence, width: int, stride: int) -> Bounded:
    """Return the buffer after runs of `width` elements were stored `stride` apart, in order."""
    size = evidence.actual.size
    runs = min(size // width, -(-size // stride))
    at = (np.arange(runs)[:, None] * stride + np.arange(width)).reshape(-1)
    inside = at < size
    at = at[inside]
    taken = np.arange(runs * width)[inside]
    value = evidence.before.astype(np.float64).reshape(-1).copy()
    error = np.zeros(size)
    value[at] = evidence.expected.value.reshape(-1)[taken]
    error[at] = evidence.expected.error.reshape(-1)[taken]
    shape = evidence.actual.shape
    return Bounded(value.reshape(shape), error.reshape(shape))


def _landed_elsewhere(evidence: Evidence) -> Iterator[Hypothesis]:
    """The right numbers in a buffer that the op does not own, and nothing new in its own."""
    after, before = Image(evidence.after), Image(evidence.memory)
    own = set(evidence.op.outputs.values())
    actual, bad = evidence.actual, evidence.bad
    for name, other in evidence.others.items():
        if name in own or other.dtype != actual.dtype or not actual.ndim:
            continue
        address = evidence.addresses[name]
        now = after.read(address, actual.size, actual.dtype).reshape(actual.shape)
        if not bad.any() or np.array_equal(
            bits(now), bits(before.read(address, actual.size, actual.dtype).reshape(actual.shape))
        ):
            continue
        landed = matches(now, evidence.expected)
        old = exact(evidence.before)
        predicted = Bounded(np.where(landed, old.value, np.nan), old.error)
        says = f"{evidence.op.name} writes into {name} what belongs into {evidence.buffer}"
        yield Hypothesis("wrong_destination", says, predicted, 0)


def _changed_sign(evidence: Evidence) -> Iterator[Hypothesis]:
    expected, name = evidence.expected, evidence.buffer
    turned = Bounded(-expected.value, expected.error)
    yield Hypothesis("sign", f"{name} has the wrong sign", turned, 1)
    negative, bad = expected.value < -expected.error, evidence.bad
    if np.count_nonzero(negative) >= _FEW and bad[negative].all() and not bad.all():
        absolute = Bounded(np.abs(expected.value), expected.error)
        yield Hypothesis("sign", f"{name} is taken as absolute values", absolute, 0)


def _added(evidence: Evidence) -> Iterator[Hypothesis]:
    name, expected = evidence.buffer, evidence.expected
    before = exact(evidence.before)
    if not before.value.any():
        return
    if evidence.in_place is None:
        says = f"{name} is added to what it held before the op, instead of replacing it"
        added = rounded(expected.value + before.value, 2 * expected.error, evidence.fmt, 4)
        yield Hypothesis("not_cleared", says, added, 1)


def _done_twice(evidence: Evidence) -> Iterator[Hypothesis]:
    """An op that works on what it has just made: in place, or an activation behind itself."""
    name, op = evidence.buffer, evidence.op
    part = evidence.in_place
    if part is None or evidence.inputs[part].shape != evidence.expected.shape:
        return
    again = {
        p: outcome
        for p, b in op.inputs.items()
        for outcome in [_outcome(evidence, b)]
        if outcome is not None
    }
    says = f"{op.name} is done twice: {name} is changed again"
    yield Hypothesis("applied_twice", says, evidence.compute(**again), 1)


def _outcome(evidence: Evidence, buffer: str) -> AnyArray | Bounded | None:
    """Return what `buffer` is after the op, where the op makes it of floating-point numbers."""
    if buffer == evidence.buffer:
        return evidence.expected
    part = next((p for p, name in evidence.op.outputs.items() if name == buffer), None)
    if part is None or evidence.op.kind.source:
        return None
    inputs = dict(evidence.inputs)
    made = evidence.op.kind.compute(inputs, evidence.fmt, evidence.op.parameters)[part]
    return made.integers if made.integers is not None else made


def _multiplied(evidence: Evidence) -> Iterator[Hypothesis]:
    """The output times another buffer of its shape, a mask that has no business here."""
    expected, image = evidence.expected, Image(evidence.after or evidence.memory)
    for name, other in evidence.others.items():
        if name == evidence.buffer or name in evidence.op.inputs.values():
            continue
        if other.shape != expected.shape or not other.ndim or other.dtype.kind != "f":
            continue
        factor = image.read(evidence.addresses[name], other.size, other.dtype)
        factor = factor.reshape(other.shape).astype(np.float64)
        product = rounded(expected.value * factor, expected.error * np.abs(factor), evidence.fmt, 2)
        says = f"{evidence.buffer} is multiplied by {name}"
        yield Hypothesis("multiplied", says, product, 3)


def _misplaced(evidence: Evidence) -> Iterator[Hypothesis]:
    """Right numbers in wrong places: transposed, shifted, turned around."""
    expected, name = evidence.expected, evidence.buffer
    value, error = expected.value, expected.error
    if value.ndim == 2 and min(value.shape) > 1:
        rows, columns = value.shape
        yield Hypothesis(
            "transposed",
            f"{name} is stored transposed, as [{columns}, {rows}]",
            Bounded(value.T.reshape(value.shape), error.T.reshape(value.shape)),
            1,
        )
    distances = _distances(evidence)
    for distance in distances:
        shifted = Bounded(shift(value, distance), shift(error, distance))
        yield Hypothesis(
            "shifted",
            f"{name} holds what belongs {_places(distance, value)}",
            shifted,
            3,
            math.log2(len(distances)),
            is_local=True,
        )


def _another_buffer(evidence: Evidence) -> Iterator[Hypothesis]:
    for name, array in evidence.others.items():
        if name == evidence.buffer or array.size < evidence.actual.size or array.dtype.kind != "f":
            continue
        same = array.reshape(-1)[: evidence.actual.size].reshape(evidence.actual.shape)
        if not same.any():
            continue
        yield Hypothesis(
            "wrong_buffer", f"{evidence.buffer} holds the numbers of {name}", exact(same), 3
        )


def _distances(evidence: Evidence) -> list[int]:
    row = evidence.actual.shape[-1] if evidence.actual.ndim > 1 else 0
    steps = [1, 2, 3, 4, 8, 16, 32, 64, *((row, 2 * row, 3 * row, 4 * row) if row > 1 else ())]
    return [sign * step for step in dict.fromkeys(steps) for sign in (1, -1)]


def shift(array: AnyArray, distance: int) -> AnyArray:
    """Return `array` with each element replaced by the one `distance` places after it.

    Places count through the rows; where there is no such element it is NaN.
    """
    flat = array.reshape(-1).astype(np.float64)
    moved = np.full(flat.shape, np.nan)
    if abs(distance) >= flat.size:
        return moved.reshape(array.shape)
    if distance > 0:
        moved[:-distance] = flat[distance:]
    else:
        moved[-distance:] = flat[:distance]
    return moved.reshape(array.shape)


def _places(distance: int, array: AnyArray) -> str:
    row = array.shape[-1] if array.ndim > 1 else 0
    side = "after" if distance > 0 else "before"
    count, word = abs(distance), "place"
    if row > 1 and count % row == 0:
        count, word = count // row, "row"
    number = "one" if count == 1 else str(count)
    return f"{number} {word}{'s' if count > 1 else ''} {side} it"
