"""Numbers that are nearly right: a constant with a digit missing, a coarse approximation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nndbg.diagnose.model import Evidence, Hypothesis
from nndbg.reference import Bounded

_NEARLY = 0.02


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the expected output with a relative error, where one covers all that is wrong."""
    if evidence.expected.integers is not None:
        return
    bad, value = evidence.bad, evidence.expected.value
    gap = np.abs(evidence.actual.astype(np.float64) - value)
    relative = gap[bad] / np.abs(value[bad])
    if not np.isfinite(relative).all() or relative.max() > _NEARLY:
        return
    says = (
        f"{evidence.buffer} is nearly right, off by up to {relative.max():.1g} of its value: "
        "a constant or an approximation is not accurate"
    )
    yield Hypothesis("inaccurate", says, Bounded(value, np.where(bad, gap, 0.0)), 9)
