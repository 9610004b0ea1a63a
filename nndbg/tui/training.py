"""How the training goes, from what the screen came by: loss, accuracy, and what is confused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.ledger import Observation

Counts = NDArray[np.int64]
# Parts of a kind: an op with the label of each sample and a number for each class tells what the
# program takes the samples for.
_LABELS, _SCORES = "y", ("p", "z")
_LOSS = "loss"
_MOST_CLASSES = 64


@dataclass(frozen=True, eq=False)
class Batch:
    """One step: its loss, and how often each label [row] was taken for each class [column].

    Either is None where the program has no op that tells.
    """

    loss: float | None = None
    confusion: Counts | None = None

    @property
    def accuracy(self) -> float | None:
        """Which share of the samples was taken for what it is."""
        if self.confusion is None or not self.confusion.sum():
            return None
        return float(np.trace(self.confusion) / self.confusion.sum())


@dataclass(frozen=True, eq=False)
class Training:
    """The steps that were judged since the screen opened, by number; a later run of one counts."""

    batches: Mapping[int, Batch] = field(default_factory=dict)

    @property
    def losses(self) -> list[tuple[int, float]]:
        """Step and loss, in order."""
        return [(at, b.loss) for at, b in sorted(self.batches.items()) if b.loss is not None]

    @property
    def accuracies(self) -> list[tuple[int, float]]:
        """Step and accuracy, in order."""
        found = [(at, b.accuracy) for at, b in sorted(self.batches.items())]
        return [(at, share) for at, share in found if share is not None]

    @property
    def confusion(self) -> Counts | None:
        """How often each label was taken for each class, in all of the steps."""
        counts = [b.confusion for b in self.batches.values() if b.confusion is not None]
        if not counts:
            return None
        classes = max(len(count) for count in counts)
        total = np.zeros((classes, classes), np.int64)
        for count in counts:
            total[: len(count), : len(count)] += count
        return total


class History:
    """Gathers the batches, as the ops come by."""

    def __init__(self) -> None:
        self._batches: dict[int, Batch] = {}

    def see(self, observation: Observation) -> None:
        """Note what an op tells of its batch, if it tells anything."""
        loss, counts = _loss(observation), _confusion(observation)
        if loss is None and counts is None:
            return
        before = self._batches.get(observation.step, Batch())
        self._batches[observation.step] = Batch(
            before.loss if loss is None else loss,
            before.confusion if counts is None else counts,
        )

    @property
    def training(self) -> Training:
        """What was gathered until now."""
        return Training(dict(self._batches))


def _loss(observation: Observation) -> float | None:
    buffer = observation.op.outputs.get(_LOSS)
    flat = observation.capture.flat.get(buffer) if buffer is not None else None
    if flat is None or not flat.size or not observation.expected:
        return None
    # Of single samples' losses the mean is the batch's.
    return float(np.mean(flat, dtype=np.float64))


def _confusion(observation: Observation) -> Counts | None:
    labels = observation.inputs.get(_LABELS)
    scores = next((s for n in _SCORES if (s := observation.inputs.get(n)) is not None), None)
    if labels is None or scores is None or scores.ndim != 2 or labels.shape != scores.shape[:1]:
        return None
    return confusion(labels, scores)


def confusion(labels: NDArray[Any], scores: NDArray[Any]) -> Counts | None:
    """Count labels y[n] against the largest of the scores [n, c]; None beyond 64 classes.

    A label that names no class is left out, and so is a sample with a NaN among its scores.
    """
    classes = scores.shape[1]
    if not 1 < classes <= _MOST_CLASSES:
        return None
    known = (labels >= 0) & (labels < classes) & ~np.isnan(scores).any(axis=1)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels[known].astype(np.intp), scores[known].argmax(axis=1)), 1)
    return counts
