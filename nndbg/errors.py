"""The errors a user can meet, each named for who must act, and the exit codes of every command."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process says to the shell; the same for every command."""

    AGREES = 0
    DIVERGED = 1
    USAGE = 2
    PROGRAM = 3
    INTERRUPTED = 130


class NndbgError(Exception):
    """An error a user can act on: its text says what was found, what was wanted, what to do."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


class UsageError(NndbgError):
    """The command line, a file or the data set is not as it has to be."""


class MapError(NndbgError):
    """The layer map is wrong, or does not fit its program; the text opens with `file:line:`."""


class ProgramError(NndbgError):
    """The program crashed, ended early, hung, or did not do what its layer map says."""

    exit_code = ExitCode.PROGRAM


class GdbError(NndbgError):
    """GDB is missing, died, refused a command or did not answer in time."""

    exit_code = ExitCode.PROGRAM


class RunOnceError(GdbError):
    """The program was run, and whoever runs it does so only once."""


class Paused(NndbgError):  # noqa: N818 - it is what was asked for, not an error
    """The program stands where somebody wanted it to, between two boundaries."""


class InterruptedByUser(NndbgError):  # noqa: N818 - what happened is an interrupt, not an error
    """The user asked to stop while the program was running."""

    exit_code = ExitCode.INTERRUPTED
