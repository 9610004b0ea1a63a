"""Sums that begin with what another sum left: accumulators that are not cleared, or are lost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nndbg.diagnose.image import Image
from nndbg.diagnose.model import LAST_RESORT, Evidence, Hypothesis, matches
from nndbg.diagnose.outcome import shift
from nndbg.reference import Bounded
from nndbg.reference.bounded import Array, rounded

_WIDTHS = (1, 2, 4, 6, 8, 12, 16, 32, 64)
_VECTORS = (16, 8, 4)
_ROW_REDUCTIONS = ("softmax",)


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the output with the sum of the tile before added, and rows with one factor each."""
    if evidence.is_integer or not evidence.actual.ndim:
        return
    yield from _tile_before_added(evidence)
    if evidence.op.kind.name in _ROW_REDUCTIONS:
        yield from _sum_goes_on(evidence)
        yield from _sum_runs_past_the_row(evidence)
        yield from _row_factors(evidence)


def _tile_before_added(evidence: Evidence) -> Iterator[Hypothesis]:
    actual, expected = evidence.actual.astype(np.float64), evidence.expected
    row = actual.shape[-1]
    steps = [(width, _counted(width, "column")) for width in _WIDTHS if width < row]
    if actual.ndim == 2:
        steps += [(rows * row, _counted(rows, "row")) for rows in _WIDTHS[:6]]
    for distance, words in steps:
        if distance >= actual.size:
            continue
        added = shift(actual, -distance)
        predicted = rounded(expected.value + added, 2 * expected.error, evidence.fmt, 4)
        says = f"the sum {words} before is added: an accumulator is not cleared between tiles"
        yield Hypothesis("accumulator_not_cleared", says, predicted, 2, is_local=True)


def _sum_goes_on(evidence: Evidence) -> Iterator[Hypothesis]:
    z = evidence.inputs["z"].astype(np.float64)
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    value = powers / np.cumsum(powers.sum(axis=1))[:, None]
    error = evidence.expected.error * len(z) + 1e-5 * value
    says = "the sum of the exponentials goes on from row to row: it is not cleared"
    yield Hypothesis("accumulator_not_cleared", says, Bounded(value, error), 1)


def _sum_runs_past_the_row(evidence: Evidence) -> Iterator[Hypothesis]:
    """Whole vectors are summed, and behind a row lies what the next one held before the op."""
    z = evidence.inputs["z"].astype(np.float64)
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    rows, columns = z.shape
    old = (
        Image(evidence.memory)
        .rows(
            evidence.addresses[evidence.buffer],
            (rows, columns + _VECTORS[0]),
            columns,
            evidence.actual.dtype,
        )
        .astype(np.float64)
    )
    for extra in dict.fromkeys(-columns % width for width in _VECTORS):
        if not extra:
            continue
        behind = old[:, columns : columns + extra].sum(axis=1)
        value = powers / (powers.sum(axis=1) + behind)[:, None]
        error = 2 * evidence.expected.error + 8 * evidence.fmt.unit * value
        says = (
            f"the sum of a row runs over {columns + extra} numbers instead of {columns}: "
            f"{extra} of the next row are added, as they were before"
        )
        yield Hypothesis("terms_too_many", says, Bounded(value, error), 1)


def _row_factors(evidence: Evidence) -> Iterator[Hypothesis]:
    """A row that is right but for one factor has a wrong sum, or a wrong maximum."""
    actual, value = evidence.actual.astype(np.float64), evidence.expected.value
    bad = ~matches(evidence.actual, evidence.expected)
    largest = np.argmax(value, axis=1)
    rows = np.arange(len(value))
    factor: Array = actual[rows, largest] / value[rows, largest]
    predicted = Bounded(
        value * factor[:, None],
        (evidence.expected.error + 2e-6 * value) * np.abs(factor[:, None]) * 2,
    )
    sums = actual.sum(axis=1)
    odd = np.abs(sums - 1) > 1e-4
    if np.count_nonzero(odd & bad.any(axis=1)) * 2 < np.count_nonzero(bad.any(axis=1)):
        return
    row = int(np.argmax(odd))
    says = (
        "each row is right but for one factor, and does not add up to 1 "
        f"(row {row}: {sums[row]:.4g}): the sum or the maximum is lost"
    )
    yield Hypothesis("row_scale", says, predicted, LAST_RESORT, 24.0 * len(rows))


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count > 1 else ''}"
