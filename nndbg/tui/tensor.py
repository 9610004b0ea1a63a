"""One buffer beside its reference, as rows and columns of numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.compare import Element, Mode, Subject, Verdict, judge, wrong_elements
from nndbg.layermap import Buffer
from nndbg.ledger import Observation
from nndbg.reference import Bounded

_ONE = Subject(step=0, op="", kind="", buffer="", mode=Mode.LOCAL)


@dataclass(frozen=True, eq=False)
class Tensor:
    """A buffer after an op: its numbers, the reference's, and which are wrong.

    All arrays are [rows, columns]: the last axis across, all axes before it down; a vector is one
    column. `expected` is None where the reference has nothing to say.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    actual: NDArray[Any]
    expected: Bounded | None
    wrong: NDArray[np.bool_]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.actual.shape[0])

    @property
    def columns(self) -> int:
        """How many columns there are."""
        return int(self.actual.shape[1])

    def index(self, row: int, column: int) -> tuple[int, ...]:
        """Return the index in the buffer's own shape."""
        at = np.unravel_index(row * self.columns + column, self.shape) if self.shape else ()
        return tuple(int(i) for i in at)

    def place(self, index: tuple[int, ...]) -> tuple[int, int]:
        """Return row and column of an index; the nearest ones where it lies outside."""
        if not self.shape:
            return 0, 0
        inside = tuple(min(i, n - 1) for i, n in zip(index, self.shape, strict=True))
        row, column = divmod(int(np.ravel_multi_index(inside, self.shape)), self.columns)
        return row, column

    def row_label(self, row: int) -> str:
        """Return the index of a row: of all axes but the last, or of a vector's only one."""
        index = self.index(row, 0)
        return ",".join(map(str, index if len(index) < 2 else index[:-1]))

    def element(self, row: int, column: int) -> Element | None:
        """Return one element judged alone, None where there is no reference."""
        if self.expected is None:
            return None
        index = self.index(row, column)
        value, error = self.expected.value[row, column], self.expected.error[row, column]
        one = self.actual[row : row + 1, column]
        alone = judge(_ONE, one, one, Bounded(np.array([value]), np.array([error]))).worst
        if alone is not None:
            return replace(alone, index=index)
        return Element(index, float(one[0]), float(value), float(error), None)

    def difference(self, row: int, column: int) -> float:
        """Return actual minus reference; NaN where there is no reference."""
        if self.expected is None:
            return float("nan")
        actual, expected = float(self.actual[row, column]), float(self.expected.value[row, column])
        return 0.0 if actual == expected else actual - expected

    @cached_property
    def largest(self) -> float:
        """The largest finite magnitude on either side."""
        sides = [self.actual] if self.expected is None else [self.actual, self.expected.value]
        tops = [np.abs(s[np.isfinite(s)].astype(np.float64)).max(initial=0.0) for s in sides]
        return float(max(tops))

    @cached_property
    def _wrong_places(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.wrong)

    def next_wrong(self, row: int, column: int, forward: bool = True) -> tuple[int, int] | None:
        """Return the wrong element after, or before, a place; around the end to the other one."""
        places = self._wrong_places
        if not places.size:
            return None
        here = row * self.columns + column
        at = (
            np.searchsorted(places, here, "right")
            if forward
            else np.searchsorted(places, here, "left") - 1
        )
        found = divmod(int(places[int(at) % places.size]), self.columns)
        return found[0], found[1]


def tensor(observation: Observation, buffer: Buffer) -> Tensor | None:
    """Return `buffer` as `observation` has it, None where the program has none (a null pointer)."""
    capture = observation.capture
    if buffer.name not in capture.flat:
        return None
    actual = capture.shaped(buffer)
    if actual.size == 0:
        return None
    flat = actual.reshape(-1, actual.shape[-1] if actual.ndim > 1 else 1)
    expected = observation.expected.get(buffer.name)
    if expected is not None:
        expected = _reshaped(expected, flat.shape)
    found = Tensor(
        name=buffer.name,
        dtype=buffer.dtype,
        shape=actual.shape,
        actual=flat,
        expected=expected,
        wrong=np.zeros(flat.shape, np.bool_)
        if expected is None
        else wrong_elements(flat, expected)[0],
    )
    return found if expected is not None else _marked(found, observation)


def verdict_on(observation: Observation, buffer: str) -> Verdict | None:
    """Return the verdict on `buffer`; of several a local one, of those one that is wrong."""
    found = [v for v in observation.verdicts if v.subject.buffer == buffer]
    return min(
        found,
        key=lambda v: (v.subject.mode is not Mode.LOCAL, not v.status.is_wrong),
        default=None,
    )


def _marked(unreferenced: Tensor, observation: Observation) -> Tensor:
    """Mark the element that a verdict names, where the reference has no numbers for the others."""
    verdict = verdict_on(observation, unreferenced.name)
    if verdict is not None and verdict.status.is_wrong and verdict.worst is not None:
        unreferenced.wrong[unreferenced.place(verdict.worst.index)] = True
    return unreferenced


def _reshaped(expected: Bounded, shape: tuple[int, ...]) -> Bounded:
    integers = expected.integers
    return Bounded(
        expected.value.reshape(shape),
        expected.error.reshape(shape),
        None if integers is None else integers.reshape(shape),
    )
