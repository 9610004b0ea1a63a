"""A stopped program of which any number of copies can be made, each to be run on its own.

The kernel copies it as fork(2) does: registers, vector registers and memory, lazily. All copies are
traced and die with the tracer.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nndbg.errors import ProgramError
from nndbg.inferior import ptrace
from nndbg.inferior.memory import ProcessMemory
from nndbg.inferior.process import Inferior
from nndbg.inferior.ptrace import FIELD

TRAP = b"\xcc"
_SYSCALL = b"\x0f\x05"
# Where our own code lies: a page for calls of the kernel, the rest for what takes more room than
# there is in the program.
_RESERVED = 1 << 16
_PAGE = 4096
_ACTION = 512
_DISTANCES = tuple(range(1 << 24, 1 << 30, 1 << 24))
# Source: <asm/unistd_64.h>, <sys/time.h>, <asm/mman.h>.
_MMAP, _SIGACTION, _FORK = 9, 13, 57
_READ_WRITE_RUN, _ANONYMOUS_NO_REPLACE = 7, 0x100022
_IGNORE = struct.pack("<4Q", 1, 0, 0, 0)
_EVENT_MESSAGE = 0x4201
_FORKED = 1
_WRITES = {1: 2, 18: 2, 20: None}
# Without effect outside of the process: memory, clocks, numbers of the process, signal masks.
_HARMLESS = frozenset({9, 10, 11, 12, 13, 14, 25, 28, 39, 96, 102, 186, 201, 228, 229, 318})
# Reads of files, in addition: they move what is shared with the copies.
_FOR_ONE = _HARMLESS | {0, 5, 8, 17, 19, 257, 262, 3, 35, 230}
_NAP = 0.0001
_LOOK = 0.004


class End(StrEnum):
    """How a run ended."""

    REACHED = "reached"
    CRASHED = "crashed"
    LATE = "late"
    REFUSED = "refused"
    GONE = "gone"


@dataclass(frozen=True)
class Ended:
    """Where a run ended, as loaded, and how; `signal` is what crashed it, `call` was refused."""

    end: End
    address: int = 0
    signal: int = 0
    call: int = 0


class Copy:
    """One process that is led: the program itself or a copy of it. Stopped unless `run` leads it.

    System calls that have an effect outside are not carried out: a write is passed over as if it
    had succeeded, others end the run.
    """

    def __init__(self, pid: int, harmless: frozenset[int] = _HARMLESS) -> None:
        self.pid = pid
        self.registers = ptrace.Registers()
        self._harmless = harmless
        self._in_call = False
        self._pretended: int | None = None

    def resume(self) -> None:
        """Let it run to its next stop; of one that was killed that is its end."""
        with suppress(ProcessLookupError):
            ptrace.request(ptrace.SYSCALL, self.pid)

    def wait(self) -> Ended | None:
        """Wait for its next stop; returns how its run ended, None where it is to be resumed."""
        try:
            return self.take(os.waitpid(self.pid, ptrace.WALL)[1])
        except ProcessLookupError:
            return Ended(End.GONE)

    def poll(self, seconds: float) -> Ended:
        """Lead it to the end of its run; one that waits for something ends LATE."""
        deadline = time.monotonic() + seconds
        self.resume()
        while True:
            pid, status = os.waitpid(self.pid, ptrace.WALL | os.WNOHANG)
            if not pid:
                if time.monotonic() > deadline:
                    return Ended(End.LATE)
                time.sleep(_NAP)
                continue
            if (ended := self.take(status)) is not None:
                return ended
            self.resume()

    def take(self, status: int) -> Ended | None:
        """Return how the run ended that stopped with `status`, None where it is to be resumed."""
        if not os.WIFSTOPPED(status):
            return Ended(End.GONE)
        reason = os.WSTOPSIG(status)
        if reason == ptrace.SYSCALL_STOP:
            return self._call()
        if reason == signal.SIGTRAP and not status >> 16:
            ptrace.get_registers(self.pid, self.registers)
            return Ended(End.REACHED, self.registers[FIELD["rip"]] - 1)
        if status >> 16 or reason in (signal.SIGSTOP, signal.SIGCHLD, signal.SIGCONT):
            return None
        ptrace.get_registers(self.pid, self.registers)
        return Ended(End.CRASHED, self.registers[FIELD["rip"]], signal=reason)

    def _call(self) -> Ended | None:
        """Decide on a system call as it begins; a pretended one gets its result as it ends."""
        self._in_call = not self._in_call
        if self._in_call:
            ptrace.get_registers(self.pid, self.registers)
            number = self.registers[FIELD["orig_rax"]]
            if number in _WRITES:
                self._pretended = self.registers[FIELD["rdx"]]
                self.registers[FIELD["orig_rax"]] = (1 << 64) - 1
                ptrace.set_registers(self.pid, self.registers)
            elif number not in self._harmless:
                return Ended(End.REFUSED, self.registers[FIELD["rip"]], call=number)
        elif self._pretended is not None:
            ptrace.get_registers(self.pid, self.registers)
            self.registers[FIELD["rax"]] = self._pretended
            ptrace.set_registers(self.pid, self.registers)
            self._pretended = None
        return None

    def write(self, address: int, data: bytes) -> None:
        """Write memory, code as well. Raises ProgramError where that is not possible."""
        memory = ProcessMemory(self.pid)
        try:
            memory.write(address, data)
        finally:
            memory.close()

    def step(self) -> None:
        """Run one instruction."""
        ptrace.request(ptrace.SINGLESTEP, self.pid)
        os.waitpid(self.pid, ptrace.WALL)


class Watchdog:
    """Kills copies that use too much processor time; a busy machine ends nothing early."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[float, float]] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def watch(self, pid: int, seconds: float) -> None:
        """Let a process use so many seconds, until it is to be forgotten."""
        with self._lock:
            self._watched[pid] = time.monotonic(), seconds

    def forget(self, pid: int) -> None:
        """Leave a process alone, before its number can belong to another."""
        with self._lock:
            self._watched.pop(pid, None)

    def close(self) -> None:
        """End the watch."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(_LOOK):
            now = time.monotonic()
            with self._lock:
                for pid, (since, limit) in self._watched.items():
                    if now - since > limit and _used(pid) > limit:
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)


def _used(pid: int) -> float:
    """Return the processor time of a process. Source: the clocks of clock_gettime(2)."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


