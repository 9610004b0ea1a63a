"""Where a NaN or an infinity comes from: an input that has one, or an operation that makes one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nndbg.diagnose.model import Evidence, Hypothesis
from nndbg.reference import Bounded

# exp of more than this is beyond float32.
_EXP_LIMIT = float(np.log(np.finfo(np.float32).max))


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield what would have made the elements that are not finite."""
    numbers = evidence.actual.astype(np.float64)
    odd = ~np.isfinite(numbers)
    if not odd.any():
        return
    same = Bounded(
        np.where(odd, numbers, evidence.expected.value),
        np.where(odd, 0.0, evidence.expected.error),
    )
    op = evidence.op.name
    sources = [
        evidence.op.inputs[part]
        for part, array in evidence.inputs.items()
        if array.dtype.kind == "f" and not np.isfinite(array).all()
    ]
    for source in sources:
        yield Hypothesis("nonfinite_input", f"{op} got NaN or infinity in {source}", same, 0)
    if sources:
        return
    largest = max(
        (
            float(np.abs(a).max())
            for a in evidence.inputs.values()
            if a.dtype.kind == "f" and a.size
        ),
        default=0.0,
    )
    if evidence.op.kind.name in ("softmax", "cross_entropy"):
        if largest > _EXP_LIMIT:
            yield Hypothesis(
                "overflow",
                f"exp of {largest:.4g} overflows: the row's maximum is not subtracted",
                same,
                0,
            )
        yield Hypothesis(
            "log_of_zero", f"{op} takes the logarithm of zero, or divides by it", same, 2
        )
    yield Hypothesis("nonfinite", f"{op} makes NaN or infinity from finite numbers", same, 5)
