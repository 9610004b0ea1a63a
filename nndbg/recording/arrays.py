"""Arrays in a zip file, one .npy each: equal ones are written once, and read only when wanted."""

from __future__ import annotations

import io
import zlib
from collections.abc import Hashable
from hashlib import blake2b
from weakref import WeakValueDictionary
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy

from nndbg.capture import Flat
from nndbg.errors import UsageError

_DIGEST = 16
_LONGEST_HEADER = 4096
# What zipfile raises on damaged members, by intention and otherwise.
DAMAGE = (BadZipFile, zlib.error, EOFError, KeyError, ValueError, NotImplementedError, RuntimeError)


def member(number: int) -> str:
    """Return the name of an array's file."""
    return f"arrays/{number}.npy"


class ArrayWriter:
    """Writes arrays of one dimension; each has a number, equal ones the same."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self._numbers: dict[bytes, int] = {}
        self._last: dict[Hashable, tuple[Flat, int]] = {}

    def add(self, slot: Hashable, flat: Flat) -> int:
        """Return the number of `flat`, which is written unless it was before.

        `slot` says where it was found: what was found there last is compared first, which is ten
        times quicker than a checksum.
        """
        last = self._last.get(slot)
        is_same = last is not None and _is_same(last[0], flat)
        number = last[1] if last is not None and is_same else self._number(flat)
        # The newest, so that the memory of older captures can be used again.
        self._last[slot] = flat, number
        return number

    def _number(self, flat: Flat) -> int:
        digest = blake2b(flat.dtype.str.encode(), digest_size=_DIGEST)
        digest.update(flat.data)
        number = self._numbers.get(digest.digest())
        if number is None:
            number = self._numbers[digest.digest()] = len(self._numbers)
            with self._archive.open(member(number), "w") as file:
                npy.write_array(file, flat, allow_pickle=False)
        return number


class ArrayReader:
    """Reads arrays of a file that nobody vouches for; one that is in use is read once."""

    def __init__(self, archive: ZipFile, largest: int) -> None:
        """`largest` is the number of bytes that no array may exceed."""
        self._archive = archive
        self._largest = largest
        self._held: WeakValueDictionary[int, Flat] = WeakValueDictionary()

    def __getitem__(self, number: int) -> Flat:
        """Return the array of this number, read-only. Raises UsageError where it is damaged."""
        flat = self._held.get(number)
        if flat is None:
            try:
                flat = self._held[number] = self._read(number)
            except DAMAGE as error:
                raise UsageError(
                    f"{self._archive.filename}: its array {number} is damaged ({error}). "
                    "Copy the recording again."
                ) from error
        return flat

    def _read(self, number: int) -> Flat:
        info = self._archive.getinfo(member(number))
        if info.file_size > self._largest + _LONGEST_HEADER:
            raise ValueError(f"{info.file_size} bytes, more than the map's buffers can have")
        data = self._archive.read(info)
        stream = io.BytesIO(data)
        if npy.read_magic(stream) != (1, 0):
            raise ValueError("not version 1.0 of the .npy format")
        shape, _, dtype = npy.read_array_header_1_0(stream, _LONGEST_HEADER)
        if len(shape) != 1 or dtype.hasobject or not dtype.itemsize:
            raise ValueError(f"{dtype} in {len(shape)} dimensions")
        # The count is held against the bytes that are there.
        return np.frombuffer(data, dtype, shape[0], stream.tell())


def _is_same(one: Flat, other: Flat) -> bool:
    return (
        one.dtype == other.dtype
        and one.size == other.size
        and bool(np.array_equal(one.view(np.uint8), other.view(np.uint8)))
    )
