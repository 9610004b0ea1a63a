"""The system call by which one process runs another: ptrace(2)."""

from __future__ import annotations

import ctypes
import os

from nndbg.errors import ProgramError


def request(number: int, pid: int, data: int = 0, address: int = 0) -> None:
    """Ask the kernel for one thing. Raises ProgramError where it refuses."""
    if _ptrace(number, pid, address, data) < 0:
        error = ctypes.get_errno()
        raise ProgramError(
            f"the program cannot be followed step by step: {os.strerror(error)}. "
            "`nndbg doctor` tells what this machine allows."
        )


_ptrace = ctypes.CDLL(None, use_errno=True).ptrace
_ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_ptrace.restype = ctypes.c_long
