"""On which side of zero a run goes, where noise decides between the two.

A ReLU turns at zero, and one that turns the other way moves the weights far further than rounding
does: when the first one does is luck, and differs between two sound runs. So a run takes the number
of its guide where that lies within reach, beyond zero. The reference goes with the program, until
that has left the noise, and the noisy runs go with the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.chain import Operands
from nndbg.reference import Bounded


@dataclass(frozen=True, eq=False)
class Side:
    """The guide's numbers of an input, which of them are positive, and how far noise reaches."""

    guide: NDArray[Any]
    positive: NDArray[np.bool_]
    reach: float

    def turned(self, own: Bounded) -> NDArray[np.bool_] | None:
        """Return which numbers lie across zero within reach, None where none does."""
        other = self.positive != (own.value > 0)
        if not other.any():
            return None
        other &= np.abs(self.guide - own.value) <= self.reach
        return other if other.any() else None


def beside(operands: Operands, sides: Mapping[str, Side]) -> Operands:
    """Return the operands on their guide's side of zero, where noise decides.

    A proven error stays one: the guide's number is the program's, or what the reference has.
    """
    turned = {
        part: Bounded(np.where(turn, side.guide, own.value), own.error)
        for part, side in sides.items()
        if isinstance(own := operands[part], Bounded) and (turn := side.turned(own)) is not None
    }
    return {**operands, **turned}


def turns(own: Bounded | NDArray[Any], side: Side) -> int:
    """Return how many numbers of an operand lie on the other side."""
    turned = side.turned(own) if isinstance(own, Bounded) else None
    return 0 if turned is None else int(np.count_nonzero(turned))
