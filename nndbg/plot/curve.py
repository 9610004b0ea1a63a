"""Gathers the losses of many steps into as many columns as can be drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nndbg.plot.metrics import Epoch, Metrics, Step

_FEW = 32  # columns: a curve of fewer would have corners
_STEPS_PER_COLUMN = 8


@dataclass(frozen=True)
class Column:
    """Neighbouring steps: the middle of them, and the least, mean and largest of their losses.

    Losses that are not finite are left out; where none is left the three are NaN.
    """

    at: float
    low: float
    mean: float
    high: float

    @property
    def is_known(self) -> bool:
        """Whether a finite loss is in it."""
        return math.isfinite(self.mean)


def columns(steps: Sequence[Step], most: int) -> list[Column]:
    """The losses of `steps` in at most `most` columns of equally many steps, give or take one.

    A single batch says little of the loss, so where there are enough of them a column has several.
    """
    count = _count(len(steps), most)
    parts = np.array_split(np.arange(len(steps)), count) if steps else []
    return [_column([steps[i] for i in part]) for part in parts]


def _count(steps: int, most: int) -> int:
    return min(most, steps, max(_FEW, steps // _STEPS_PER_COLUMN))


def _column(steps: Sequence[Step]) -> Column:
    at = (steps[0].at + steps[-1].at) / 2
    losses = [step.loss for step in steps if math.isfinite(step.loss)]
    if not losses:
        return Column(at, math.nan, math.nan, math.nan)
    # Divided first: the sum of large losses may overflow.
    mean = math.fsum(loss / len(losses) for loss in losses)
    return Column(at, min(losses), mean, max(losses))


def known_runs(found: Sequence[Column]) -> list[list[Column]]:
    """The columns without those that are not known, which part them."""
    runs: list[list[Column]] = [[]]
    for column in found:
        if column.is_known:
            runs[-1].append(column)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def place_of(epoch: Epoch) -> float:
    """Where an epoch lies along the run: at its last step, or by its number."""
    return epoch.epoch if epoch.at is None else epoch.at


def span(metrics: Metrics) -> tuple[int, int]:
    """The first and the last step of the run, or epoch where no step was written."""
    if metrics.steps:
        return metrics.steps[0].at, metrics.steps[-1].at
    numbers = [epoch.epoch for epoch in metrics.epochs] or [0]
    return min(numbers), max(numbers)


def accuracies(metrics: Metrics) -> list[tuple[int, float]]:
    """The number and the test accuracy of each epoch that has one."""
    return [(e.epoch, e.test_accuracy) for e in metrics.epochs if e.test_accuracy is not None]


def in_words(metrics: Metrics, most: int) -> str:
    """What a column stands for when the steps are gathered into at most `most` of them."""
    count = len(metrics.steps)
    if not count:
        return "means of epochs"
    which = "step" if metrics.every == 1 else "written step"
    if metrics.every > 1:
        which = f"{metrics.every:,}th step"
    share = round(count / _count(count, most))
    if share > 1 and metrics.every == 1:
        return f"means of {share:,} steps"
    return f"every {which}" if share == 1 else f"means of {share:,}, every {which}"


def first_nonfinite(metrics: Metrics) -> str:
    """Where the loss was NaN or infinite first, in words; empty where it never was."""
    for step in metrics.steps:
        if not math.isfinite(step.loss):
            return f"The loss is {step.loss:g} first in step {step.step}, epoch {step.epoch}."
    for epoch in metrics.epochs:
        if not math.isfinite(epoch.loss):
            return f"The loss is {epoch.loss:g} first in epoch {epoch.epoch}."
    return ""
