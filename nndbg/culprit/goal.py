"""What a run of an op has to come to: its outputs as the reference has them, all else untouched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.compare import wrong_elements
from nndbg.inferior.memory import copy_from, gather_from
from nndbg.reference import Bounded

_SAMPLE = 64


@dataclass(frozen=True, eq=False)
class Output:
    """An output that is to agree with `expected`; `address` as loaded."""

    name: str
    address: int
    dtype: np.dtype[Any]
    expected: Bounded

    def wrong(self, pid: int) -> NDArray[np.bool_] | None:
        """Return which elements are wrong in a process, in one dimension."""
        array = np.empty(self.expected.shape, self.dtype)
        if not copy_from(pid, self.address, array):
            return None
        with np.errstate(invalid="ignore"):
            return np.ravel(wrong_elements(array, self.expected)[0])


@dataclass(frozen=True, eq=False)
class Kept:
    """Bytes that are to be one of these afterwards."""

    address: int
    allowed: tuple[NDArray[np.uint8], ...]

    def is_kept(self, pid: int) -> bool:
        """Whether they are, in a process."""
        array = np.empty_like(self.allowed[0])
        return copy_from(pid, self.address, array) and any(
            np.array_equal(array, allowed) for allowed in self.allowed
        )


class Goal:
    """Judges how a process stands at the op's end, by what `unchanged` processes came to there."""

    def __init__(self, outputs: Sequence[Output], kept: Sequence[Kept]) -> None:
        self._outputs = outputs
        self._kept = kept
        self.elements = sum(int(np.prod(output.expected.shape)) for output in outputs)
        self._samples: list[tuple[Output, Bounded, NDArray[np.uint64], int]] = []

    def learn(self, pid: int | None) -> int:
        """Take note of what is wrong without a change; returns how many elements, or buffers.

        None of a process stands for one that never came to the op's end.
        """
        total = 0
        for output in self._outputs:
            wrong = output.wrong(pid) if pid is not None else None
            if wrong is None:
                wrong = np.ones(int(np.prod(output.expected.shape)), bool)
            total += int(np.count_nonzero(wrong))
            at = np.flatnonzero(wrong)
            some = at[np.linspace(0, len(at) - 1, min(len(at), _SAMPLE)).astype(int)].astype(
                np.uint64
            )
            expected = output.expected
            small = Bounded(
                np.ravel(expected.value)[some],
                np.ravel(expected.error)[some],
                None if expected.integers is None else np.ravel(expected.integers)[some],
            )
            self._samples.append((output, small, some, int(np.count_nonzero(wrong))))
        if pid is not None:
            total += sum(not kept.is_kept(pid) for kept in self._kept)
        return total

    def wrong(self, pid: int) -> float:
        """Return how many elements are wrong in a process; infinite where it spoils others.

        Where not one of a sample of the wrong ones has become right, it is as many as before.
        """
        total = 0
        for output, small, some, before in self._samples:
            if len(some):
                seen = np.empty(len(some), output.dtype)
                if not gather_from(pid, some * output.dtype.itemsize + output.address, seen):
                    return np.inf
                with np.errstate(invalid="ignore"):
                    if wrong_elements(seen, small)[0].all():
                        total += before
                        continue
                if (wrong := output.wrong(pid)) is None:
                    return np.inf
                total += int(np.count_nonzero(wrong))
        if total:
            return total
        if any(wrong is None or wrong.any() for wrong in (o.wrong(pid) for o in self._outputs)):
            return np.inf
        return total if all(kept.is_kept(pid) for kept in self._kept) else np.inf
