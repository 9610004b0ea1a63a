"""Names the smallest slice or pattern that holds a set of elements, as a person would write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]

# Vector loops repeat after at most so many elements.
_LONGEST_PERIOD = 64
# Above this many elements two slices are not looked for one by one.
_MOST_SPLIT = 1 << 22


@dataclass(frozen=True)
class _Axis:
    """How the indices along one axis are written: as a slice, and as a pattern in words."""

    text: str
    pattern: tuple[int, int, int] | None = None


def where(buffer: str, mask: Mask) -> str:
    """Return the true elements of `mask` as a slice of `buffer`: `z1[:, 120:128]`, `z1[:, 7::8]`.

    Two slices where both together are exact: `z[0, :] and z[:, 9]`. What repeats is told in words
    behind a slice: `z1[:, :], columns 4 to 7 of every 8`, as are the diagonal and what lies above
    or below it. Otherwise it is the smallest such place around the elements, with their share of
    it: `37 of 4096 in W2[0:64, :]`. Empty for a mask without a true element.
    """
    if not mask.any():
        return ""
    if mask.ndim == 0:
        return buffer
    used = _used(mask)
    filled = bool(mask[np.ix_(*used)].all())
    axes = [_axis(indices, extent) for indices, extent in zip(used, mask.shape, strict=True)]
    if filled and (exact := _written(buffer, axes)):
        return exact
    if two := _two_slices(buffer, mask):
        return two
    if shape := _beside_the_diagonal(buffer, mask):
        return shape
    around = [axis or _around(i, n) for axis, i, n in zip(axes, used, mask.shape, strict=True)]
    text = _written(buffer, around) or _written(
        buffer, [_around(i, n) for i, n in zip(used, mask.shape, strict=True)]
    )
    inside = _inside(used, axes)
    return f"{np.count_nonzero(mask)} of {inside} in {text}"


def _used(mask: Mask) -> list[Indices]:
    """Return, per axis, the indices at which any element is true."""
    return [
        np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        for axis in range(mask.ndim)
    ]


def _written(buffer: str, axes: Sequence[_Axis | None]) -> str:
    """Return the slice of these axes, empty where one has no form or two are patterns."""
    if any(axis is None for axis in axes):
        return ""
    known = [axis for axis in axes if axis is not None]
    text = f"{buffer}[{', '.join(axis.text for axis in known)}]"
    patterns = [(place, axis.pattern) for place, axis in enumerate(known) if axis.pattern]
    if not patterns:
        return text
    if len(patterns) > 1 or len(known) > 2:
        return ""
    ((place, (first, last, period)),) = patterns
    word = "elements" if len(known) == 1 else "rows" if place == 0 else "columns"
    return f"{text}, {word} {first} to {last} of every {period}"


def _axis(indices: Indices, extent: int) -> _Axis | None:
    """Return the exact form of the indices along an axis, None where they have none."""
    first, last = int(indices[0]), int(indices[-1])
    if len(indices) == extent:
        return _Axis(":")
    if len(indices) == 1:
        return _Axis(str(first))
    gaps = np.diff(indices)
    stride = int(gaps[0])
    if (gaps == 1).all():
        return _Axis(f"{first}:{last + 1}")
    if (gaps == stride).all() and (len(indices) > 2 or 2 * stride == extent):
        begin = str(first) if first else ""
        return _Axis(
            f"{begin}::{stride}" if last + stride >= extent else f"{first}:{last + 1}:{stride}"
        )
    pattern = _period(indices, extent)
    return _Axis(":", pattern) if pattern else None


def _period(indices: Indices, extent: int) -> tuple[int, int, int] | None:
    """Return (first, last, period) where one run of indices repeats over the whole axis."""
    held = np.zeros(extent, np.bool_)
    held[indices] = True
    for period in range(3, min(_LONGEST_PERIOD, extent // 2) + 1):
        if (held[period:] == held[:-period]).all():
            run = np.flatnonzero(held[:period])
            first, last = int(run[0]), int(run[-1])
            return (first, last, period) if last - first + 1 == len(run) else None
    return None


def _around(indices: Indices, extent: int) -> _Axis:
    """Return the smallest run of indices around these."""
    first, last = int(indices[0]), int(indices[-1])
    return _Axis(":" if last - first + 1 == extent else f"{first}:{last + 1}")


def _inside(used: list[Indices], axes: list[_Axis | None]) -> int:
    """Return how many elements the place around the true ones has."""
    is_told = bool(_written("", [axis or _Axis(":") for axis in axes]))
    counts = [
        len(i) if axis and is_told else int(i[-1] - i[0]) + 1
        for i, axis in zip(used, axes, strict=True)
    ]
    return int(np.prod(counts))


def _two_slices(buffer: str, mask: Mask) -> str:
    """Return two slices that hold the elements exactly, together; empty where none do."""
    if mask.size > _MOST_SPLIT:
        return ""
    for axis in range(mask.ndim):
        for first in _sides(mask, axis):
            rest = mask & ~first
            # A whole line through a place that the other slice also holds stays whole.
            for second in (_widened(mask, rest), rest):
                texts = [_slice(buffer, part) for part in (first, second)]
                if all(texts):
                    return " and ".join(texts)
    return ""


def _sides(mask: Mask, axis: int) -> list[Mask]:
    """Return parts of the elements that may be one of two slices, cut across `axis`."""
    rows = np.moveaxis(mask, axis, 0).reshape(mask.shape[axis], -1)
    used = np.flatnonzero(rows.any(axis=1))
    full = np.flatnonzero(rows.all(axis=1))
    ends = used[1:][np.diff(used) > 1]
    # Where the cross-section changes, or where there is a gap.
    changes = [int(i) for i in used[1:] if not np.array_equal(rows[i], rows[i - 1])]
    cuts: list[Indices] = []
    if len(full) and len(full) < len(used):
        cuts.append(full)
    for cut in dict.fromkeys([*changes[:2], *(int(i) for i in ends[:2])]):
        cuts.append(used[used < cut])
    sides = []
    for chosen in cuts:
        keep = np.zeros(mask.shape[axis], np.bool_)
        keep[chosen] = True
        shape = [1] * mask.ndim
        shape[axis] = -1
        sides.append(mask & keep.reshape(shape))
    return sides


def _widened(mask: Mask, rest: Mask) -> Mask:
    """Return the smallest box of `rest`'s used lines, where all of it is true in `mask`."""
    if not rest.any():
        return rest
    widened = np.zeros_like(mask)
    # Over the whole of each axis along which the lines of `rest` are whole in the mask.
    used = [
        np.arange(extent) if len(i) * 2 > extent else i
        for i, extent in zip(_used(rest), mask.shape, strict=True)
    ]
    widened[np.ix_(*used)] = True
    return widened if not (widened & ~mask).any() else rest


def _slice(buffer: str, mask: Mask) -> str:
    """Return the one plain slice that the elements are, empty where they are none."""
    if not mask.any():
        return ""
    used = _used(mask)
    if not mask[np.ix_(*used)].all():
        return ""
    axes = [_axis(indices, extent) for indices, extent in zip(used, mask.shape, strict=True)]
    return "" if any(axis and axis.pattern for axis in axes) else _written(buffer, axes)


def _beside_the_diagonal(buffer: str, mask: Mask) -> str:
    if mask.ndim != 2 or min(mask.shape) < 3:
        return ""
    rows, columns = np.indices(mask.shape)
    for held, words in (
        (rows == columns, "the diagonal of {}"),
        (rows >= columns, "{} on and below its diagonal"),
        (rows > columns, "{} below its diagonal"),
        (rows < columns, "{} above its diagonal"),
        (rows <= columns, "{} on and above its diagonal"),
    ):
        if np.array_equal(mask, held):
            return words.format(buffer)
    return ""
