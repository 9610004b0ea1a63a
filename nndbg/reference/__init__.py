"""What the numbers should be: every kind of op, computed in float64 with a proven error bound."""

from nndbg.reference import (
    activation,
    arithmetic,
    data,
    dense,
    loss,
    random,
    reduction,
    update,
)
from nndbg.reference.bounded import FLOAT32, FLOAT64, Bounded, Format
from nndbg.reference.kinds import KINDS, Kind

# Importing a family of ops is what registers its kinds.
_FAMILIES = (activation, arithmetic, data, dense, loss, random, reduction, update)

__all__ = ["FLOAT32", "FLOAT64", "KINDS", "Bounded", "Format", "Kind"]
