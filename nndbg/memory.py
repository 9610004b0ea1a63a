"""Keeps the memory that arrays leave behind, for the arrays to come."""

from __future__ import annotations

import ctypes

# Parameters of mallopt, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

_LARGEST_KEPT = 32 << 20
_KEPT = 128 << 20


def keep_freed_memory() -> bool:
    """Let glibc keep up to 128 MB that were freed; returns whether it does.

    It gives large arrays back to the system at once, and a page that comes anew costs more than all
    that is done with its numbers: microseconds in a virtual machine. Another C library is left as
    it is. Source: mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT) and mallopt(_M_TRIM_THRESHOLD, _KEPT)
    )
