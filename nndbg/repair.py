"""What an op should have left in the program's memory, to be written there before it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.capture import Flat
from nndbg.compare import wrong_elements
from nndbg.layermap import LayerMap
from nndbg.ledger import Observation
from nndbg.reference import Bounded


@dataclass(frozen=True)
class Repair:
    """An op of a step whose wrong outputs were written anew; none where it was right.

    `is_late` where it could not be judged when it was complete, as ops before it in the map were
    not, so that nothing could be written.
    """

    step: int
    op: str
    buffers: tuple[str, ...]
    is_late: bool = False


def repaired(layer_map: LayerMap, observation: Observation) -> dict[str, Flat]:
    """Return what the buffers that an op left wrong should hold, from their first element on.

    An output gets the local reference, rounded to the buffer's type, unless that holds a NaN, with
    which nothing agrees; what the op changed and does not own, what was there before it.
    """
    found: dict[str, Flat] = {}
    for name, expected in observation.expected.items():
        actual = observation.capture.shaped(layer_map.buffers[name])
        if wrong_elements(actual, expected)[0].any() and not np.isnan(expected.value).any():
            found[name] = rounded(expected, actual.dtype).reshape(-1)
    for verdict in observation.verdicts:
        name = verdict.subject.buffer
        evidence = observation.evidence.get(name)
        if name not in observation.expected and evidence is not None:
            found[name] = evidence.before.reshape(-1)
    return found


def rounded(expected: Bounded, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the reference in a buffer's type; a number too large for it becomes infinite."""
    if expected.integers is not None:
        return expected.integers.astype(dtype)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return expected.value.astype(dtype)
