"""Numbers that are nearly right: a constant with a digit missing, a coarse approximation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nndbg.diagnose.model import LAST_RESORT, Evidence, Hypothesis
from nndbg.reference import Bounded

_NEARLY = 0.02
# Below this many bounds it may be a sum in an order that nobody foresaw, and no mistake to name.
_LEAST_BOUNDS = 16


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the expected output with a relative error, where one covers all that is wrong."""
    if evidence.is_integer:
        return
    bad, value, error = evidence.bad, evidence.expected.value, evidence.expected.error
    gap = np.abs(evidence.actual.astype(np.float64) - value)
    relative = gap[bad] / np.abs(value[bad])
    if not np.isfinite(relative).all() or relative.max() > _NEARLY:
        return
    if not (gap[bad] > _LEAST_BOUNDS * error[bad]).any():
        return
    says = (
        f"{evidence.buffer} is nearly right, off by up to {relative.max():.1g} of its value: "
        "a constant or an approximation is not accurate"
    )
    nearly = Bounded(value, np.where(bad, float(relative.max()) * np.abs(value), error))
    typical = float(np.median(np.abs(value[bad])))
    yield Hypothesis("inaccurate", says, nearly, LAST_RESORT + 1, 24.0, typical)
