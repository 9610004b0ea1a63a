"""What a program would have read: numbers at any address near the buffers, as they lay there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

AnyArray = NDArray[Any]


class Image:
    """The bytes around the buffers, by first address."""

    def __init__(self, memory: Mapping[int, memoryview]) -> None:
        self._starts = sorted(memory)
        self._bytes = [np.frombuffer(memory[start], np.uint8) for start in self._starts]

    def read(self, address: int, count: int, dtype: np.dtype[Any]) -> AnyArray:
        """Return `count` elements from `address` on; where nothing is known NaN, or 0 for integers.

        Elements need not be aligned.
        """
        unknown = np.full(count, np.nan if dtype.kind == "f" else 0, dtype)
        at = bisect_right(self._starts, address) - 1
        if at < 0:
            return unknown
        offset = address - self._starts[at]
        known = max(0, min(count, (self._bytes[at].size - offset) // dtype.itemsize))
        if known:
            unknown[:known] = np.frombuffer(
                self._bytes[at][offset : offset + known * dtype.itemsize].tobytes(), dtype
            )
        return unknown

    def rows(
        self,
        address: int,
        shape: tuple[int, ...],
        stride: int,
        dtype: np.dtype[Any],
        step: int = 1,
    ) -> AnyArray:
        """Return a matrix whose rows lie `stride` elements apart, and its elements `step`."""
        rows, columns = shape
        flat = self.read(address, max((rows - 1) * stride + (columns - 1) * step + 1, 0), dtype)
        at = np.arange(rows)[:, None] * stride + step * np.arange(columns)
        taken: AnyArray = flat[at]
        return taken
