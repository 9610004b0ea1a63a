"""Mistakes in taking a batch out of a data set: which samples, from where, read as what."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nndbg.diagnose.model import AnyArray, Evidence, Hypothesis
from nndbg.reference import Bounded

# An IDX header is 16 bytes for images and 8 for labels.
_OFFSETS = (1, -1, 4, -4, 8, -8, 16, -16)


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the batch with other samples, another start, another stride, another type."""
    if evidence.op.kind.name != "gather":
        return
    table, index = evidence.inputs["table"], evidence.inputs["index"].astype(np.int64)
    name, order = evidence.op.inputs["table"], evidence.op.inputs["index"]
    row = int(np.prod(table.shape[1:]))
    scale = evidence.op.parameters["scale"]
    for says, rows, rank in (
        (
            f"{order} is ignored: the samples are taken as they lie in {name}",
            np.arange(len(index)),
            1,
        ),
        (f"every sample is the first of {order}", np.full(len(index), index[0]), 1),
        (f"each sample is the one after that of {order}", index + 1, 1),
        (f"each sample is the one before that of {order}", index - 1, 1),
        (f"the samples of {order} are one place late", np.roll(index, 1), 2),
        (f"the samples of {order} are one place early", np.roll(index, -1), 2),
    ):
        yield _taken(evidence, "wrong_sample", says, rows * row, scale, rank)
    for offset in _OFFSETS:
        count = f"{abs(offset)} element{'s' if abs(offset) > 1 else ''}"
        says = f"{name} is read {count} too {'late' if offset > 0 else 'early'}"
        yield _taken(evidence, "offset", says, index * row + offset, scale, 2)
    for stride in (row + 1, row - 1, row // 2, 2 * row, *evidence.sizes.values()):
        if stride not in (0, row):
            says = f"the rows of {name} are taken {stride} elements apart instead of {row}"
            yield _taken(evidence, "wrong_stride", says, index * stride, scale, 2)
    if table.dtype.kind == "u":
        says = f"{name} is read as signed numbers"
        signed = table.dtype.str.replace("u", "i")
        yield _taken(evidence, "signed", says, index * row, scale, 1, signed)


def _taken(
    evidence: Evidence,
    kind: str,
    says: str,
    starts: AnyArray,
    scale: float,
    rank: int,
    dtype: str | None = None,
) -> Hypothesis:
    """Return the output if row n were the elements from starts[n] on; NaN outside of the table."""
    flat = evidence.inputs["table"].reshape(-1)
    row = int(np.prod(evidence.actual.shape[1:]))
    at = starts[:, None] + np.arange(row)
    inside = (at >= 0) & (at < flat.size)
    numbers = flat[np.where(inside, at, 0)]
    if dtype is not None:
        numbers = numbers.view(dtype)
    value = np.where(inside, numbers * scale, np.nan).reshape(evidence.actual.shape)
    error = np.zeros(value.shape) if scale == 1 else 4 * evidence.fmt.unit * np.abs(value)
    return Hypothesis(kind, says, Bounded(value, error), rank)
