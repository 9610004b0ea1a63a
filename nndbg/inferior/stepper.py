"""Runs the program instruction by instruction, ten times faster than GDB can.

A single step through MI costs a quarter of a millisecond, one of ptrace(2) some thirty
microseconds. GDB brings the program to where the steps begin, and hands it over.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nndbg.errors import ProgramError
from nndbg.inferior.process import Inferior

# Source: <sys/ptrace.h>, <sys/user.h>, <linux/elf.h>.
_SINGLESTEP, _GETREGS, _SEIZE, _INTERRUPT = 9, 12, 0x4206, 0x4207
_EXITKILL = 0x100000
_WALL = 0x40000000
_FIELDS = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx"),
    *("rsi", "rdi", "orig_rax", "rip", "cs", "flags", "rsp", "ss", "fs", "gs", "ds", "es"),
    *("fs_segment", "gs_segment"),
)
_RIP = _FIELDS.index("rip")
# Looking at the clock costs as much as a tenth of a step.
_BETWEEN_LOOKS = 64


@dataclass(frozen=True, eq=False)
class Steps:
    """The registers before each instruction that ran, [n, fields], as loaded.

    `is_whole` says whether the program got to where it was to be followed to; `signal` is what
    ended it before, 0 where nothing did.
    """

    registers: NDArray[np.uint64]
    is_whole: bool
    signal: int

    @property
    def addresses(self) -> NDArray[np.uint64]:
        """Where each instruction lies."""
        return self.registers[:, _RIP]

    def at(self, index: int) -> dict[str, int]:
        """Return the general registers, by name, before the instruction of that index."""
        return dict(zip(_FIELDS, self.registers[index].tolist(), strict=True))


NOTHING = Steps(np.empty((0, len(_FIELDS)), np.uint64), is_whole=False, signal=0)


def follow(
    inferior: Inferior,
    until: Collection[int],
    most: int,
    seconds: float,
    at: int | None = None,
    is_enough: Callable[[dict[str, int]], bool] = lambda registers: False,
    is_over: Callable[[dict[str, int]], bool] = lambda registers: True,
) -> Steps:
    """Take the program over from GDB and run it to one of the addresses `until`, as loaded.

    Of each of those that it comes to, `is_over` says by the registers there whether it is the one.
    Ends before that after `most` instructions or `seconds`, or behind the instruction `at` when
    `is_enough` says so of the registers before it. The program is killed afterwards. Raises
    ProgramError where the kernel refuses to trace it.
    """
    pid = inferior.hand_over()
    try:
        _request(_SEIZE, pid, _EXITKILL)
        _request(_INTERRUPT, pid)
        os.waitpid(pid, _WALL)
        return _steps(pid, frozenset(until), most, seconds, at, is_enough, is_over)
    except ChildProcessError as error:
        raise ProgramError("the program is gone: it cannot be followed.") from error
    finally:
        _end(pid)


def _steps(
    pid: int,
    until: frozenset[int],
    most: int,
    seconds: float,
    at: int | None,
    is_enough: Callable[[dict[str, int]], bool],
    is_over: Callable[[dict[str, int]], bool],
) -> Steps:
    fields = (ctypes.c_uint64 * len(_FIELDS))()
    found: list[bytes] = []
    ended = 0
    deadline = time.monotonic() + seconds
    _request(_GETREGS, pid, ctypes.addressof(fields))
    is_there = False
    while len(found) < most and not is_there:
        if len(found) % _BETWEEN_LOOKS == 0 and time.monotonic() > deadline:
            break
        before = bytes(fields)
        last = fields[_RIP] == at and is_enough(dict(zip(_FIELDS, fields, strict=True)))
        _request(_SINGLESTEP, pid)
        _, status = os.waitpid(pid, _WALL)
        if not os.WIFSTOPPED(status):
            ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            found.append(before)
            break
        reason = os.WSTOPSIG(status)
        if reason == signal.SIGSTOP:
            continue  # it was sent to hold the program while GDB let go
        found.append(before)
        if reason != signal.SIGTRAP:
            ended = reason
            break
        _request(_GETREGS, pid, ctypes.addressof(fields))
        is_there = fields[_RIP] in until and is_over(dict(zip(_FIELDS, fields, strict=True)))
        if last:
            break
    rows = np.frombuffer(b"".join(found), np.uint64).reshape(-1, len(_FIELDS))
    return Steps(rows, is_whole=is_there, signal=ended)


def _end(pid: int) -> None:
    """Kill the program, and take note of it so that nothing of it is left."""
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        while not os.WIFSIGNALED(os.waitpid(pid, _WALL)[1]):
            pass


_ptrace = ctypes.CDLL(None, use_errno=True).ptrace
_ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_ptrace.restype = ctypes.c_long


def _request(request: int, pid: int, data: int = 0) -> None:
    if _ptrace(request, pid, None, data) < 0:
        number = ctypes.get_errno()
        raise ProgramError(
            f"the program cannot be followed step by step: {os.strerror(number)}. "
            "`nndbg doctor` tells what this machine allows."
        )