class Template:
    """A process that stands still, and is copied; `base` is where our own code lies in it."""

    def __init__(self, pid: int, registers: ctypes.Array[ctypes.c_uint64], base: int) -> None:
        self.pid = pid
        self.memory = ProcessMemory(pid)
        self.registers = registers
        self.base = base
        self._call = ptrace.Registers(*registers)
        self._call[FIELD["rip"]] = base

    @property
    def room(self) -> range:
        """Addresses at which code can be added to copies."""
        return range(self.base + _PAGE, self.base + _RESERVED)

    def copy(self, patch: Mapping[int, bytes] | None = None, at: int | None = None) -> Copy:
        """Return a copy that stands where the template does, or at another address.

        `patch` is what it has at some addresses instead. Raises ProgramError where there can be
        none.
        """
        patch = patch or {}
        before = {
            address: bytes(self.memory.read(address, len(new))) for address, new in patch.items()
        }
        for address, code in patch.items():
            self.memory.write(address, code)
        child = self._fork()
        for address, code in before.items():
            self.memory.write(address, code)
        copy = Copy(child)
        ctypes.memmove(copy.registers, self.registers, ctypes.sizeof(copy.registers))
        if at is not None:
            copy.registers[FIELD["rip"]] = at
        os.waitpid(child, ptrace.WALL)
        ptrace.set_registers(child, copy.registers)
        return copy

    def _fork(self) -> int:
        """Let the process make a copy of itself; it is left in the middle of the system call.

        The result of the call is discarded where it is resumed: it begins at its own again.
        """
        ptrace.set_registers(self.pid, self._call)
        while True:
            status = self._resumed()
            if status >> 16 == _FORKED:
                message = ctypes.c_ulong()
                ptrace.request(_EVENT_MESSAGE, self.pid, ctypes.addressof(message))
                return message.value
            if os.WSTOPSIG(status) == signal.SIGTRAP and not status >> 16:
                raise ProgramError("the program cannot be copied: the kernel makes no process.")

    def _resumed(self) -> int:
        """Let the process run to its next stop, and return how it stopped."""
        ptrace.request(ptrace.CONTINUE, self.pid)
        _, status = os.waitpid(self.pid, ptrace.WALL)
        if not os.WIFSTOPPED(status):
            raise ProgramError("the program is gone: it cannot be copied.")
        return status

    def settle(self) -> None:
        """Let the process stand where it stood before the first copy, to be run itself."""
        while True:
            status = self._resumed()
            if os.WSTOPSIG(status) == signal.SIGTRAP and not status >> 16:
                break
        ptrace.set_registers(self.pid, self.registers)

    def close(self) -> None:
        """Kill it."""
        self.memory.close()
        ptrace.end(self.pid)


