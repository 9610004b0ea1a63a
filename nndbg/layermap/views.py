"""Parts of a buffer under a name of their own: a row, a gate, a run of rows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from nndbg.layermap.model import DTYPES, Buffer, Size

_TEXT = re.compile(r"(?P<buffer>\w+)\s*(?:\[(?P<index>[\d\s,]*)\])?")
Shape = tuple[str | int, ...]


class ViewError(ValueError):
    """A part that the buffer does not have."""


def parse_view(text: str) -> tuple[str, tuple[int, ...]]:
    """Return the buffer that `W[1]` is a part of, and the indices. Raises ViewError."""
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise ViewError(f"{text!r} is no part of a buffer; write one such as W[1]")
    return match["buffer"], tuple(int(i) for i in (match["index"] or "").split(",") if i.strip())


def part_of(base: Buffer, index: tuple[int, ...], sizes: Mapping[str, Size]) -> tuple[int, Shape]:
    """Return how many bytes into `base` its element `index` begins, and what shape that has.

    Raises ViewError where there is no such element, or its place is not always the same.
    """
    if len(index) > len(base.shape):
        raise ViewError(
            f"{base.name} has {len(base.shape)} axes, and {len(index)} indices are given"
        )
    inner = base.shape[1:] if index else ()
    varying = [axis for axis in inner if isinstance(axis, str) and not sizes[axis].is_fixed]
    if varying:
        raise ViewError(
            f"the rows of {base.name} have the size {varying[0]}, which is read from the program: "
            "where one begins is not always the same"
        )
    extents = [_largest(axis, sizes) for axis in base.shape]
    for i, extent in zip(index, extents, strict=False):
        if extent is not None and i >= extent:
            raise ViewError(f"{base.name} has no element {i} on an axis of {extent}")
    offset = 0
    for axis, i in enumerate(index):
        offset += i * math.prod(extent or 1 for extent in extents[axis + 1 :])
    return offset * DTYPES[base.dtype].itemsize, base.shape[len(index) :]


def check_inside(part: Buffer, base: Buffer, offset: int, sizes: Mapping[str, Size]) -> None:
    """Raise ViewError where a part reaches beyond the end of its buffer."""
    largest = {size.name: size.largest or 1 for size in sizes.values()}
    end = offset + part.elements(largest) * DTYPES[part.dtype].itemsize
    whole = base.elements(largest) * DTYPES[base.dtype].itemsize
    if end > whole:
        raise ViewError(
            f"it ends {end} bytes behind the beginning of {base.name}, which has {whole}"
        )


def _largest(axis: str | int, sizes: Mapping[str, Size]) -> int | None:
    return axis if isinstance(axis, int) else sizes[axis].largest
