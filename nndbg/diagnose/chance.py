"""Whether a story explains more than chance would: counted in bits."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nndbg.diagnose.model import Evidence, Hypothesis
from nndbg.reference import Bounded
from nndbg.reference.bounded import Array

Mask = NDArray[np.bool_]

# A story has to be told in this many bits less than the numbers that it explains.
_LEAST_BITS = 6.0
# Choosing a story among those that are tried: the simpler ones are fewer.
_STORY_BITS = 4.0
# What is left to explain of a number by chance is never less than this share of it.
_FINEST = 2.0**-24
# With fewer different numbers than this a share of them is met by chance, or by another mistake.
_FEW = 16
_NEARLY_ALL = 0.9
_HALF = 0.5


def typical_gap(evidence: Evidence, bad: Mask) -> float:
    """Return how far a wrong element typically lies from its reference; 0 where none is finite."""
    gaps = np.abs(evidence.actual[bad].astype(np.float64) - evidence.expected.value[bad])
    gaps = gaps[np.isfinite(gaps)]
    return float(np.median(gaps)) if gaps.size else 0.0


def is_no_chance(
    evidence: Evidence,
    hypothesis: Hypothesis,
    predicted: Bounded,
    bad: Mask,
    met: Mask,
    gap: float,
) -> bool:
    """Return whether the wrong elements that were predicted are too many to be so by luck.

    A number by chance lies anywhere within `gap` of its reference, so it meets an interval of width
    2 e with probability 2 e / gap: each element explained is worth the logarithm of that. Paid for
    are the choice of the story, what it was fitted with, and which elements it leaves out.
    """
    explained = bad & met
    count, wrong = int(np.count_nonzero(explained)), int(np.count_nonzero(bad))
    if not count:
        return False
    share = count / wrong
    if share < _NEARLY_ALL:
        distinct = len(np.unique(predicted.value[explained]))
        if distinct < (_FEW if share >= _HALF else max(_FEW, count // 4)):
            return False
    bits = -np.log2(_likelihood(evidence, predicted, explained, hypothesis.spread or gap))
    cost = _STORY_BITS + hypothesis.rank + hypothesis.freedom + wrong * _entropy(share)
    return float(bits.sum()) - cost >= _LEAST_BITS


def _likelihood(evidence: Evidence, predicted: Bounded, explained: Mask, spread: float) -> Array:
    """Return, per explained element, the probability of meeting it by chance."""
    if evidence.expected.integers is not None:
        known = np.union1d(evidence.actual, evidence.expected.integers)
        span = float(known[-1]) - float(known[0]) + 1
        return np.full(np.count_nonzero(explained), 1 / max(span, 2.0))
    value, error = predicted.value[explained], predicted.error[explained]
    width = 2 * np.maximum(error, evidence.fmt.unit * np.abs(value))
    relative = width / spread if spread > 0 else np.full(value.shape, _FINEST)
    return np.clip(np.where(np.isfinite(value), relative, _FINEST), _FINEST, 1.0)


def _entropy(share: float) -> float:
    """Return how many bits an element costs of which it must be said whether it is explained."""
    if share in (0.0, 1.0):
        return 0.0
    return -share * math.log2(share) - (1 - share) * math.log2(1 - share)
