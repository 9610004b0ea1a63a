"""Writes what a command made into a file: whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from nndbg.errors import UsageError


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`: a file is replaced, a pipe or a device is written into.

    Raises UsageError when it cannot be written; a file that was there is then as it was.
    """
    write_pieces(path, (text,))


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` as `write_text` does a text."""
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        made = _beside(path.resolve())
        try:
            with made.open("xb") as file:
                file.write(data)
            made.replace(path.resolve())
        finally:
            made.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: the output cannot be written: {error.strerror}.") from error


def write_pieces(path: Path, pieces: Iterable[str]) -> None:
    """Write a text to `path` as `write_text` does, piece by piece as it is made."""
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8") as file:
                file.writelines(pieces)
        else:
            _replace(path.resolve(), pieces)
    except OSError as error:
        raise UsageError(f"{path}: the output cannot be written: {error.strerror}.") from error


def _replace(path: Path, pieces: Iterable[str]) -> None:
    """Put a file with `pieces` in the place of `path`, with the rights the user's mask leaves."""
    made = _beside(path)
    try:
        with made.open("x", encoding="utf-8") as file:
            file.writelines(pieces)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """Return where a file is made before it takes its place."""
    return path.with_name(f".{path.name}.{os.getpid()}")
