"""Which mistake explains a wrong output: hypotheses are computed and tested against the numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nndbg.diagnose import (
    accumulators,
    accuracy,
    contraction,
    dimensions,
    gathering,
    labels,
    nonfinite,
    operands,
    outcome,
    scaling,
)
from nndbg.diagnose.model import Diagnosis, Evidence, Family, Hypothesis, matches
from nndbg.reference import Bounded
from nndbg.reference.bounded import BoundError

Mask = NDArray[np.bool_]

FAMILIES: tuple[Family, ...] = (
    outcome.hypotheses,
    contraction.hypotheses,
    operands.hypotheses,
    dimensions.hypotheses,
    gathering.hypotheses,
    labels.hypotheses,
    accumulators.hypotheses,
    scaling.hypotheses,
    nonfinite.hypotheses,
    accuracy.hypotheses,
)

# A story that explains less than this share of the wrong elements is not the one to follow...
_LEAST_SHARE = 0.5
# ...unless it gives so many different numbers exactly: that is no chance either.
_LEAST_DISTINCT = 16
_MOST_SHOWN = 3
# A prediction this much wider than the numbers it is about says nothing.
_WIDEST = 0.05


def diagnose(evidence: Evidence) -> tuple[Diagnosis, ...]:
    """Return the mistakes that explain most of the wrong elements, the best first.

    Where several explain the same ones, those that also give the right elements come first, then
    the simpler ones; a story that is worse than the best in any of this is not told. A hypothesis
    whose bound is as wide as the numbers themselves explains them by chance, and is left out.
    """
    bad = evidence.bad
    wrong = int(np.count_nonzero(bad))
    if not wrong:
        return ()
    found: list[tuple[tuple[int, int, int], Diagnosis]] = []
    for hypothesis in _hypotheses(evidence):
        predicted = hypothesis.predicted
        if predicted.shape != evidence.actual.shape or _is_vague(predicted, bad):
            continue
        met = matches(evidence.actual, predicted)
        explained = int(np.count_nonzero(bad & met))
        if explained < _LEAST_SHARE * wrong and not _is_no_chance(predicted, bad & met):
            continue
        merit = (-explained, -int(np.count_nonzero(met)), hypothesis.rank)
        found.append((merit, Diagnosis(hypothesis.kind, hypothesis.says, explained, wrong)))
    found.sort(key=lambda entry: entry[0])
    best = {d.kind: d for merit, d in reversed(found) if merit == found[0][0]}
    return tuple(reversed(best.values()))[:_MOST_SHOWN]


def _hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    for family in FAMILIES:
        try:
            with np.errstate(all="ignore"):
                yield from family(evidence)
        except BoundError:
            continue


def _is_vague(predicted: Bounded, bad: Mask) -> bool:
    value, error = predicted.value[bad], predicted.error[bad]
    finite = np.isfinite(value) & np.isfinite(error)
    if not finite.any():
        return False
    typical = float(np.abs(value[finite]).mean())
    return typical > 0 and float(np.median(error[finite])) > _WIDEST * typical


def _is_no_chance(predicted: Bounded, explained: Mask) -> bool:
    return len(np.unique(predicted.value[explained])) >= _LEAST_DISTINCT


__all__ = ["Diagnosis", "Evidence", "diagnose"]
