"""Mistakes with the labels, in the gradient of the cross-entropy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nndbg.diagnose.model import Evidence, Hypothesis
from nndbg.reference import Bounded


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the gradient without the target, or with the labels of other rows."""
    if evidence.op.kind.name != "softmax_cross_entropy_grad":
        return
    p, y = evidence.inputs["p"].astype(np.float64), evidence.inputs["y"]
    name, labels = evidence.buffer, evidence.op.inputs["y"]
    error = 4 * evidence.fmt.unit * p
    without = Bounded(p / len(p), error)
    yield Hypothesis(
        "target_missing", f"1 is not subtracted at the label: {name} is p / n", without, 1
    )
    for says, taken in (
        (f"every row takes the label of row 0 of {labels}", np.full_like(y, y[0])),
        (f"each row takes the label of the row after it in {labels}", np.roll(y, -1)),
        (f"each row takes the label of the row before it in {labels}", np.roll(y, 1)),
        (f"labels count from 1: each row takes the class after {labels}", y + 1),
        (f"labels count from 0: each row takes the class before {labels}", y - 1),
    ):
        yield Hypothesis("wrong_label", says, evidence.compute(y=taken), 1)
