"""Vector and mask registers as the kernel has them, which is more than GDB 13 knows of.

Where the processor has AMX, GDB 13 reads zero for masks and the upper halves of zmm registers: it
takes their places in the XSAVE area from another processor. Source: Intel SDM, volume 1, section
13.4 (the standard format), and volume 2, CPUID leaf 0DH, which says where each component lies.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from contextlib import closing
from functools import cache

import numpy as np

from nndbg.inferior.ptrace import request

# Source: <sys/ptrace.h>, <linux/elf.h>.
_GETREGSET, _XSTATE = 0x4204, 0x202
_SSE, _UPPER_YMM = 160, 576
_XMM, _YMM, _ZMM = 16, 32, 64
_MASKS, _UPPER_ZMM, _HIGH_ZMM = 5, 6, 7
# void cpuid(uint32_t leaf, uint32_t part, uint32_t found[4])
_CODE = bytes.fromhex(
    "53"  # push rbx
    "4989d0"  # mov r8, rdx
    "89f8"  # mov eax, edi
    "89f1"  # mov ecx, esi
    "0fa2"  # cpuid
    "418900"  # mov [r8], eax
    "41895804"  # mov [r8 + 4], ebx
    "41894808"  # mov [r8 + 8], ecx
    "4189500c"  # mov [r8 + 12], edx
    "5bc3"  # pop rbx; ret
)


class Vectors:
    """The vector registers of a stopped program that this process traces."""

    def __init__(self) -> None:
        self._places = {part: place for part in _LATER if (place := _component(part))}
        size = max([_UPPER_YMM + 16 * _XMM, *(sum(place) for place in self._places.values())])
        self._area = ctypes.create_string_buffer(size + -size % 8)
        self._view = memoryview(self._area).cast("B")
        self._vector = (ctypes.c_uint64 * 2)(ctypes.addressof(self._area), len(self._area))

    def fetch(self, pid: int) -> None:
        """Take the registers as they are now."""
        request(_GETREGSET, pid, ctypes.addressof(self._vector), _XSTATE)

    def vector(self, number: int) -> bytes:
        """Return zmm`number` as it was fetched, lowest byte first; what there is not is zero."""
        if number >= 16:
            return self._part(_HIGH_ZMM, number - 16, _ZMM)
        low = self._cut(_SSE + _XMM * number, _XMM) + self._cut(_UPPER_YMM + _XMM * number, _XMM)
        return low + self._part(_UPPER_ZMM, number, _YMM)

    def mask(self, number: int) -> int:
        """Return k`number` as it was fetched."""
        return int.from_bytes(self._part(_MASKS, number, 8), "little")

    def _part(self, part: int, number: int, size: int) -> bytes:
        place = self._places.get(part)
        return self._cut(place[0] + size * number, size) if place else bytes(size)

    def _cut(self, begin: int, size: int) -> bytes:
        return bytes(self._view[begin : begin + size])


_LATER = (_MASKS, _UPPER_ZMM, _HIGH_ZMM)


@cache
def _component(part: int) -> tuple[int, int] | None:
    """Return offset and size of a part of the XSAVE area, None where the processor has it not."""
    size, offset, *_ = _cpuid(0xD, part)
    return (offset, size) if size else None


def _cpuid(leaf: int, part: int) -> tuple[int, ...]:
    """Return eax, ebx, ecx and edx: zeros where this process may not run code of its own."""
    found = (ctypes.c_uint32 * 4)()
    file = os.memfd_create("cpuid")
    try:
        os.write(file, _CODE)
        protection = mmap.PROT_READ | mmap.PROT_EXEC
        with closing(mmap.mmap(file, len(_CODE), mmap.MAP_PRIVATE, protection)) as code:
            at = np.frombuffer(code, np.uint8)
            run = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)
            run(at.ctypes.data)(leaf, part, ctypes.addressof(found))
            del at
    except OSError:
        return 0, 0, 0, 0
    finally:
        os.close(file)
    return tuple(found)
