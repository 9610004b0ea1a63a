"""A program of another machine, in QEMU's user-mode emulation on this one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nndbg.elf import Executable, Machine
from nndbg.errors import GdbError, ProgramError
from nndbg.inferior.memory import Memory
from nndbg.inferior.mi import Conversation
from nndbg.inferior.remote import Link
from nndbg.inferior.terminal import Terminal

_COMMANDS = {Machine.AARCH64: "qemu-aarch64"}
# Where Debian's cross compilers have the libraries that a dynamic program loads.
_LIBRARIES = {Machine.AARCH64: Path("/usr/aarch64-linux-gnu")}
# How long QEMU may take to listen, and to end, in seconds; and between two looks.
_LIMIT, _LOOK = 10.0, 0.01
# What opens a terminal first in a session of its own is hung up on when the terminal is gone: so
# the emulator dies with us, even where we are killed.
_ON_TERMINAL = 'exec "$@" <>"$0" >&0 2>&0'


class EmulatedTarget:
    """A program in an emulator that is started with it and ends with it."""

    def __init__(self, executable: Executable, arguments: Sequence[str]) -> None:
        """Raises GdbError where the emulator, or a GDB that knows the machine, is not there."""
        self.gdb = "gdb-multiarch"
        command = _COMMANDS[executable.machine]
        missing = [tool for tool in (command, self.gdb) if shutil.which(tool) is None]
        if missing:
            raise GdbError(
                f"{executable.path} is built for {executable.machine}, and this machine has no "
                f"{' and no '.join(missing)}. Install them: apt-get install qemu-user gdb-multiarch"
            )
        self._command = command
        self._executable = executable
        self._words = (str(executable.path), *arguments)
        self._directory = tempfile.TemporaryDirectory(prefix="nndbg-")
        self._process: subprocess.Popen[bytes] | None = None
        self._link = Link()

    @property
    def command_line(self) -> Sequence[str]:
        """The program's file: QEMU has the arguments."""
        return (str(self._executable.path),)

    def start(self, gdb: Conversation, terminal: Terminal) -> None:
        """Start the emulator on the terminal, and connect to it."""
        socket = Path(self._directory.name) / "gdb"
        libraries = _LIBRARIES[self._executable.machine]
        options = ["-g", str(socket), *(["-L", str(libraries)] if libraries.is_dir() else [])]
        self._process = subprocess.Popen(
            ["sh", "-c", _ON_TERMINAL, terminal.path, self._command, *options, *self._words],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._connect(gdb, socket, terminal)
        started = gdb.event(["thread-group-started"], _LIMIT)
        if started is None or gdb.event(["stopped"], _LIMIT) is None:
            raise GdbError(f"{self._command} did not say that the program started.")
        self._link.open(gdb, int(started["payload"]["pid"]), self._executable)

    def _connect(self, gdb: Conversation, socket: Path, terminal: Terminal) -> None:
        """Wait for the socket, and for QEMU to listen at it."""
        assert self._process is not None
        deadline = time.monotonic() + _LIMIT
        while time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LOOK)
                terminal.drain()
                said = terminal.text.strip().splitlines()[-1:]
                raise ProgramError(
                    f"{self._executable.path}: {self._command} cannot run it"
                    f"{f' ({said[0]})' if said else ''}. Is it executable?"
                )
            if socket.exists():
                with suppress(GdbError):
                    gdb.command(f"-target-select remote {socket}")
                    self._directory.cleanup()
                    return
        raise GdbError(f"{self._command} cannot be reached. `nndbg doctor` tells more.")

    @property
    def pid(self) -> int:
        """The process is the emulator's, not the program's."""
        raise ProgramError(
            f"the program runs in {self._command}: only one of this machine's own kind can be "
            "followed instruction by instruction."
        )

    @property
    def memory(self) -> Memory:
        """The memory, as GDB reads it."""
        return self._link.memory

    def entry(self) -> int:
        """Return where the entry point was loaded."""
        return self._link.entry()

    def mappings(self) -> str | None:
        """QEMU hands out no files."""
        return None

    def interrupt(self) -> None:
        """Have QEMU stop the program: GDB's own request it hears only while the program stands."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGINT)

    def ended(self) -> None:
        """QEMU ends by itself."""
        self._link.has_ended = True

    def kill(self, gdb: Conversation, is_held: bool) -> bool:
        """An emulator ends with its program."""
        return False

    def close(self) -> None:
        """Kill the emulator, and the program with it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._link.close()
        self._directory.cleanup()