# fork, again and again as its beginning is returned to; a trap behind it.
_STUB = b"\xb8" + struct.pack("<I", _FORK) + _SYSCALL + TRAP


def take_over(inferior: Inferior, near: int) -> tuple[Copy, int]:
    """Take the stopped program over from GDB; `near` is an address of its code, as loaded.

    Returns it, and the base of the room that was made in it. Raises ProgramError where the kernel
    refuses, or where it has more than one thread.
    """
    pid = inferior.hand_over()
    try:
        return _prepared(pid, near)
    except ProgramError:
        ptrace.end(pid)
        raise
    except ProcessLookupError as error:
        raise ProgramError("the program is gone: it cannot be copied.") from error


def _prepared(pid: int, near: int) -> tuple[Copy, int]:
    ptrace.seize(pid, ptrace.EXITKILL | ptrace.TRACEFORK | ptrace.SYSGOOD)
    if len(list(Path(f"/proc/{pid}/task").iterdir())) > 1:
        raise ProgramError("the program has several threads, and a copy would have only one.")
    program = Copy(pid, _FOR_ONE)
    ptrace.get_registers(pid, program.registers)
    base = _map_room(program, near)
    program.write(base, _STUB)
    program.write(base + _ACTION, _IGNORE)
    if _inject(program, _SIGACTION, signal.SIGCHLD, base + _ACTION, 0, 8):
        raise ProgramError("the program cannot be copied: it cannot ignore its children.")
    return program, base


def _map_room(program: Copy, near: int) -> int:
    for distance in _DISTANCES:
        wanted = (near & -_PAGE) + distance
        got = _inject(
            program, _MMAP, wanted, _RESERVED, _READ_WRITE_RUN, _ANONYMOUS_NO_REPLACE, -1, 0
        )
        if got == wanted:
            return got
    raise ProgramError("there is no room for code near the program's own.")


def _inject(program: Copy, number: int, *arguments: int) -> int:
    """Let the stopped program make a system call where it stands, and return its result."""
    before = ptrace.Registers()
    ctypes.memmove(before, program.registers, ctypes.sizeof(before))
    call = program.registers
    at = call[FIELD["rip"]]
    memory = ProcessMemory(program.pid)
    try:
        original = bytes(memory.read(at, len(_SYSCALL)))
        memory.write(at, _SYSCALL)
        call[FIELD["rax"]] = number
        for name, value in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), arguments, strict=False):
            call[FIELD[name]] = value % (1 << 64)
        ptrace.set_registers(program.pid, call)
        while True:
            ptrace.request(ptrace.SINGLESTEP, program.pid)
            _, status = os.waitpid(program.pid, ptrace.WALL)
            if not os.WIFSTOPPED(status):
                raise ProgramError("the program is gone: it cannot be followed.")
            if os.WSTOPSIG(status) == signal.SIGTRAP and not status >> 16:
                break
        ptrace.get_registers(program.pid, call)
        result = call[FIELD["rax"]]
        memory.write(at, original)
    finally:
        memory.close()
    ctypes.memmove(program.registers, before, ctypes.sizeof(before))
    ptrace.set_registers(program.pid, before)
    return result - (1 << 64) if result >> 63 else result
