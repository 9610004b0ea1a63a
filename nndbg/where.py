"""Names the smallest slice that holds a set of elements, as a person would write it in NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def where(buffer: str, mask: NDArray[np.bool_]) -> str:
    """Return the true elements of `mask` as a slice of `buffer`: `z1[:, 120:128]`.

    Where they fill no regular slice it is the smallest one around them, with their share of it:
    `37 of 4096 in W2[0:64, :]`. Empty for a mask without a true element.
    """
    if not mask.any():
        return ""
    if mask.ndim == 0:
        return buffer
    used = [
        np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        for axis in range(mask.ndim)
    ]
    regular = [_stride(indices) for indices in used]
    if all(regular) and bool(mask[np.ix_(*used)].all()):
        axes = [
            _axis(indices, extent, stride or 1)
            for indices, extent, stride in zip(used, mask.shape, regular, strict=True)
        ]
        return f"{buffer}[{', '.join(axes)}]"
    around = [
        _axis(np.arange(i[0], i[-1] + 1), n, 1) for i, n in zip(used, mask.shape, strict=True)
    ]
    inside = int(np.prod([i[-1] + 1 - i[0] for i in used]))
    return f"{np.count_nonzero(mask)} of {inside} in {buffer}[{', '.join(around)}]"


def _stride(indices: NDArray[np.intp]) -> int | None:
    """Return the one distance between the indices, None where there are several."""
    if len(indices) == 1:
        return 1
    gaps = np.diff(indices)
    return int(gaps[0]) if bool((gaps == gaps[0]).all()) else None


def _axis(indices: NDArray[np.intp], extent: int, stride: int) -> str:
    first, last = int(indices[0]), int(indices[-1])
    if len(indices) == 1 and extent > 1:
        return str(first)
    if stride == 1:
        return ":" if len(indices) == extent else f"{first}:{last + 1}"
    return f"{first}:{last + 1}:{stride}"
