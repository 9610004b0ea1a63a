"""Follows the buffers through one step and judges each op, with its inputs as the map orders them.

A program may run its ops in another order than the map has them. That is no mistake where the
numbers come out the same, and is one where they do not: an op is therefore judged once all ops
before it in the map are complete, with what *they* left in its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.capture import Capture, Flat, shape
from nndbg.compare import Mode, Subject, Verdict, bits, judge, judge_unchanged, missing
from nndbg.errors import ProgramError
from nndbg.layermap import Buffer, LayerMap, Op
from nndbg.reference import FLOAT32, FLOAT64, Bounded, Format

_STEP_BEGINS = -1


@dataclass(frozen=True, eq=False)
class Observation:
    """One op of one step, judged: what the program made, what the local reference has."""

    step: int
    op: Op
    capture: Capture
    expected: Mapping[str, Bounded]
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, eq=False)
class _Version:
    """What a buffer held once the op of index `writer` was complete."""

    writer: int
    flat: Flat


class StepLedger:
    """The books of one step: feed it captures in the order of the stops."""

    def __init__(
        self,
        layer_map: LayerMap,
        begin: Capture,
        constant: Callable[[Buffer], Flat],
        modes: Collection[Mode],
    ) -> None:
        self._map = layer_map
        self._constant = constant
        self._modes = modes
        self._begin = begin
        self._last = begin
        self._ops = tuple(op for op in layer_map.ops if op.name not in begin.skipped)
        self._index = {op.name: index for index, op in enumerate(self._ops)}
        self._versions = {name: [_Version(_STEP_BEGINS, flat)] for name, flat in begin.flat.items()}
        self._done: dict[int, Capture] = {}
        self._altered: dict[int, list[tuple[str, Flat, Flat]]] = {}
        self._judged = 0
        self._chain: dict[str, Bounded] = {}

    def see(self, capture: Capture) -> tuple[Observation, ...]:
        """Take the capture of a completed op; returns the ops that can be judged now."""
        if capture.op is None or capture.step != self._begin.step:
            raise ValueError(f"a capture of step {capture.step} is not of this step")
        index = self._index[capture.op]
        self._note_changes(index, capture)
        self._last = capture
        self._done[index] = capture
        if index < self._judged:
            return (self._judge(index),)
        found: list[Observation] = []
        while self._judged in self._done:
            found.append(self._judge(self._judged))
            self._judged += 1
        return tuple(found)

    def end(self) -> tuple[Observation, ...]:
        """Close the step: ops that were never complete are unwritten, those after them judged."""
        found = [
            self._judge(index) if index in self._done else self._missed(index)
            for index in range(self._judged, len(self._ops))
        ]
        self._judged = len(self._ops)
        return tuple(found)

    def _note_changes(self, index: int, capture: Capture) -> None:
        outputs = set(self._ops[index].outputs.values())
        for name, flat in capture.flat.items():
            versions = self._versions.setdefault(name, [])
            if name in outputs:
                versions.append(_Version(index, flat))
                continue
            last = self._last.flat.get(name)
            moved = (
                last is None
                or last.size != flat.size
                or self._last.addresses[name] != capture.addresses[name]
            )
            if last is None or moved:
                # Another array under the same name, set up for this op.
                versions.append(_Version(index - 1, flat))
            elif not _same_bits(last, flat):
                versions.append(_Version(index, flat))
                self._altered.setdefault(index, []).append((name, flat, last))

    def _judge(self, index: int) -> Observation:
        op, capture = self._ops[index], self._done[index]
        sizes = capture.sizes
        inputs = {
            part: self._before(index, self._map.buffers[name], sizes)
            for part, name in op.inputs.items()
        }
        results = op.kind.compute(inputs, self._format(op), op.parameters)
        expected = {name: results[part] for part, name in op.outputs.items()}
        verdicts = [*self._verdicts(index, Mode.LOCAL, expected)]
        if Mode.LOCAL not in self._modes:
            verdicts.clear()
        verdicts += [
            judge_unchanged(self._subject(op, name, Mode.LOCAL), *self._reserved(name, flat, last))
            for name, flat, last in self._altered.get(index, ())
        ]
        if Mode.CHAIN in self._modes:
            chained = {
                part: self._chain.get(name, inputs[part]) for part, name in op.inputs.items()
            }
            results = op.kind.compute(chained, self._format(op), op.parameters)
            followed = {name: results[part] for part, name in op.outputs.items()}
            self._chain.update(
                (name, value)
                for name, value in followed.items()
                if self._map.buffers[name].dtype in ("f32", "f64")
            )
            verdicts += self._verdicts(index, Mode.CHAIN, followed)
        return Observation(self._begin.step, op, capture, expected, tuple(verdicts))

    def _verdicts(self, index: int, mode: Mode, expected: Mapping[str, Bounded]) -> list[Verdict]:
        op, capture = self._ops[index], self._done[index]
        return [
            judge(
                self._subject(op, name, mode),
                capture.shaped(self._map.buffers[name]),
                self._before(index, self._map.buffers[name], capture.sizes),
                value,
            )
            for name, value in expected.items()
        ]

    def _missed(self, index: int) -> Observation:
        op = self._ops[index]
        sizes = self._last.sizes
        verdicts = tuple(
            missing(self._subject(op, name, Mode.LOCAL), self._map.buffers[name].elements(sizes))
            for name in op.outputs.values()
        )
        return Observation(self._begin.step, op, self._last, {}, verdicts)

    def _subject(self, op: Op, buffer: str, mode: Mode) -> Subject:
        return Subject(self._begin.step, op.name, op.kind.name, buffer, mode)

    def _before(self, index: int, buffer: Buffer, sizes: Mapping[str, int]) -> NDArray[Any]:
        """Return what the ops before `index` in the map left in `buffer`."""
        if buffer.elements(sizes) == 0:
            raise ProgramError(
                f"{self._map.at('buffers', buffer.name)}: {buffer.name} has no elements when "
                f"{self._ops[index].name} is complete: one of its sizes is 0. "
                "Is the boundary before the size is set?"
            )
        if buffer.is_constant:
            return shape(self._constant(buffer), buffer, sizes)
        versions = self._versions.get(buffer.name, [])
        flat = next((v.flat for v in reversed(versions) if v.writer < index), None)
        if flat is None:
            raise ProgramError(
                f"{self._map.at('buffers', buffer.name)}: the pointer of {buffer.name} is null "
                f"when {self._ops[index].name} is complete."
            )
        return shape(flat, buffer, sizes)

    def _reserved(self, name: str, flat: Flat, last: Flat) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return both versions of a buffer in its whole reserved extent."""
        buffer = self._map.buffers[name]
        if buffer.is_pointer:
            return flat, last
        largest = {size.name: size.largest or 1 for size in self._map.sizes.values()}
        return shape(flat, buffer, largest), shape(last, buffer, largest)

    def _format(self, op: Op) -> Format:
        """Return the format that an op computes in: that of its outputs, else of its inputs."""
        names = [*op.outputs.values(), *op.inputs.values()]
        dtypes = [self._map.buffers[name].dtype for name in names]
        floating = [dtype for dtype in dtypes if dtype in ("f32", "f64")]
        return FLOAT64 if floating and floating[0] == "f64" else FLOAT32


def _same_bits(a: Flat, b: Flat) -> bool:
    return bool(np.array_equal(bits(a), bits(b)))
