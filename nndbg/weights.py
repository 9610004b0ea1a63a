"""Reads and writes a file of weights, the form in which a trainer leaves what it has learned.

A weights file is little endian: the eight bytes `NNWEIGHT`, then as 32-bit numbers the version 1,
the number of layers L and the L + 1 sizes (inputs first), then for each layer W row by row,
[inputs, outputs], and b, [outputs], as float32, then the CRC-32 of every byte before it.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.dataset.idx import write_whole
from nndbg.errors import UsageError

Weights = dict[str, NDArray[np.float32]]

MAGIC = b"NNWEIGHT"
VERSION = 1

# More than any network that a CPU trains; a damaged header must not decide what we allocate.
MOST_LAYERS = 64
MOST_BYTES = 1 << 30

_HEAD = struct.Struct("<8sII")
_CHECKSUM = struct.Struct("<I")
_F32 = np.dtype("<f4")


def read_weights(path: Path | str) -> Weights:
    """Read a weights file: `W1` of shape [inputs, outputs], `b1` of shape [outputs], `W2`...

    The arrays are read-only; NaN and infinity come through as they are. Raises UsageError when the
    file is missing, not a weights file, of another version, cut short, too long or damaged.
    """
    path = Path(path)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{path} is not a file; a weights file is wanted.")
        if found.st_size > MOST_BYTES:
            raise UsageError(
                f"{path} has {found.st_size:,} bytes; a weights file has at most {MOST_BYTES:,}."
            )
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    return parse_weights(data, path)


def write_weights(path: Path | str, weights: Mapping[str, NDArray[Any]]) -> None:
    """Write `W1`, `b1`, `W2`... as a weights file; the file appears whole or not at all.

    Raises UsageError when they are not the layers of one network, not float32, or when the file
    cannot be written.
    """
    write_whole(Path(path), format_weights(weights))


def parse_weights(data: bytes, where: Path | str) -> Weights:
    """The arrays in the bytes of a weights file; `where` it is from is for the words of the error.

    Every length is checked before the checksum, so that a file that is cut short says so.
    """
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        start = data[: len(MAGIC)].hex(" ")
        raise UsageError(
            f"{where} is not a weights file: it starts with {start}, wanted {MAGIC.hex(' ')} "
            f"({MAGIC.decode()})."
        )
    if len(data) < _HEAD.size:
        raise UsageError(_short(where, data, f"its {_HEAD.size}-byte header"))
    _, version, layers = _HEAD.unpack_from(data)
    if version != VERSION:
        raise UsageError(f"{where} is a weights file of version {version}; wanted {VERSION}.")
    if not 1 <= layers <= MOST_LAYERS:
        raise UsageError(f"{where} says it holds {layers} layers; wanted 1 to {MOST_LAYERS}.")
    start = _HEAD.size + 4 * (layers + 1)
    if len(data) < start:
        raise UsageError(_short(where, data, f"the sizes of its {layers} layers"))
    sizes = struct.unpack_from(f"<{layers + 1}I", data, _HEAD.size)
    if 0 in sizes:
        raise UsageError(f"{where} has a layer of size 0: {_arrows(sizes)}.")
    wanted = _file_size(sizes)
    if wanted > MOST_BYTES:
        raise UsageError(
            f"{where} says its layers are {_arrows(sizes)}, {wanted:,} bytes; a weights file has "
            f"at most {MOST_BYTES:,}. Its header is damaged."
        )
    if len(data) != wanted:
        raise UsageError(
            f"{where} is {'cut short' if len(data) < wanted else 'too long'}: its layers "
            f"{_arrows(sizes)} take {wanted:,} bytes, but it has {len(data):,}."
        )
    body = len(data) - _CHECKSUM.size
    (told,) = _CHECKSUM.unpack_from(data, body)
    computed = zlib.crc32(memoryview(data)[:body])
    if told != computed:
        raise UsageError(
            f"{where} is damaged: its checksum is {told:08x}, its bytes give {computed:08x}. "
            "Train again or restore it."
        )
    return _arrays(data, start, sizes)


def format_weights(weights: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of a weights file that holds `weights`. Raises UsageError when it cannot."""
    sizes = _sizes(weights)
    parts = [_HEAD.pack(MAGIC, VERSION, len(sizes) - 1), struct.pack(f"<{len(sizes)}I", *sizes)]
    for layer in range(1, len(sizes)):
        parts += [weights[f"{part}{layer}"].astype(_F32).tobytes() for part in "Wb"]
    data = b"".join(parts)
    return data + _CHECKSUM.pack(zlib.crc32(data))


def _arrays(data: bytes, start: int, sizes: tuple[int, ...]) -> Weights:
    weights: Weights = {}
    for layer, (inputs, outputs) in enumerate(pairwise(sizes), 1):
        for part, shape in (("W", (inputs, outputs)), ("b", (outputs,))):
            count = int(np.prod(shape))
            array = np.frombuffer(data, _F32, count, start).astype(np.float32, copy=False)
            weights[f"{part}{layer}"] = array.reshape(shape)
            start += _F32.itemsize * count
    return weights


def _sizes(weights: Mapping[str, NDArray[Any]]) -> tuple[int, ...]:
    """The sizes of the network that `weights` are, inputs first."""
    layers = len(weights) // 2
    wanted = {f"{part}{layer}" for layer in range(1, layers + 1) for part in "Wb"}
    if not 1 <= layers <= MOST_LAYERS or set(weights) != wanted:
        names = ", ".join(sorted(weights)) or "nothing"
        raise UsageError(f"A weights file cannot hold {names}; wanted W1, b1, W2, b2 and so on.")
    sizes: list[int] = []
    for layer in range(1, layers + 1):
        W, b = weights[f"W{layer}"], weights[f"b{layer}"]
        if W.dtype != np.float32 or b.dtype != np.float32:
            raise UsageError(f"Layer {layer} is {W.dtype} and {b.dtype}; wanted float32.")
        fits = W.ndim == 2 and W.size and W.shape[1:] == b.shape
        if not fits or (sizes and sizes[-1] != W.shape[0]):
            before = f" after {sizes[-1]} outputs" if sizes else ""
            raise UsageError(
                f"Layer {layer} does not fit: W{layer} is {list(W.shape)} and b{layer} "
                f"{list(b.shape)}{before}."
            )
        sizes = [*(sizes or [W.shape[0]]), W.shape[1]]
    if _file_size(sizes) > MOST_BYTES:
        raise UsageError(f"The layers {_arrows(sizes)} are more than a weights file holds.")
    return tuple(sizes)


def _file_size(sizes: tuple[int, ...] | list[int]) -> int:
    numbers = sum((i + 1) * o for i, o in pairwise(sizes))
    return _HEAD.size + 4 * len(sizes) + _F32.itemsize * numbers + _CHECKSUM.size


def _short(where: Path | str, data: bytes, within: str) -> str:
    return f"{where} is cut short: its {len(data)} bytes end within {within}."


def _arrows(sizes: tuple[int, ...] | list[int]) -> str:
    return " -> ".join(map(str, sizes))
