"""Arrays read from the program at one stop, immutable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.finding import Finding
from nndbg.layermap import Buffer

Flat = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Capture:
    """What the buffers held when the program stopped.

    `op` is the op that is complete, None where a step begins; `stop` counts the captures of a
    session from 0. `flat` holds each buffer in one dimension and in its whole reserved extent, by
    name, read-only; `addresses` says where it began. Constant buffers are not in it. `skipped` are
    the ops that this step leaves out, because their condition did not hold as it began. `memory`
    is the bytes that the buffers were read from, gaps between them included, by first address;
    `padding` is, for each buffer, those behind its end that belong to no symbol. `findings` are
    what the audits of the op have to say. In a step run with poison `unwritten` marks, of each
    output, the elements that the op did not write; `flat` has what was there before the poison.
    `found` is what buffers held whose addresses the program told since the stop before. Where a
    step begins, `missed` says of ops of the step before why they were never complete, and `others`
    names the other phases of which a step has begun since that one did, as far as they write what
    a step hands to the next.
    """

    step: int
    op: str | None
    stop: int
    address: int
    sizes: Mapping[str, int]
    addresses: Mapping[str, int]
    flat: Mapping[str, Flat]
    skipped: frozenset[str] = frozenset()
    memory: Mapping[int, memoryview] = field(default_factory=dict)
    padding: Mapping[str, Flat] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    unwritten: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    missed: Mapping[str, str] = field(default_factory=dict)
    found: Mapping[str, Flat] = field(default_factory=dict)
    others: frozenset[str] = frozenset()

    def shaped(self, buffer: Buffer) -> NDArray[Any]:
        """Return `buffer` in its shape at this stop; a view, read-only."""
        return shape(self.flat[buffer.name], buffer, self.sizes)


def shape(flat: Flat, buffer: Buffer, sizes: Mapping[str, int]) -> NDArray[Any]:
    """Return the elements of `flat` that `buffer` has with these sizes, in its shape."""
    extents = buffer.extents(sizes)
    return flat[: math.prod(extents)].reshape(extents)
