"""Poison: NaNs that name the buffer they were written into, and what they tell when they are found.

A poison is a signalling NaN. One that is still there after an op was never overwritten. Arithmetic
makes it quiet and keeps its payload, so a quiet one was computed with. Source: Intel SDM, volume 1,
section 4.8.3.5 and table 4-7.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.capture import shape
from nndbg.compare import Status, bits
from nndbg.finding import Audit, Finding, Level
from nndbg.layermap import LayerMap, Op
from nndbg.ledger import Observation
from nndbg.where import where

# A float32's fraction has 23 bits: quiet or not, ten that say it is ours, twelve for the buffer.
# A float64 has the same in front of 29 more bits, where a conversion between the two leaves them.
_QUIET = 1 << 22
_TAG = 0b1011010011 << 12
_TAG_BITS = 0b1111111111 << 12
_NUMBER_BITS = (1 << 12) - 1
_SHIFT = {4: 0, 8: 29}
_EXPONENT = {4: 0xFF << 23, 8: 0x7FF << 52}
_NO_POISON = -1

# The status of every output, by op and buffer.
Statuses = Mapping[tuple[str, str], Status]


@dataclass(frozen=True, eq=False)
class Marks:
    """The poison in an array: the number of the buffer it names, or -1; and whether it is quiet."""

    numbers: NDArray[np.int64]
    quiet: NDArray[np.bool_]


def pattern(number: int, itemsize: int) -> bytes:
    """Return the poison of the buffer with this number, as one element of 4 or 8 bytes."""
    word = _EXPONENT[itemsize] | (_TAG | number) << _SHIFT[itemsize]
    return word.to_bytes(itemsize, "little")


def marks(array: NDArray[Any]) -> Marks:
    """Return where a float32 or float64 array holds poison, and of which buffers."""
    size = array.dtype.itemsize
    words = bits(array)
    fraction = (words >> words.dtype.type(_SHIFT[size])).astype(np.int64) & (_QUIET * 2 - 1)
    exponent = words.dtype.type(_EXPONENT[size])
    found = (words & exponent == exponent) & (fraction & _TAG_BITS == _TAG)
    numbers = np.where(found, fraction & _NUMBER_BITS, _NO_POISON)
    return Marks(numbers, found & (fraction & _QUIET != 0))


def numbered(layer_map: LayerMap) -> dict[str, int]:
    """Return the number of each buffer that can be poisoned.

    Floating-point buffers can, where they lie at a symbol: a pointer may still lead somewhere else
    when a step begins. Integers have no value that cannot be meant.
    """
    return {
        buffer.name: number
        for number, buffer in enumerate(layer_map.buffers.values())
        if buffer.dtype in ("f32", "f64")
        and buffer.is_fixed
        and not buffer.is_constant
        and number <= _NUMBER_BITS
    }


def dead_at_the_beginning(ops: Sequence[Op]) -> set[str]:
    """Return the buffers that the ops of a step write before any of them reads them."""
    dead: set[str] = set()
    used: set[str] = set()
    for op in ops:
        used |= op.reads
        dead |= set(op.outputs.values()) - used
        used |= set(op.outputs.values())
    return dead


def dead_before(op: Op, ops: Sequence[Op], complete: Collection[str]) -> set[str]:
    """Return the outputs of `op` that nobody needs any more when it begins.

    Those are none while an op that comes before it in the map is still to read them, and none once
    it has made them.
    """
    if op.name in complete:
        return set()
    earlier = ops[: [other.name for other in ops].index(op.name)]
    awaited = {name for other in earlier if other.name not in complete for name in other.reads}
    return set(op.outputs.values()) - op.reads - awaited


def findings(
    layer_map: LayerMap, observations: Iterable[Observation], clean: Statuses
) -> tuple[Finding, ...]:
    """Return what the poison tells of the ops of a step that was run with it.

    `clean` says how the outputs were judged, by op and buffer, when the step ran without: what was
    right there is only worth a note.
    """
    return tuple(
        finding
        for observation in observations
        if observation.expected
        for finding in _of_op(layer_map, observation, clean)
    )


def _of_op(layer_map: LayerMap, observation: Observation, clean: Statuses) -> Iterator[Finding]:
    op = observation.op
    numbers = numbered(layer_map)
    poisoned, inherited = _poison_of_inputs(layer_map, observation, numbers)
    for name in op.outputs.values():
        status = clean.get((op.name, name))
        if name in numbers and name not in op.reads and status is not None:
            buffer, capture = layer_map.buffers[name], observation.capture
            if name in capture.unwritten:
                at = where(name, shape(capture.unwritten[name], buffer, capture.sizes))
                yield _finding(observation, name, at, _unwritten(op.name, at, status), status)
            found = marks(capture.shaped(buffer))
            for at, says in _tell(op.name, name, found, numbers, inherited):
                yield _finding(observation, name, at, says, status)
            if not poisoned and not status.is_wrong and (found.numbers == _NO_POISON).all():
                yield from _otherwise(observation, name, status)


def _unwritten(op: str, at: str, status: Status) -> str:
    if status.is_wrong:
        return f"{op} never writes {at}"
    return (
        f"{at} is not written by {op}: it holds the right numbers only because they were there "
        "before"
    )


def _tell(
    op: str, name: str, found: Marks, numbers: Mapping[str, int], inherited: Collection[int]
) -> Iterator[tuple[str, str]]:
    """Yield whose poison an op has computed with, each with the elements that show it."""
    for other, number in numbers.items():
        at = "" if number in inherited else where(name, found.numbers == number)
        if at:
            when = "it began" if other == name else "it was written"
            yield at, f"{op} computes {at} with what {other} held before {when}"


def _otherwise(observation: Observation, name: str, status: Status) -> Iterator[Finding]:
    """Yield an output that poison makes wrong, though no NaN in it tells whose."""
    for verdict in observation.verdicts:
        if verdict.subject.buffer == name and verdict.status.is_wrong and not verdict.says:
            says = (
                f"{observation.op.name} makes something else of {verdict.where} where NaNs stand "
                "in what is still to be written"
            )
            yield _finding(observation, name, verdict.where, says, status)
            return


def _finding(observation: Observation, name: str, at: str, says: str, status: Status) -> Finding:
    level = Level.ERROR if status.is_wrong else Level.NOTE
    return Finding(observation.step, observation.op.name, Audit.POISON, level, says, name, at)


def _poison_of_inputs(
    layer_map: LayerMap, observation: Observation, numbers: Mapping[str, int]
) -> tuple[bool, set[int]]:
    """Return whether there is poison in an op's inputs, and which numbers came with them.

    Poison that lies in its own buffer is no inheritance: nobody has written there yet, and who
    reads it is the first.
    """
    poisoned, inherited = False, set()
    for name in observation.op.reads:
        flat = observation.capture.flat.get(name)
        if flat is None or flat.dtype.kind != "f":
            continue
        found = marks(observation.capture.shaped(layer_map.buffers[name]))
        present = found.numbers != _NO_POISON
        poisoned = poisoned or bool(present.any())
        came = present & (found.quiet | (found.numbers != numbers.get(name, _NO_POISON)))
        inherited |= {int(number) for number in np.unique(found.numbers[came])}
    return poisoned, inherited
