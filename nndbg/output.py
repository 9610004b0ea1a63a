"""Writes what a command made into a file: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from nndbg.errors import UsageError


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`: a file is replaced, a pipe or a device is written into.

    Raises UsageError when it cannot be written; a file that was there is then as it was.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            _replace(path.resolve(), text)
    except OSError as error:
        raise UsageError(f"{path}: the output cannot be written: {error.strerror}.") from error


def _replace(path: Path, text: str) -> None:
    """Put a file with `text` in the place of `path`, with the rights the user's mask leaves."""
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with made.open("x", encoding="utf-8") as file:
            file.write(text)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)
