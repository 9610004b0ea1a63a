"""Mistakes in what is done with a right result: where it goes, its sign, what is left of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nndbg.diagnose.model import AnyArray, Evidence, Hypothesis
from nndbg.reference import Bounded
from nndbg.reference.bounded import exact, rounded


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield what would have become of the expected output."""
    yield from _left_as_it_was(evidence)
    if evidence.expected.integers is not None:
        return
    yield from _changed_sign(evidence)
    yield from _accumulated(evidence)
    yield from _activated(evidence)
    yield from _stored_elsewhere(evidence)
    yield from _truncated(evidence)
    yield from _another_buffer(evidence)


def _left_as_it_was(evidence: Evidence) -> Iterator[Hypothesis]:
    name, op = evidence.buffer, evidence.op.name
    yield Hypothesis(
        "unwritten",
        f"{op} leaves these elements of {name} as they were before it",
        exact(evidence.before),
        0,
    )
    zeros = Bounded(np.zeros(evidence.actual.shape), np.zeros(evidence.actual.shape))
    yield Hypothesis("zero", f"{op} leaves zeros in {name}", zeros, 4)


def _changed_sign(evidence: Evidence) -> Iterator[Hypothesis]:
    expected = evidence.expected
    yield Hypothesis(
        "sign", f"{evidence.buffer} has the wrong sign", Bounded(-expected.value, expected.error), 1
    )
    yield Hypothesis(
        "sign",
        f"{evidence.buffer} is taken as absolute values",
        Bounded(np.abs(expected.value), expected.error),
        3,
    )


def _accumulated(evidence: Evidence) -> Iterator[Hypothesis]:
    name = evidence.buffer
    before = exact(evidence.before)
    if not before.value.any():
        return
    added = rounded(
        evidence.expected.value + before.value, 2 * evidence.expected.error, evidence.fmt, 4
    )
    yield Hypothesis(
        "not_cleared",
        f"{name} is added to what it held before the op, instead of replacing it",
        added,
        1,
    )


def _activated(evidence: Evidence) -> Iterator[Hypothesis]:
    expected, name, kind = evidence.expected, evidence.buffer, evidence.op.kind.name
    if kind != "relu":
        yield Hypothesis(
            "activation_applied",
            f"ReLU is applied to {name}, which is to keep its negative elements",
            Bounded(np.maximum(expected.value, 0), expected.error),
            2,
        )
    if kind in ("relu", "relu_grad"):
        part = "z" if kind == "relu" else "grad"
        raw = exact(evidence.inputs[part])
        if kind == "relu":
            yield Hypothesis(
                "activation_missing", f"ReLU is not applied: {name} is z itself", raw, 1
            )
        else:
            yield Hypothesis(
                "mask_ignored",
                f"the derivative of ReLU is left out: {name} is the gradient itself",
                raw,
                1,
            )
            dead = np.where(evidence.inputs["z"] > 0, 0.0, raw.value)
            yield Hypothesis(
                "mask_inverted",
                f"{name} keeps the gradient where z is not positive, and drops it where it is",
                Bounded(dead, raw.error),
                1,
            )


def _stored_elsewhere(evidence: Evidence) -> Iterator[Hypothesis]:
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
    for distance in _distances(evidence):
        shifted = Bounded(shift(value, distance), shift(error, distance))
        yield Hypothesis(
            "shifted", f"{name} holds what belongs {_places(distance, value)}", shifted, 3
        )


def _truncated(evidence: Evidence) -> Iterator[Hypothesis]:
    expected, name = evidence.expected, evidence.buffer
    half = expected.value.astype(np.float16).astype(np.float64)
    spacing = np.abs(half) * 2.0**-10 + 2.0**-24
    yield Hypothesis(
        "truncated",
        f"{name} went through float16",
        Bounded(half, np.minimum(expected.error, spacing)),
        4,
    )
    bits = expected.value.astype(np.float32).view(np.uint32)
    for word, mask in (("truncated to bfloat16", 0xFFFF0000), ("rounded to whole numbers", None)):
        value = (
            np.rint(expected.value)
            if mask is None
            else (bits & np.uint32(mask)).view(np.float32).astype(np.float64)
        )
        yield Hypothesis("truncated", f"{name} is {word}", Bounded(value, expected.error), 4)


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
    distances = [1, -1, 2, -2, 4, -4, 8, -8, 16, -16]
    return distances + ([row, -row] if row > 1 else [])


def shift(array: AnyArray, distance: int) -> AnyArray:
    """Return `array` with each element replaced by the one `distance` places after it.

    Places count through the rows; where there is no such element it is NaN.
    """
    flat = array.reshape(-1).astype(np.float64)
    moved = np.full(flat.shape, np.nan)
    if distance > 0:
        moved[:-distance] = flat[distance:]
    else:
        moved[-distance:] = flat[:distance]
    return moved.reshape(array.shape)


def _places(distance: int, array: AnyArray) -> str:
    row = array.shape[-1] if array.ndim > 1 else 0
    side = "after" if distance > 0 else "before"
    if row > 1 and abs(distance) == row:
        return f"one row {side} it"
    count = abs(distance)
    return f"{count} place{'s' if count > 1 else ''} {side} it"
