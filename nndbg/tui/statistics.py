"""What the numbers of a buffer are like: their statistics, and how they are spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.tui.tensor import Tensor


@dataclass(frozen=True)
class Statistics:
    """The numbers of an array; the figures from `least` on are of the finite ones, NaN of none."""

    count: int
    zeros: int
    nans: int
    infinities: int
    least: float
    median: float
    largest: float
    mean: float
    deviation: float


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many finite numbers lie between neighbouring `edges`; exact zeros are not counted.

    `expected` counts the reference's, None where there is none. `left_out` are the zeros.
    """

    edges: NDArray[np.float64]
    actual: NDArray[np.int64]
    expected: NDArray[np.int64] | None
    left_out: int


def statistics(values: NDArray[Any]) -> Statistics:
    """Return the statistics of an array of any shape, computed in float64."""
    numbers = np.asarray(values, np.float64).reshape(-1)
    finite = numbers[np.isfinite(numbers)]
    some = finite if finite.size else np.array([np.nan])
    with np.errstate(all="ignore"):
        return Statistics(
            count=numbers.size,
            zeros=int(np.count_nonzero(numbers == 0)),
            nans=int(np.count_nonzero(np.isnan(numbers))),
            infinities=int(np.count_nonzero(np.isinf(numbers))),
            least=float(some.min()),
            median=float(np.median(some)),
            largest=float(some.max()),
            mean=float(some.mean()),
            deviation=float(some.std()),
        )


def histogram(tensor: Tensor, bins: int) -> Histogram | None:
    """Return at most `bins` bins over what both sides span, None where no number is to be counted.

    Exact zeros, of which a ReLU or a mask leaves so many, would flatten the rest.
    """
    sides = [_counted(tensor.actual)]
    if tensor.expected is not None:
        sides.append(_counted(tensor.expected.value))
    together = np.concatenate(sides)
    if not together.size:
        return None
    low, high = float(together.min()), float(together.max())
    if not np.isfinite(high - low):
        return None
    if low == high:
        low, high = low - abs(low) / 2, high + abs(high) / 2
    edges = np.linspace(low, high, bins + 1)
    counts = [np.histogram(side, edges)[0].astype(np.int64) for side in sides]
    zeros = int(np.count_nonzero(np.asarray(tensor.actual) == 0))
    return Histogram(edges, counts[0], counts[1] if len(counts) > 1 else None, zeros)


def _counted(values: NDArray[Any]) -> NDArray[np.float64]:
    numbers = np.asarray(values, np.float64).reshape(-1)
    return np.asarray(numbers[np.isfinite(numbers) & (numbers != 0)])
