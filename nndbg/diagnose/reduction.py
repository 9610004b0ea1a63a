"""Mistakes in a mean over the rows of a batch: which rows are counted."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nndbg.diagnose.model import Evidence, Hypothesis
from nndbg.reference import Bounded
from nndbg.reference.bounded import Array, rounded

_CLOSE = 1e-9


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the mean with rows missing, for ops that make one number of a batch."""
    rows = _rows(evidence)
    if rows is None:
        return
    count, whole = len(rows), float(rows.sum())
    for says, total in (
        ("only the last row counts: the rows are not added up", rows[-1]),
        ("only the first row counts", rows[0]),
    ):
        yield _mean(evidence, f"{says}, {count - 1} are missing", float(total) / count, 2, 1.0)
    gap = whole - float(evidence.actual) * count
    missing = int(np.argmin(np.abs(rows - gap)))
    says = f"row {missing} is missing"
    yield _mean(evidence, says, (whole - float(rows[missing])) / count, 2, math.log2(count))
    ends = np.cumsum(rows)
    last = int(np.argmin(np.abs(ends - float(evidence.actual) * count)))
    if last < count - 2:
        says = f"the last {count - 1 - last} of {count} rows are missing"
        yield _mean(evidence, says, float(ends[last]) / count, 3, math.log2(count))


def _mean(evidence: Evidence, says: str, value: float, rank: int, freedom: float) -> Hypothesis:
    error = evidence.expected.error + 4 * evidence.fmt.unit * abs(value)
    predicted = rounded(np.asarray(value), np.asarray(error), evidence.fmt)
    words = f"{evidence.buffer}: {says}"
    return Hypothesis("terms_missing", words, Bounded(predicted.value, error), rank, freedom)


def _rows(evidence: Evidence) -> Array | None:
    """Return what the op makes of each row alone, None where the whole is not their mean."""
    kind = evidence.op.kind
    output = next(part for part in kind.outputs if part.name == evidence.part)
    along = {part.axes[0] for part in kind.inputs if part.axes}
    if output.axes or len(along) != 1 or any(not part.axes for part in kind.inputs):
        return None
    if along == {".."} or evidence.is_integer:
        return None
    count = len(next(iter(evidence.inputs.values())))
    rows = np.array(
        [
            float(evidence.compute(**{p: a[n : n + 1] for p, a in evidence.inputs.items()}).value)
            for n in range(count)
        ]
    )
    if count < 2 or not np.isclose(rows.mean(), evidence.expected.value, rtol=_CLOSE, atol=0):
        return None
    return rows
