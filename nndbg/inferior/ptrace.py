"""The requests of ptrace(2) that are needed to lead a program without GDB."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from contextlib import suppress

from nndbg.errors import ProgramError

# Source: <sys/ptrace.h>, <linux/elf.h>.
CONTINUE, SINGLESTEP, SYSCALL = 7, 9, 24
_GETREGS, _SETREGS, _SETOPTIONS, _SEIZE, _INTERRUPT = 12, 13, 0x4200, 0x4206, 0x4207
EXITKILL, TRACEFORK, SYSGOOD = 0x100000, 0x2, 0x1
WALL = 0x40000000
# A stop at a system call, where SYSGOOD is set.
SYSCALL_STOP = signal.SIGTRAP | 0x80
# The order of `struct user_regs_struct`. Source: <sys/user.h>.
FIELDS = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx"),
    *("rsi", "rdi", "orig_rax", "rip", "cs", "flags", "rsp", "ss", "fs", "gs", "ds", "es"),
    *("fs_segment", "gs_segment"),
)
FIELD = {name: number for number, name in enumerate(FIELDS)}
Registers = ctypes.c_uint64 * len(FIELDS)


def seize(pid: int, options: int) -> None:
    """Become the tracer of a process and stop it. Raises ProgramError where that is refused."""
    request(_SEIZE, pid, options)
    request(_INTERRUPT, pid)
    os.waitpid(pid, WALL)


def get_registers(pid: int, into: ctypes.Array[ctypes.c_uint64]) -> None:
    """Read the general registers of a stopped process."""
    request(_GETREGS, pid, ctypes.addressof(into))


def set_registers(pid: int, registers: ctypes.Array[ctypes.c_uint64]) -> None:
    """Write the general registers of a stopped process."""
    request(_SETREGS, pid, ctypes.addressof(registers))


def end(pid: int) -> None:
    """Kill a traced process, and take note of it so that nothing of it is left."""
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        reap(pid)


def reap(pid: int) -> None:
    """Wait for the end of a process that was killed."""
    with suppress(ChildProcessError):
        while os.WIFSTOPPED(os.waitpid(pid, WALL)[1]):
            pass


_ptrace = ctypes.CDLL(None, use_errno=True).ptrace
_ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_ptrace.restype = ctypes.c_long


def request(number: int, pid: int, data: int = 0, address: int = 0) -> None:
    """Ask the kernel for one thing.

    Raises ProcessLookupError where the process is gone, ProgramError where the kernel refuses.
    """
    if _ptrace(number, pid, address, data) < 0:
        code = ctypes.get_errno()
        if code == errno.ESRCH:
            raise ProcessLookupError(code, os.strerror(code))
        raise ProgramError(
            f"the program cannot be followed step by step: {os.strerror(code)}. "
            "`nndbg doctor` tells what this machine allows."
        )
