"""Which mistake explains a wrong output: hypotheses are computed and tested against the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
    reduction,
    scaling,
    strays,
)
from nndbg.diagnose.chance import is_no_chance
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

# Each with the rank of its simplest story: once one explains everything, dearer ones are not tried.
FAMILIES: tuple[tuple[int, Family], ...] = (
    (0, nonfinite.hypotheses),
    (0, operands.orders),
    (0, outcome.hypotheses),
    (1, activation.hypotheses),
    (1, gathering.hypotheses),
    (1, labels.hypotheses),
    (1, accumulators.hypotheses),
    (1, scaling.hypotheses),
    (1, contraction.hypotheses),
    (1, operands.hypotheses),
    (1, reduction.hypotheses),
    (2, dimensions.hypotheses),
    (2, encoding.hypotheses),
    (LAST_RESORT, accuracy.hypotheses),
)
STRAYS: tuple[tuple[int, Family], ...] = ((0, strays.hypotheses),)

_MOST_SHOWN = 3


@dataclass(frozen=True)
class _Story:
    """A diagnosis and how good it is: smaller is better."""

    merit: tuple[bool, int, float, int]
    diagnosis: Diagnosis


def diagnose(evidence: Evidence) -> tuple[Diagnosis, ...]:
    """Return the mistakes that explain the wrong elements, the best first.

    Where several explain the same ones, those that also give the right elements come first, then
    the simpler ones; a story that is worse than the best in any of this is not told, and neither is
    one that explains no more than chance would.
    """
    bad = evidence.bad
    wrong, size = int(np.count_nonzero(bad)), bad.size
    if not wrong:
        return ()
    found: list[_Story] = []
    # The rank of the simplest story that leaves nothing open; none that is dearer can be better.
    enough = LAST_RESORT + LAST_RESORT
    with np.errstate(all="ignore"):
        # Where nothing was NaN before, a story that predicts one has read beyond what is known.
        is_clean = _is_clean(evidence)
        sample = Sample(evidence, bad)
        for least, family in FAMILIES if evidence.part else STRAYS:
            if least > enough or (least == enough and least):
                continue
            for hypothesis in _of(family, evidence):
                if hypothesis.rank > enough:
                    continue
                predicted = _predicted(hypothesis, evidence, sample)
                if predicted is None or predicted.shape != evidence.actual.shape:
                    continue
                met = matches(evidence.actual, predicted)
                if is_clean and family is not nonfinite.hypotheses:
                    met &= ~np.isnan(evidence.actual)
                if not is_no_chance(evidence, hypothesis, predicted, bad, met):
                    continue
                explained = int(np.count_nonzero(bad & met))
                right = size - wrong + explained
                if not hypothesis.is_local:
                    right = int(np.count_nonzero(met))
                rank = hypothesis.rank
                # A few of the right elements may hang on what nobody knows, at the end of a table.
                merit = (rank >= LAST_RESORT, -explained, -round(right / size, 3), rank)
                diagnosis = Diagnosis(hypothesis.kind, hypothesis.says, explained, wrong)
                found.append(_Story(merit, diagnosis))
                if right == size:
                    enough = min(enough, rank)
    found.sort(key=lambda story: story.merit)
    best = {s.diagnosis.kind: s.diagnosis for s in reversed(found) if s.merit == found[0].merit}
    return tuple(reversed(best.values()))[:_MOST_SHOWN]


def _is_clean(evidence: Evidence) -> bool:
    arrays = (*evidence.inputs.values(), *evidence.others.values(), evidence.before)
    return all(np.isfinite(a).all() for a in arrays if a.dtype.kind == "f")


def _of(family: Family, evidence: Evidence) -> Iterator[Hypothesis]:
    try:
        yield from family(evidence)
    except BoundError:
        return


def _predicted(hypothesis: Hypothesis, evidence: Evidence, sample: Sample) -> Bounded | None:
    """Return what a hypothesis predicts, None where a sample refutes it or no bound holds."""
    predicted = hypothesis.predicted
    try:
        if isinstance(predicted, Mapping):
            return None if sample.refutes(predicted) else evidence.compute(**predicted)
        return predicted() if callable(predicted) else predicted
    except BoundError:
        return None


def not_reached(op: str, step: int, elements: int) -> Diagnosis:
    """Return the diagnosis of an output whose op never came to its boundary."""
    says = f"{op} was left out of step {step}, or left before its end"
    return Diagnosis("not_reached", says, elements, elements)


__all__ = ["Diagnosis", "Evidence", "diagnose", "not_reached"]
