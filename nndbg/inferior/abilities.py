"""Tries out what GDB and this machine can do, with a real program."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing
from pathlib import Path

from nndbg.elf import read_executable
from nndbg.errors import GdbError, NndbgError, ProgramError
from nndbg.inferior.process import Inferior

_LIMIT = 10.0


def gdb_version(gdb: str = "gdb") -> str:
    """Return the first line of `gdb --version`. Raises GdbError when there is no GDB."""
    found = shutil.which(gdb)
    if found is None:
        raise GdbError(f"no {gdb} on this machine")
    try:
        answer = subprocess.run(
            [found, "--nx", "--version"], capture_output=True, timeout=_LIMIT, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise GdbError(f"{found} does not run: {error}") from error
    lines = answer.stdout.decode(errors="replace").splitlines()
    if not lines:
        raise GdbError(f"{found} does not say which version it is")
    return lines[0]


def can_trace() -> None:
    """Run a program under GDB and read its memory. Raises NndbgError where that fails."""
    with closing(_some_program()) as inferior:
        inferior.memory.read(inferior.executable.entry + inferior.load_offset, 1)


def can_watch() -> bool:
    """Return whether a hardware watchpoint stops a program here."""
    with closing(_some_program()) as inferior:
        try:
            # The first thing that a program does is a call, which writes below its stack pointer.
            inferior.watch("*(long *) ($sp - 8)")
            stop = inferior.resume(_LIMIT)
        except NndbgError:
            return False
        return stop.reason == "watchpoint-trigger"


def _some_program() -> Inferior:
    found = shutil.which("true")
    if found is None:
        raise ProgramError("there is no `true` on PATH to try GDB with")
    return Inferior(read_executable(Path(found)))
