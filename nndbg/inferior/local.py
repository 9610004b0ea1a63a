"""A program that GDB starts on this machine, for this machine."""

from __future__ import annotations

import os
import re
import signal
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nndbg.errors import GdbError, ProgramError
from nndbg.inferior.memory import Memory, ProcessMemory
from nndbg.inferior.mi import Conversation
from nndbg.inferior.terminal import Terminal

_AT_NULL, _AT_ENTRY = 0, 9
# What GDB needs to say that the program started, in seconds.
_START_LIMIT = 5.0

_PLAIN = re.compile(r"[\w./=:,+-]+", re.ASCII)


def _unbroken(argument: str) -> str:
    """Return what stands for `argument`, in as many bytes, until the program runs.

    GDB quotes arguments as for a shell, and without one does not unquote them: it breaks them at
    white space and drops empty ones.
    """
    return argument if _PLAIN.fullmatch(argument) else "x" * max(1, len(os.fsencode(argument)))


class LocalTarget:
    """A process of this machine: its memory and its signals go past GDB."""

    def __init__(self, program: Path, arguments: Sequence[str], gdb: str) -> None:
        self.gdb = gdb
        self._program = program
        self._arguments = tuple(arguments)
        self._pid: int | None = None
        self._memory: ProcessMemory | None = None

    @property
    def command_line(self) -> Sequence[str]:
        """The program and its arguments, in a form that GDB does not break up."""
        return ("--args", str(self._program), *map(_unbroken, self._arguments))

    def start(self, gdb: Conversation, terminal: Terminal) -> None:
        """Start the program on the terminal and stop it before its first instruction."""
        gdb.command(f"-inferior-tty-set {terminal.path}")
        try:
            gdb.command('-interpreter-exec console "starti"')
        except GdbError as error:
            lines = gdb.talk.splitlines()
            said = lines[-1].rstrip(".") + "." if lines else error
            raise ProgramError(
                f"{self._program}: GDB cannot start it: {said} "
                "Is it executable, and built for this machine?"
            ) from error
        started = gdb.event(["thread-group-started"], _START_LIMIT)
        if started is None or gdb.event(["stopped"], _START_LIMIT) is None:
            raise GdbError("GDB did not say that the program started. `nndbg doctor` tells more.")
        self._pid = int(started["payload"]["pid"])
        self._memory = ProcessMemory(self._pid)
        self._mend_arguments(gdb)

    def kill(self, gdb: Conversation, is_held: bool) -> bool:
        """Kill the process, through GDB where that has it."""
        if self._pid is not None and is_held:
            gdb.command('-interpreter-exec console "kill"', _START_LIMIT)
            self._pid = None
        self.close()
        return True

    def _mend_arguments(self, gdb: Conversation) -> None:
        """Write the arguments that GDB would have broken up where the program finds them.

        Before the first instruction the stack pointer points to argc, then to the addresses of the
        arguments; each stand-in is as long as what it stands for. Source: System V ABI, AMD64
        supplement, section 3.4.1.
        """
        if all(_unbroken(argument) == argument for argument in self._arguments):
            return
        answer = gdb.command("-data-evaluate-expression (long)$sp")
        stack = int(answer["value"]) % (1 << 64)
        for index, argument in enumerate(self._arguments):
            if _unbroken(argument) != argument:
                # argc, then argv[0], which is the program itself.
                slot = self.memory.read(stack + 8 * (index + 2), 8)
                address = int.from_bytes(slot, "little")
                self.memory.write(address, os.fsencode(argument) + b"\0")

    @property
    def pid(self) -> int:
        """The program's process number."""
        if self._pid is None:
            raise ProgramError("the program is not running.")
        return self._pid

    @property
    def memory(self) -> Memory:
        """The memory of the process."""
        if self._memory is None:
            raise ProgramError("the program is not running.")
        return self._memory

    def entry(self) -> int:
        """Return where the entry point was loaded: AT_ENTRY of the auxiliary vector."""
        auxv = Path(f"/proc/{self.pid}/auxv").read_bytes()
        for key, value in struct.iter_unpack("<QQ", auxv):
            if key == _AT_ENTRY:
                return int(value)
            if key == _AT_NULL:
                break
        raise ProgramError("the kernel does not say where the program was loaded.")

    def mappings(self) -> str | None:
        """Return what is mapped. Source: proc_pid_maps(5)."""
        return Path(f"/proc/{self.pid}/maps").read_text(errors="replace")

    def interrupt(self) -> None:
        """Stop the program; what has ended is not stopped."""
        self._signal(signal.SIGINT)

    def ended(self) -> None:
        """Forget a number that may be another's soon."""
        self._pid = None

    def close(self) -> None:
        """Kill the program."""
        self._signal(signal.SIGKILL)
        self._pid = None
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def _signal(self, number: int) -> None:
        pid = self._pid
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
