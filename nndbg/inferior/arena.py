"""Memory for captures, used again once nobody looks at what was captured into it.

A page that comes anew from the kernel costs more than filling it. The blocks are shared mappings:
a child that was forked sees them as they are, and neither side pays for copies.
"""

from __future__ import annotations

import mmap
import sys

# The list of blocks, the loop's own name for one, and the argument of getrefcount.
_FREE = 3


class Arena:
    """Blocks by size. A block is in use as long as an array or a memoryview shows it."""

    def __init__(self) -> None:
        self._blocks: dict[int, list[mmap.mmap]] = {}

    def take(self, size: int) -> mmap.mmap:
        """Return a block of `size` bytes, at least one, whatever they hold."""
        blocks = self._blocks.setdefault(size, [])
        for block in blocks:
            if sys.getrefcount(block) == _FREE:
                return block
        blocks.append(mmap.mmap(-1, size))
        return blocks[-1]
