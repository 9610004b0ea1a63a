"""Reads and writes IDX files of bytes, the format MNIST comes in.

An IDX file is two zero bytes, a type (8 for unsigned bytes), the number of dimensions, each
dimension as a big-endian 32-bit number, then the elements in C order (LeCun, Cortes and Burges,
"The MNIST database of handwritten digits").
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nndbg.errors import UsageError

_UNSIGNED_BYTE = 8


def read_idx(path: Path | str) -> NDArray[np.uint8]:
    """Read an unpacked IDX file of bytes: images [n, 28, 28] or labels [n]; the array is read-only.

    Raises UsageError when the file is missing, not IDX, not of bytes, too short or too long.
    """
    return parse_idx(read_bytes(Path(path)), Path(path))


def write_idx(path: Path | str, array: NDArray[np.uint8]) -> None:
    """Write `array` as an IDX file of bytes; the file appears whole or not at all.

    Raises UsageError when the array is not of bytes or the file cannot be written.
    """
    write_whole(Path(path), format_idx(array))


def parse_idx(data: bytes, where: Path | str) -> NDArray[np.uint8]:
    """The array in the bytes of an IDX file; `where` it is from is for the words of the error."""
    if data[:2] == b"\x1f\x8b":
        raise UsageError(f"{where} is compressed with gzip; an unpacked IDX file is wanted.")
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _UNSIGNED_BYTE or data[3] == 0:
        start = data[:4].hex(" ") or "nothing"
        raise UsageError(
            f"{where} is not an IDX file of bytes: it starts with {start}, wanted 00 00 08 and "
            "the number of dimensions."
        )
    header = 4 + 4 * data[3]
    if len(data) < header:
        raise UsageError(f"{where} is cut short: it ends within its {header}-byte header.")
    shape = struct.unpack(f">{data[3]}I", data[4:header])
    wanted = header + math.prod(shape)
    if len(data) != wanted:
        raise UsageError(
            f"{where} is {'cut short' if len(data) < wanted else 'too long'}: its header says "
            f"{list(shape)}, {wanted:,} bytes, but it has {len(data):,}."
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def format_idx(array: NDArray[np.uint8]) -> bytes:
    """The bytes of an IDX file that holds `array`. Raises UsageError when IDX cannot hold it."""
    if array.dtype != np.uint8 or not 0 < array.ndim < 256:
        raise UsageError(
            f"An IDX file of bytes cannot hold {array.ndim}-dimensional {array.dtype}; "
            "wanted uint8 of 1 dimension or more."
        )
    header = struct.pack(f">4B{array.ndim}I", 0, 0, _UNSIGNED_BYTE, array.ndim, *array.shape)
    return header + array.tobytes()


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """All bytes of a file, at most `limit`. Raises UsageError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(-1 if limit is None else limit)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that its name never stands for a part of it: beside it, then renamed.

    Raises UsageError when it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            beside.write_bytes(data)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error
