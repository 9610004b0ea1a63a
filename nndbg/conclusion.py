"""How a command ends: the report where it was asked for, words on stderr, an exit code."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from nndbg.errors import ExitCode, UsageError
from nndbg.report import Report
from nndbg.report.write import write_report
from nndbg.text import printable


def conclude(report: Report, form: str, output: Path | None) -> ExitCode:
    """Write the report; returns what it comes to."""
    write_report(report, form, output)
    if report.first is not None or report.objections:
        return ExitCode.DIVERGED
    if report.error is not None:
        if form != "terminal" or output is not None or not _is_one_stream():
            say(report.error)
        return ExitCode.PROGRAM
    return ExitCode.AGREES if report.agrees else ExitCode.DIVERGED


def needs_terminal(command: str, otherwise: str) -> None:
    """Raise UsageError where there is neither a terminal nor a browser for the screen."""
    is_served = bool(os.environ.get("TEXTUAL_DRIVER"))
    if not is_served and not all(s.isatty() for s in (sys.stdin, sys.stdout, sys.stderr)):
        raise UsageError(f"`nndbg {command}` needs a terminal. Without one: {otherwise}.")


def say(message: str) -> None:
    """Say something to the user, who may have gone."""
    with suppress(OSError):
        sys.stderr.write(f"nndbg: {printable(message)}\n")


def _is_one_stream() -> bool:
    """Whether who reads stdout reads stderr too: a terminal, or a log of both."""
    with suppress(OSError):
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    return False
