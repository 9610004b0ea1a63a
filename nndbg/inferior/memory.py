"""The program's memory while it is stopped, through the kernel where the program runs here."""

from __future__ import annotations

import ctypes
import os
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nndbg.errors import ProgramError
from nndbg.inferior.arena import Arena

_LIBC = ctypes.CDLL(None, use_errno=True)
# Below this the two system calls cost the same, and /proc needs no ctypes.
_LARGE = 1 << 14


class _Stretch(ctypes.Structure):
    """`struct iovec` of process_vm_readv(2)."""

    _fields_ = (("address", ctypes.c_void_p), ("size", ctypes.c_size_t))


class Memory(Protocol):
    """What a program has in its memory; addresses as loaded."""

    def read(self, address: int, size: int) -> memoryview:
        """Return `size` bytes at `address`, read-only.

        Raises ProgramError where they are not mapped.
        """

    def write(self, address: int, data: bytes) -> None:
        """Write `data` at `address`. Raises ProgramError where that is not mapped."""

    def close(self) -> None:
        """Let go of it."""


class ProcessMemory:
    """The memory of one process: a thousand times faster than memory in MI records."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._arena = Arena()
        try:
            self._descriptor = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise ProgramError(
                f"the memory of process {pid} cannot be opened: {error.strerror}. "
                "`nndbg doctor` tells what this machine allows."
            ) from error

    def read(self, address: int, size: int) -> memoryview:
        """Return `size` bytes at `address`, read-only.

        Raises ProgramError where they are not mapped.
        """
        try:
            data = self._room(size)
        except (MemoryError, ValueError, OverflowError, OSError) as error:
            raise ProgramError(
                f"{size} bytes at {address:#x} are more than this machine can hold. "
                "Are the sizes, and the variables that they are read from, right?"
            ) from error
        done = self._copy(address, data) if size >= _LARGE else 0
        while done < size:
            try:
                count = os.preadv(self._descriptor, [data.data[done:]], address + done)
            except (OSError, OverflowError) as error:
                raise ProgramError(
                    f"{size} bytes at {address:#x} cannot be read: the program has no memory at "
                    f"{address + done:#x}. Is the address, or the pointer that gave it, right?"
                ) from error
            if not count:
                raise ProgramError("the program is gone: its memory is empty.")
            done += count
        return data.data.toreadonly()

    def _room(self, size: int) -> NDArray[np.uint8]:
        return (
            np.frombuffer(self._arena.take(size), np.uint8)
            if size >= _LARGE
            else np.empty(size, np.uint8)
        )

    def _copy(self, address: int, data: NDArray[np.uint8]) -> int:
        """Copy from the process with one system call, a third of the time that /proc takes.

        Returns how many bytes came: none where the kernel or a container forbids it.
        """
        here, there = _Stretch(data.ctypes.data, data.size), _Stretch(address, data.size)
        count = _LIBC.process_vm_readv(
            self._pid, ctypes.byref(here), 1, ctypes.byref(there), 1, ctypes.c_ulong(0)
        )
        return max(int(count), 0)

    def write(self, address: int, data: bytes) -> None:
        """Write `data` at `address`. Raises ProgramError where that is not mapped."""
        try:
            written = os.pwrite(self._descriptor, data, address)
        except (OSError, OverflowError) as error:
            raise ProgramError(f"{len(data)} bytes cannot be written at {address:#x}.") from error
        if written != len(data):
            raise ProgramError(f"only {written} of {len(data)} bytes went to {address:#x}.")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def gather_from(pid: int, addresses: NDArray[np.uint64], into: NDArray[Any]) -> bool:
    """Fill an array with elements from anywhere in a process; whether it has memory there.

    Takes at most 1024 addresses, the kernel's limit.
    """
    stretches = np.empty((len(addresses), 2), np.uint64)
    stretches[:, 0], stretches[:, 1] = addresses, into.itemsize
    here = _Stretch(into.ctypes.data, into.nbytes)
    count = _LIBC.process_vm_readv(
        pid,
        ctypes.byref(here),
        ctypes.c_ulong(1),
        ctypes.c_void_p(stretches.ctypes.data),
        ctypes.c_ulong(len(addresses)),
        ctypes.c_ulong(0),
    )
    return int(count) == into.nbytes


def copy_from(pid: int, address: int, into: NDArray[Any]) -> bool:
    """Fill an array with what a process has at `address`; whether it has memory there."""
    here, there = _Stretch(into.ctypes.data, into.nbytes), _Stretch(address, into.nbytes)
    count = _LIBC.process_vm_readv(
        pid, ctypes.byref(here), 1, ctypes.byref(there), 1, ctypes.c_ulong(0)
    )
    return int(count) == into.nbytes
