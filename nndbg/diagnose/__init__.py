"""Which mistake explains a wrong output: hypotheses are computed and tested against the numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nndbg.diagnose import (
    accumulators,
    accuracy,
    activation,
    contraction,
    dimensions,
    encoding,
    gathering,
    labels,
    nonfinite,
    operands,
    outcome,
    scaling,
    strays,
)
from nndbg.diagnose.chance import is_no_chance, typical_gap
from nndbg.diagnose.model import (
    LAST_RESORT,
    Diagnosis,
    Evidence,
    Family,
    Hypothesis,
    matches,
)
from nndbg.diagnose.sample import Sample
from nndbg.reference import Bounded
from nndbg.reference.bounded import BoundError

FAMILIES: tuple[Family, ...] = (
    outcome.hypotheses,
    activation.hypotheses,
    contraction.hypotheses,
    operands.hypotheses,
    dimensions.hypotheses,
    gathering.hypotheses,
    labels.hypotheses,
    accumulators.hypotheses,
    scaling.hypotheses,
    encoding.hypotheses,
    nonfinite.hypotheses,
    accuracy.hypotheses,
)

_MOST_SHOWN = 3


def diagnose(evidence: Evidence) -> tuple[Diagnosis, ...]:
    """Return the mistakes that explain the wrong elements, the best first.

    Where several explain the same ones, those that also give the right elements come first, then
    the simpler ones; a story that is worse than the best in any of this is not told, and neither is
    one that explains no more than chance would.
    """
    bad = evidence.bad
    wrong = int(np.count_nonzero(bad))
    if not wrong:
        return ()
    gap = typical_gap(evidence, bad)
    found: list[tuple[tuple[bool, int, int, int], Diagnosis]] = []
    for hypothesis, predicted in _predictions(evidence):
        met = matches(evidence.actual, predicted)
        if not is_no_chance(evidence, hypothesis, predicted, bad, met, gap):
            continue
        explained = int(np.count_nonzero(bad & met))
        merit = (
            hypothesis.rank >= LAST_RESORT,
            -explained,
            -int(np.count_nonzero(met)),
            hypothesis.rank,
        )
        found.append((merit, Diagnosis(hypothesis.kind, hypothesis.says, explained, wrong)))
    found.sort(key=lambda entry: entry[0])
    best = {d.kind: d for merit, d in reversed(found) if merit == found[0][0]}
    return tuple(reversed(best.values()))[:_MOST_SHOWN]


def _predictions(evidence: Evidence) -> Iterator[tuple[Hypothesis, Bounded]]:
    """Yield every hypothesis with what it predicts, but for those that a sample refutes."""
    with np.errstate(all="ignore"):
        sample = Sample(evidence)
        for family in FAMILIES if evidence.part else (strays.hypotheses,):
            try:
                for hypothesis in family(evidence):
                    predicted = hypothesis.predicted
                    if not isinstance(predicted, Bounded):
                        if sample.refutes(predicted):
                            continue
                        predicted = evidence.compute(**predicted)
                    if predicted.shape == evidence.actual.shape:
                        yield hypothesis, predicted
            except BoundError:
                continue


def not_reached(op: str, step: int, elements: int) -> Diagnosis:
    """Return the diagnosis of an output whose op never came to its boundary."""
    says = f"{op} was left out of step {step}, or left before its end"
    return Diagnosis("not_reached", says, elements, elements)


__all__ = ["Diagnosis", "Evidence", "diagnose", "not_reached"]
