"""Where a program runs: what differs between one on this machine and one behind a GDB server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nndbg.elf import Executable, Machine
from nndbg.inferior.emulator import EmulatedTarget
from nndbg.inferior.local import LocalTarget
from nndbg.inferior.memory import Memory
from nndbg.inferior.mi import Conversation
from nndbg.inferior.remote import RemoteTarget
from nndbg.inferior.terminal import Terminal


class Target(Protocol):
    """A program that comes under GDB once. Owns what it starts beside GDB."""

    @property
    def gdb(self) -> str:
        """The GDB that knows the program's machine."""

    @property
    def command_line(self) -> Sequence[str]:
        """What GDB is started with besides its settings."""

    def kill(self, gdb: Conversation, is_held: bool) -> bool:
        """End the program so that `gdb` can start it again; whether it can.

        `is_held` says that GDB has not let go of it for another tracer.
        """

    def start(self, gdb: Conversation, terminal: Terminal) -> None:
        """Bring the program to before its first instruction.

        Raises ProgramError where it cannot be started, GdbError where nobody can say.
        """

    @property
    def pid(self) -> int:
        """The process on this machine. Raises ProgramError where there is none to lay hands on."""

    @property
    def memory(self) -> Memory:
        """The program's memory. Raises ProgramError where nothing runs."""

    def entry(self) -> int:
        """Return where the program's entry point was loaded."""

    def mappings(self) -> str | None:
        """Return the text of `/proc/PID/maps`, None where it cannot be had."""

    def interrupt(self) -> None:
        """Stop the running program with SIGINT, from any thread."""

    def ended(self) -> None:
        """Take note that the program has ended by itself."""

    def close(self) -> None:
        """Kill the program; GDB still runs."""


def target_of(
    executable: Executable, arguments: Sequence[str], gdb: str, remote: str | None
) -> Target:
    """Return where the program is to run: at `remote`, in an emulator, or on this machine."""
    if remote is not None:
        return RemoteTarget(executable, arguments, gdb, remote)
    if executable.machine is not Machine.X86_64:
        return EmulatedTarget(executable, arguments)
    return LocalTarget(executable.path, arguments, gdb)
