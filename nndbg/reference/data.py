"""How a batch is taken out of the data set."""

from __future__ import annotations

import numpy as np

from nndbg.reference import bounded
from nndbg.reference.bounded import Bounded, Format, constant, exact
from nndbg.reference.kinds import Integers, kind


@kind("table[s,..] index[n] -> out[n,..]")
def gather(
    table: Bounded | Integers, index: Integers, *, fmt: Format, scale: float = 1
) -> Bounded | Integers:
    """Return table[index] * scale; an index beyond the table has no value, and its row is NaN.

    A scale other than 1 may be a rounded constant: two roundings.
    """
    inside = (index >= 0) & (index < table.shape[0])
    at = np.where(inside, index, 0)
    rows = (
        Bounded(table.value[at], table.error[at])
        if isinstance(table, Bounded)
        else exact(table[at], fmt)
    )
    if not inside.all():
        value = rows.value.copy()
        value[~inside] = np.nan
        rows = Bounded(value, rows.error)
    return rows if scale == 1 else bounded.multiply(rows, *constant(scale, fmt))
