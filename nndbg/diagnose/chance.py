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
_LEAST_BITS = 5.0
# Choosing a story among those that are tried: the simpler ones are fewer.
_STORY_BITS = 4.0
# What is left to explain of a number by chance is never less than this share of it.
_FINEST = 2.0**-24
# A story that explains less than this share is beside the point.
_LEAST_SHARE = 0.25
# What was fitted to the numbers has to fit most of them.
_LEAST_FITTED = 0.75
# With fewer different numbers than this a share of them is met by chance, or by another mistake.
_FEW = 16
_NEARLY_ALL = 0.9
_HALF = 0.5


def is_no_chance(
    evidence: Evidence,
    hypothesis: Hypothesis,
    predicted: Bounded,
    bad: Mask,
    met: Mask,
) -> bool:
    """Return whether the wrong elements that were predicted are too many to be so by luck.

    An element that is off by d might by chance lie anywhere up to d from its reference, so it meets
    an interval of +-e with probability e / d: each element explained is worth the logarithm of
    that. Paid for are the choice of the story, what it was fitted with, and which elements it
    leaves out.
    """
    explained = bad & met
    count, wrong = int(np.count_nonzero(explained)), int(np.count_nonzero(bad))
    if not count:
        return False
    share = count / wrong
    if share < (_LEAST_FITTED if hypothesis.freedom else _LEAST_SHARE):
        return False
    if share < _NEARLY_ALL:
        # What is told of the whole op, and fails here, must not be false of much that is right.
        false = ~bad & ~met & np.isfinite(predicted.value)
        if not hypothesis.is_local and 2 * np.count_nonzero(false) > count:
            return False
        distinct = len(np.unique(predicted.value[explained]))
        if distinct < (_FEW if share >= _HALF else max(_FEW, count // 4)):
            return False
    bits = -np.log2(_likelihood(evidence, predicted, explained, hypothesis.spread))
    cost = _STORY_BITS + hypothesis.rank + hypothesis.freedom + wrong * _entropy(share)
    return float(bits.sum()) - cost >= _LEAST_BITS


def _likelihood(
    evidence: Evidence, predicted: Bounded, explained: Mask, spread: float | None
) -> Array:
    """Return, per explained element, the probability of meeting it by chance."""
    if evidence.expected.integers is not None:
        known = np.union1d(evidence.actual, evidence.expected.integers)
        span = float(known[-1]) - float(known[0]) + 1
        return np.full(np.count_nonzero(explained), 1 / max(span, 2.0))
    value, error = predicted.value[explained], predicted.error[explained]
    width = np.maximum(error, evidence.fmt.unit * np.abs(value))
    off = np.abs(evidence.actual[explained].astype(np.float64) - evidence.expected.value[explained])
    share = width / (off if spread is None else spread)
    return np.clip(np.where(np.isfinite(share), share, _FINEST), _FINEST, 1.0)


def _entropy(share: float) -> float:
    """Return how many bits an element costs of which it must be said whether it is explained."""
    if share in (0.0, 1.0):
        return 0.0
    return -share * math.log2(share) - (1 - share) * math.log2(1 - share)
