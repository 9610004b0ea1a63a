"""A program behind a GDB server: gdbserver, or the stub of an emulator."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nndbg.elf import Executable, Machine
from nndbg.errors import GdbError, ProgramError, UsageError
from nndbg.inferior.memory import Memory
from nndbg.inferior.mi import Conversation
from nndbg.inferior.remote_memory import RemoteMemory
from nndbg.inferior.terminal import Terminal

# How long a server may take to answer, to start a program and to stop it, in seconds.
_LIMIT, _STOP_LIMIT = 10.0, 2.0
_ADDRESS = re.compile(r"[\w.:\[\]-]+:\d{1,5}|/[\w./-]+", re.ASCII)
_ENTRY = re.compile(r"AT_ENTRY\b.*?(0x[0-9a-f]+)")
# So much of each segment is compared with the executable's.
_COMPARED = 1 << 18


class RemoteTarget:
    """A program that the server at `address` has started, or starts at each launch anew.

    Its terminal is the server's.
    """

    def __init__(
        self, executable: Executable, arguments: Sequence[str], gdb: str, address: str
    ) -> None:
        """Raises UsageError where `address` is none, or the server could not take the arguments."""
        if not _ADDRESS.fullmatch(address):
            raise UsageError(f"--remote {address}: that is no HOST:PORT, such as localhost:1234.")
        if any(not argument or re.search(r"\s", argument) for argument in arguments):
            raise UsageError(
                "gdbserver takes no program argument that is empty or has white space. "
                "Leave it out, or let the program run on this machine."
            )
        self.gdb = gdb_for(executable, gdb)
        self.address = address
        self._executable = executable
        self._arguments = tuple(arguments)
        self._link = Link()

    @property
    def command_line(self) -> Sequence[str]:
        """The program's file and the arguments that it is to be started with."""
        return (
            *("-iex", "set tcp auto-retry off"),
            *("-iex", "set tcp connect-timeout 5"),
            *("--args", str(self._executable.path), *self._arguments),
        )

    def start(self, gdb: Conversation, terminal: Terminal) -> None:
        """Take the program that the server holds, or have it started."""
        del terminal
        is_extended = self._connect(gdb)
        started = gdb.event(["thread-group-started"], 0)
        if started is not None:
            gdb.event(["stopped"], _LIMIT)
            if self._is_meant(gdb, int(started["payload"]["pid"])):
                return self._link.open(gdb, int(started["payload"]["pid"]), self._executable)
        if not is_extended:
            raise ProgramError(
                f"the server at {self.address} can start no program, and holds none that was given "
                "these arguments. Give them to the server, or use gdbserver."
            )
        self._launch(gdb)

    def _connect(self, gdb: Conversation) -> bool:
        """Connect; return whether the server can start programs."""
        for kind in ("extended-remote", "remote"):
            try:
                gdb.command(f"-target-select {kind} {self.address}", _LIMIT + 5)
                return kind == "extended-remote"
            except GdbError as error:
                if "onnection" in str(error) or kind == "remote":
                    raise GdbError(
                        f"no GDB server answers at {self.address} ({_reason(error)}). One that was "
                        "started with --once, or an emulator's, runs a program once; gdbserver "
                        f"runs it as often as needed: gdbserver {self.address} PROGRAM"
                    ) from error
        raise AssertionError

    def _is_meant(self, gdb: Conversation, process: int) -> bool:
        """Whether the program that the server holds was given the arguments that it is to have.

        Raises UsageError where it was given some and we none: another run would have none.
        """
        line = fetch(gdb, f"/proc/{process}/cmdline")
        if line is None:
            return not self._arguments
        given = [os.fsdecode(word) for word in line.split(b"\0")[1:-1]]
        if given and not self._arguments:
            raise UsageError(
                f"the server at {self.address} gave the program the arguments {' '.join(given)}, "
                "and each run needs them. Name them here too, after `--`."
            )
        return tuple(given) == self._arguments

    def _launch(self, gdb: Conversation) -> None:
        try:
            gdb.console("starti", _LIMIT)
        except GdbError:
            # The server has had no program yet: it is where it is here.
            gdb.command(f"-gdb-set remote exec-file {self._executable.path}")
            try:
                gdb.console("starti", _LIMIT)
            except GdbError as error:
                raise ProgramError(
                    f"the server at {self.address} cannot start {self._executable.path} "
                    f"({_reason(error)}). Is the program at the same place there?"
                ) from error
        started = gdb.event(["thread-group-started"], _LIMIT)
        if started is None or gdb.event(["stopped"], _LIMIT) is None:
            raise GdbError(f"the server at {self.address} did not say that the program started.")
        self._link.open(gdb, int(started["payload"]["pid"]), self._executable)

    @property
    def pid(self) -> int:
        """There is no process of this machine."""
        raise ProgramError(
            f"the program runs at {self.address}: only one on this machine can be followed "
            "instruction by instruction."
        )

    @property
    def memory(self) -> Memory:
        """The memory, as GDB reads it."""
        return self._link.memory

    def entry(self) -> int:
        """Return where the entry point was loaded."""
        return self._link.entry()

    def mappings(self) -> str | None:
        """Return what is mapped, where the server hands out files."""
        return self._link.mappings()

    def interrupt(self) -> None:
        """Have GDB stop the program."""
        self._link.interrupt()

    def ended(self) -> None:
        """Nothing is left to kill."""
        self._link.has_ended = True

    def kill(self, gdb: Conversation, is_held: bool) -> bool:
        """A server starts the program anew for another GDB."""
        return False

    def close(self) -> None:
        """Have the server kill the program."""
        self._link.kill()
        self._link.close()


