"""What a diagnosis starts from, what it tries, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.layermap import Op
from nndbg.reference import Bounded, Format

AnyArray = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that is known of one wrong output.

    `inputs` are the op's parts as the reference took them, `shapes` how the map writes their
    shapes, `before` is the output before the op. `others` are all buffers (in their shapes) as they
    were before the op, `stale` as they were when the step began; `sizes` are the numbers that the
    map names. `memory` is the bytes around the buffers before the op, by first address, and
    `addresses` says where each buffer begins.
    """

    op: Op
    part: str
    buffer: str
    actual: AnyArray
    before: AnyArray
    expected: Bounded
    inputs: Mapping[str, AnyArray]
    shapes: Mapping[str, tuple[str | int, ...]]
    others: Mapping[str, AnyArray]
    stale: Mapping[str, AnyArray]
    sizes: Mapping[str, int]
    addresses: Mapping[str, int]
    memory: Mapping[int, memoryview]
    fmt: Format

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Which elements are beyond their bounds; a NaN always is."""
        return ~matches(self.actual, self.expected) | np.isnan(self.actual)

    def compute(self, **changed: AnyArray | Bounded) -> Bounded:
        """Return what the output would be with other parts in place of some of its inputs."""
        parts: dict[str, AnyArray | Bounded] = {**self.inputs, **changed}
        return self.op.kind.compute(parts, self.fmt, self.op.parameters)[self.part]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A mistake that would have made the output `predicted`; `says` tells it in one sentence.

    Lower `rank` is the simpler story, which is told first where two explain the same elements.
    """

    kind: str
    says: str
    predicted: Bounded
    rank: int = 5


@dataclass(frozen=True)
class Diagnosis:
    """A mistake that explains `explains` of the `of` wrong elements."""

    kind: str
    says: str
    explains: int
    of: int


Family = Callable[[Evidence], Iterable[Hypothesis]]


def matches(actual: AnyArray, predicted: Bounded) -> NDArray[np.bool_]:
    """Return which elements of `actual` lie within the bound of what was predicted.

    A NaN matches a predicted NaN: a mistake that makes NaN explains one.
    """
    numbers = actual.astype(np.float64)
    with np.errstate(invalid="ignore"):
        close = np.abs(numbers - predicted.value) <= predicted.error
    same = (numbers == predicted.value) | (np.isnan(numbers) & np.isnan(predicted.value))
    return np.where(np.isfinite(predicted.value) & np.isfinite(predicted.error), close, same)
