"""Follows the buffers through one step and judges each op, with its inputs as the map orders them.

A program may run its ops in another order than the map has them. That is no mistake where the
numbers come out the same, and is one where they do not: an op is therefore judged once all ops
before it in the map are complete, with what *they* left in its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from nndbg.capture import Capture, Flat, shape
from nndbg.compare import (
    Mode,
    Subject,
    Verdict,
    judge,
    judge_padding,
    judge_unchanged,
    missing,
)
from nndbg.diagnose import Evidence
from nndbg.errors import ProgramError
from nndbg.history import History, Stray
from nndbg.layermap import Buffer, LayerMap, Op
from nndbg.reference import FLOAT32, FLOAT64, Bounded, Format

Inputs = Mapping[str, NDArray[Any]]

_CHANGES = "{op} changed {buffer}, which is none of its outputs"
_CHANGES_LATE = "{buffer} changed behind {op}, before the next step began, and no op does that"


@dataclass(frozen=True, eq=False)
class Observation:
    """One op of one step, judged: what the program made, what the local reference has.

    `evidence` holds what a diagnosis needs, for each output that is wrong by the local reference.
    """

    step: int
    op: Op
    capture: Capture
    expected: Mapping[str, Bounded]
    verdicts: tuple[Verdict, ...]
    evidence: Mapping[str, Evidence]


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
        self._constants: dict[str, Flat] = {}
        self._step = begin.step
        self._ops = tuple(op for op in layer_map.ops if op.name not in begin.skipped)
        self._index = {op.name: index for index, op in enumerate(self._ops)}
        self._history = History(self._ops, begin)
        for name in {name for op in self._ops for name in op.inputs.values()}:
            buffer = layer_map.buffers[name]
            if (
                buffer.is_constant
                and begin.addresses.get(name) != 0
                and buffer.elements(begin.sizes)
            ):
                # Now, before the step can lead its pointer astray.
                self._constants[name] = constant(buffer)
        self._strays: dict[int, list[Stray]] = {}
        self._judged = 0
        self._chain: dict[str, Bounded] = {}

    def see(self, capture: Capture) -> tuple[Observation, ...]:
        """Take the capture of a completed op; returns what can be judged now."""
        if capture.op is None or capture.step != self._step:
            raise ValueError(f"a capture of step {capture.step} is not of this step")
        index = self._index[capture.op]
        self._strays[index] = self._history.note(index, capture)
        if index < self._judged:
            return tuple(self._judge(index))
        found: list[Observation] = []
        while self._judged in self._history.done:
            found += self._judge(self._judged)
            self._judged += 1
        return tuple(found)

    def end(self, begin: Capture) -> tuple[Observation, ...]:
        """Close the step where the next one begins: an op that was never complete is unwritten."""
        found = self._rest(range(self._judged, len(self._ops)))
        strays = self._history.between_steps(begin)
        return (
            *found,
            *self._late(strays, _CHANGES_LATE),
        )

    @property
    def is_complete(self) -> bool:
        """Whether every op of the step has been complete."""
        return len(self._history.done) == len(self._ops)

    def has_judged(self, op: str) -> bool:
        """Whether `op` was judged in this step, or is left out of it."""
        return self._index.get(op, -1) < self._judged

    @property
    def last_op(self) -> str | None:
        """The op that was complete last, None where none was."""
        return self._history.last.op

    def abandon(self) -> tuple[Observation, ...]:
        """Close a step that was cut short: judge what is complete, and what that waited for.

        Of the ops behind the last complete one nothing is known.
        """
        return self._rest(range(self._judged, max(self._history.done, default=-1) + 1))

    def _rest(self, indices: range) -> tuple[Observation, ...]:
        found: list[Observation] = []
        for index in indices:
            if index in self._history.done:
                found += self._judge(index)
            else:
                found += self._missed(index)
        self._judged = max(self._judged, indices.stop)
        return tuple(found)

    def _judge(self, index: int) -> list[Observation]:
        op = self._ops[index]
        inputs, expected, local = self._local(index)
        strays = self._strays.pop(index, [])
        if _any_wrong(local) and (own := self._history.take_back(index)):
            again = self._local(index)
            if not _any_wrong(again[2]):
                inputs, expected, local = again
                strays += own
        verdicts = local if Mode.LOCAL in self._modes else []
        verdicts += [self._stray(stray) for stray in strays]
        if Mode.CHAIN in self._modes:
            verdicts += self._verdicts(index, Mode.CHAIN, self._follow(index, inputs))
        judged = Observation(
            step=self._step,
            op=op,
            capture=self._history.done[index],
            expected=expected,
            verdicts=tuple(verdicts),
            evidence=self._evidence(index, inputs, expected, verdicts),
        )
        agrees = not _any_wrong(verdicts)
        return [judged, *self._late(self._history.settle(index, agrees))]

    def _local(self, index: int) -> tuple[Inputs, dict[str, Bounded], list[Verdict]]:
        """Return the op's inputs, what it should have made of them, and the verdicts on that."""
        op, sizes = self._ops[index], self._history.done[index].sizes
        inputs = {
            part: self._before(index, self._map.buffers[name], sizes)
            for part, name in op.inputs.items()
        }
        results = op.kind.compute(inputs, self._format(op), op.parameters)
        expected = {name: results[part] for part, name in op.outputs.items()}
        return inputs, expected, self._verdicts(index, Mode.LOCAL, expected)

    def _follow(self, index: int, inputs: Inputs) -> dict[str, Bounded]:
        """Return what the op should have made of the reference's own outputs in this step."""
        op = self._ops[index]
        chained = {part: self._chain.get(name, inputs[part]) for part, name in op.inputs.items()}
        results = op.kind.compute(chained, self._format(op), op.parameters)
        followed = {name: results[part] for part, name in op.outputs.items()}
        self._chain.update(
            (name, value)
            for name, value in followed.items()
            if self._map.buffers[name].dtype in ("f32", "f64")
        )
        return followed

    def _verdicts(self, index: int, mode: Mode, expected: Mapping[str, Bounded]) -> list[Verdict]:
        op, capture = self._ops[index], self._history.done[index]
        return [
            judge(
                self._subject(op, name, mode),
                capture.shaped(self._map.buffers[name]),
                self._before(index, self._map.buffers[name], capture.sizes),
                value,
            )
            for name, value in expected.items()
        ]

    def _evidence(
        self,
        index: int,
        inputs: Inputs,
        expected: Mapping[str, Bounded],
        verdicts: Sequence[Verdict],
    ) -> dict[str, Evidence]:
        op, capture = self._ops[index], self._history.done[index]
        wrong = {v.subject.buffer for v in verdicts if v.status.is_wrong}
        if not wrong & expected.keys():
            return {}
        entered, begin = self._history.entered[index], self._history.begin
        buffers = [b for b in self._map.buffers.values() if b.name in entered.flat]
        return {
            name: Evidence(
                op=op,
                part=part,
                buffer=name,
                actual=capture.shaped(self._map.buffers[name]),
                before=self._before(index, self._map.buffers[name], capture.sizes),
                expected=expected[name],
                inputs=inputs,
                shapes={p: self._map.buffers[name].shape for p, name in op.inputs.items()},
                others={b.name: shape(entered.flat[b.name], b, capture.sizes) for b in buffers},
                stale={
                    b.name: shape(begin.flat[b.name], b, capture.sizes)
                    for b in buffers
                    if b.name in begin.flat and not b.is_pointer
                },
                sizes=capture.sizes,
                addresses=capture.addresses,
                memory=entered.memory,
                fmt=self._format(op),
            )
            for part, name in op.outputs.items()
            if name in wrong
        }

    def _missed(self, index: int) -> list[Observation]:
        op, last = self._ops[index], self._history.last
        verdicts = tuple(
            missing(
                self._subject(op, name, Mode.LOCAL),
                self._map.buffers[name].elements(last.sizes),
            )
            for name in op.outputs.values()
        )
        missed = Observation(self._step, op, last, {}, verdicts, {})
        return [missed, *self._late(self._history.settle(index, agrees=False))]

    def _late(self, strays: Iterable[Stray], says: str = _CHANGES) -> list[Observation]:
        """Return changes that turn out to be wrong after their op was judged."""
        return [
            Observation(
                step=self._step,
                op=self._ops[stray.op],
                capture=self._history.done.get(stray.op, self._history.last),
                expected={},
                verdicts=(self._stray(stray, says),),
                evidence={},
            )
            for stray in strays
        ]

    def _stray(self, stray: Stray, says: str = _CHANGES) -> Verdict:
        op = self._ops[stray.op]
        subject = self._subject(op, stray.buffer, Mode.LOCAL)
        if stray.is_padding:
            return judge_padding(subject, stray.after, stray.before)
        arrays = self._reserved(stray.buffer, stray.after, stray.before)
        return judge_unchanged(subject, *arrays, says.format(op=op.name, buffer=stray.buffer))

    def _subject(self, op: Op, buffer: str, mode: Mode) -> Subject:
        return Subject(self._step, op.name, op.kind.name, buffer, mode)

    def _before(self, index: int, buffer: Buffer, sizes: Mapping[str, int]) -> NDArray[Any]:
        """Return what the ops before `index` in the map left in `buffer`."""
        if buffer.elements(sizes) == 0:
            raise ProgramError(
                f"{self._map.at('buffers', buffer.name)}: {buffer.name} has no elements when "
                f"{self._ops[index].name} is complete: one of its sizes is 0. "
                "Is the boundary before the size is set?"
            )
        if buffer.is_constant:
            known = self._constants.get(buffer.name)
            return shape(self._constant(buffer) if known is None else known, buffer, sizes)
        flat = self._history.before(index, buffer.name)
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


def _any_wrong(verdicts: Iterable[Verdict]) -> bool:
    return any(verdict.status.is_wrong for verdict in verdicts)