class Link:
    """GDB's connection to a server once a program is there."""

    def __init__(self) -> None:
        self.has_ended = False
        self._gdb: Conversation | None = None
        self._memory: RemoteMemory | None = None
        self._process = 0

    def open(self, gdb: Conversation, process: int, executable: Executable) -> None:
        """Go on with the program of that number at the server, which stands at its beginning.

        Raises UsageError where it is another program than `executable`.
        """
        self._gdb = gdb
        self._memory = RemoteMemory(gdb)
        self._process = process
        offset = self.entry() - executable.entry if executable.is_pie else 0
        for start, contents in executable.read_only:
            here = contents[:_COMPARED]
            try:
                there = bytes(self._memory.read(start + offset, len(here)))
            except ProgramError:
                there = b""
            if here != there:
                raise UsageError(
                    f"the program at the server is not {executable.path}: it differs in what is "
                    f"loaded at {start:#x}. Copy the program there, or name the one that is there."
                )

    @property
    def memory(self) -> RemoteMemory:
        """The memory, as GDB reads it."""
        if self._memory is None:
            raise ProgramError("the program is not running.")
        return self._memory

    def entry(self) -> int:
        """Return where the entry point was loaded: AT_ENTRY of the auxiliary vector."""
        assert self._gdb is not None
        found = _ENTRY.search(self._gdb.console("info auxv"))
        if found is None:
            raise ProgramError("the GDB server does not say where the program was loaded.")
        return int(found[1], 16)

    def mappings(self) -> str | None:
        """Return what is mapped, None where the server hands out no files."""
        assert self._gdb is not None
        text = fetch(self._gdb, f"/proc/{self._process}/maps")
        return None if text is None else text.decode(errors="replace")

    def interrupt(self) -> None:
        """Have GDB stop the program; from any thread."""
        if self._gdb is not None:
            self._gdb.send("-exec-interrupt")

    def kill(self) -> None:
        """Have the server kill the program: one that runs has to be stopped for it."""
        if self._gdb is None or self.has_ended:
            return
        for _ in range(2):
            with suppress(GdbError):
                self._gdb.console("kill")
                return
            with suppress(GdbError):
                self.interrupt()
                self._gdb.event(["stopped"], _STOP_LIMIT)

    def close(self) -> None:
        """Let go of the memory."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        self._gdb = None


def gdb_for(executable: Executable, gdb: str) -> str:
    """Return the GDB that knows the program's machine; gdb-multiarch knows them all."""
    if executable.machine is not Machine.X86_64 and shutil.which("gdb-multiarch") is not None:
        return "gdb-multiarch"
    return gdb


def fetch(gdb: Conversation, path: str) -> bytes | None:
    """Return a file of the server's machine, None where it does not hand it out."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "copy"
        try:
            gdb.command(f"-target-file-get {path} {copy}")
        except GdbError:
            return None
        return copy.read_bytes()


def _reason(error: GdbError) -> str:
    return str(error).rpartition(": ")[2].rstrip(".")
