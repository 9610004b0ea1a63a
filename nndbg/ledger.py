"""Follows the buffers through one step and judges each op, with its inputs as the map orders them.

A program may run its ops in another order than the map has them. That is no mistake where the
numbers come out the same, and is one where they do not: an op is therefore judged once all ops
before it in the map are complete, with what *they* left in its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.beside import Beside, estimated
from nndbg.capture import Capture, Flat, shape
from nndbg.chain import Chain, Inputs, format_of
from nndbg.compare import (
    Mode,
    Subject,
    Verdict,
    judge,
    judge_padding,
    judge_unchanged,
    missing,
)
from nndbg.diagnose import Diagnosis, Evidence, diagnose, not_reached
from nndbg.errors import ProgramError, UsageError
from nndbg.finding import Finding
from nndbg.history import History, Stray
from nndbg.layermap import Buffer, LayerMap, Op
from nndbg.reference import Bounded, Kind

_CHANGES = "{op} changed {buffer}, which is none of its outputs"
_CHANGES_LATE = "{buffer} changed behind {op}, before the next step began, and no op does that"


@dataclass(frozen=True, eq=False)
class Observation:
    """One op of one step, judged: what the program made, what the local reference has.

    `evidence` holds what a diagnosis needs, for each buffer that is wrong by the local reference;
    `findings` is what was seen of the op besides its numbers. `inputs`, by part, and `before`, by
    output, are what the ops before it in the map left there; both are empty where the op itself is
    not what was judged. Where it never came to its boundary it is not reached, and `capture` is
    the last before.
    """

    step: int
    op: Op
    capture: Capture
    expected: Mapping[str, Bounded]
    verdicts: tuple[Verdict, ...]
    evidence: Mapping[str, Evidence]
    findings: tuple[Finding, ...] = ()
    inputs: Inputs = field(default_factory=dict)
    before: Inputs = field(default_factory=dict)
    is_reached: bool = True

    def explain(self, verdict: Verdict) -> tuple[Diagnosis, ...]:
        """Return which mistakes explain a verdict that finds this op wrong, the best first."""
        subject = verdict.subject
        if not self.is_reached:
            return (not_reached(subject.op, subject.step, verdict.bad),)
        evidence = self.evidence.get(subject.buffer)
        return diagnose(evidence) if evidence is not None else ()


@dataclass(frozen=True, eq=False)
class StepRecord:
    """What was captured of one step, to be judged later or elsewhere: it depends on no program.

    `end` is where the next step begins, None where the program ended. `constants` are the constant
    buffers that its ops take, in one dimension. `failure` is what cut it short.
    """

    begin: Capture
    done: tuple[Capture, ...]
    end: Capture | None
    constants: Mapping[str, Flat]
    failure: ProgramError | None = None

    def is_whole(self, layer_map: LayerMap) -> bool:
        """Whether every op of the step was complete."""
        missing = {op.name for op in layer_map.ops} - self.begin.skipped
        return missing <= {capture.op for capture in self.done}


def judge_record(
    layer_map: LayerMap, record: StepRecord, modes: Collection[Mode], writes: bool = True
) -> Iterator[Observation]:
    """Yield the ops of a step that was recorded, as a StepLedger judges them."""
    ledger = StepLedger(
        layer_map, record.begin, lambda buffer: record.constants[buffer.name], modes, writes
    )
    for capture in record.done:
        yield from ledger.see(capture)
    yield from ledger.end(record.end) if record.end is not None else ledger.abandon()


def constants_at(layer_map: LayerMap, begin: Capture) -> list[Buffer]:
    """Return the constant buffers that are there where a step begins, if an op of it takes one."""
    constants = [b for b in layer_map.buffers.values() if b.is_constant]
    taken = {
        name for op in layer_map.ops if op.name not in begin.skipped for name in op.inputs.values()
    }
    if not any(buffer.name in taken for buffer in constants):
        return []
    return [b for b in constants if begin.addresses.get(b.name) != 0 and b.elements(begin.sizes)]


class StepLedger:
    """The books of one step: feed it captures in the order of the stops.

    Without `writes`, a buffer that changes although no op owns up to it gets no verdict.
    """

    def __init__(
        self,
        layer_map: LayerMap,
        begin: Capture,
        constant: Callable[[Buffer], Flat],
        modes: Collection[Mode],
        writes: bool = True,
    ) -> None:
        self._map = layer_map
        self._constant = constant
        self._modes = modes
        self._writes = writes
        self._step = begin.step
        self._ops = tuple(op for op in layer_map.ops if op.name not in begin.skipped)
        self._index = {op.name: index for index, op in enumerate(self._ops)}
        self._history = History(layer_map, self._ops, begin)
        # Now, before the step can lead a pointer astray.
        self._constants = {b.name: constant(b) for b in constants_at(layer_map, begin)}
        self._strays: dict[int, list[Stray]] = {}
        self._judged = 0
        # Of ops that were never complete, how that came about.
        self._reasons: Mapping[str, str] = {}
        self._chain = Chain(layer_map)
        self._beside = Beside(layer_map, self._ops)

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

    def heal(self, op: str, capture: Capture) -> None:
        """Go on from what was written into the buffers after `op`, and was captured again."""
        self._history.heal(self._index[op], capture)

    def end(self, begin: Capture) -> tuple[Observation, ...]:
        """Close the step where the next one begins: an op that was never complete is unwritten."""
        self._reasons = begin.missed
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
        verdicts += [self._stray(stray) for stray in strays if self._writes]
        # A chain may be wrong because of an op before: this one does its own work all the same.
        agrees = not _any_wrong([*local, *verdicts])
        if Mode.CHAIN in self._modes:
            verdicts += self._verdicts(index, Mode.CHAIN, self._chain.follow(op, inputs))
        verdicts += self._own(index, agrees)
        judged = Observation(
            step=self._step,
            op=op,
            capture=self._history.done[index],
            expected=expected,
            verdicts=tuple(verdicts),
            evidence={
                **self._of_strays(strays),
                **self._evidence(index, inputs, expected, verdicts),
            },
            findings=self._history.done[index].findings,
            inputs=inputs,
            before=self._outputs_before(index, self._history.done[index].sizes),
        )
        return [judged, *self._late(self._history.settle(index, agrees))]

    def _local(self, index: int) -> tuple[Inputs, dict[str, Bounded], list[Verdict]]:
        """Return the op's inputs, what it should have made of them, and the verdicts on that."""
        op, sizes = self._ops[index], self._history.done[index].sizes
        inputs = self._inputs(index, sizes)
        results = op.kind.compute(inputs, format_of(self._map, op), op.parameters)
        expected = {name: results[part] for part, name in op.outputs.items()}
        return inputs, expected, self._verdicts(index, Mode.LOCAL, expected)

    def _own(self, index: int, agrees: bool) -> list[Verdict]:
        """Return what the user's own reference of the step has to say of an op."""
        sizes = self._history.done[index].sizes

        def before(first: int, name: str) -> NDArray[Any]:
            return self._before(first, self._map.buffers[name], sizes)

        expected, kind = self._beside.expected(index, before), self._beside.kind
        return self._verdicts(index, Mode.OWN, expected, kind, agrees) if kind else []

    def _inputs(self, index: int, sizes: Mapping[str, int]) -> Inputs:
        since = self._beside.since(index)
        return {
            part: self._before(since, self._map.buffers[name], sizes)
            for part, name in self._ops[index].inputs.items()
        }

    def _outputs_before(self, index: int, sizes: Mapping[str, int]) -> Inputs:
        return {
            name: self._before(index, self._map.buffers[name], sizes)
            for name in self._ops[index].outputs.values()
        }

    def _verdicts(
        self,
        index: int,
        mode: Mode,
        expected: Mapping[str, Bounded],
        kind: Kind | None = None,
        agrees: bool = False,
    ) -> list[Verdict]:
        """Return the verdicts by a kind, the op's unless given; `agrees` is what the op's says."""
        op, capture = self._ops[index], self._history.done[index]
        kind = kind or op.kind
        found = []
        for name, value in expected.items():
            actual = capture.shaped(self._map.buffers[name])
            if kind.source and value.shape != actual.shape:
                raise UsageError(
                    f"{kind.source} returns {name} {list(value.shape)}, and the buffer is "
                    f"{list(actual.shape)}. Correct the reference, or the shape in the layer map."
                )
            before = self._before(index, self._map.buffers[name], capture.sizes)
            subject = replace(self._subject(op, name, mode), kind=kind.name)
            verdict = judge(subject, actual, before, value)
            found.append(estimated(verdict, kind.source, agrees) if kind.source else verdict)
        return found

    def _evidence(
        self,
        index: int,
        inputs: Inputs,
        expected: Mapping[str, Bounded],
        verdicts: Sequence[Verdict],
    ) -> dict[str, Evidence]:
        op, capture = self._ops[index], self._history.done[index]
        own = Mode.OWN
        wrong = {v.subject.buffer for v in verdicts if v.status.is_wrong and v.subject.mode != own}
        if not wrong & expected.keys():
            return {}
        return {
            name: self._known(
                index,
                part=part,
                buffer=name,
                actual=capture.shaped(self._map.buffers[name]),
                before=self._before(index, self._map.buffers[name], capture.sizes),
                expected=expected[name],
                inputs=inputs,
                tables=self._tables(op, capture.sizes),
                makers=self._history.makers(index),
                changers=self._history.changers(index),
            )
            for part, name in op.outputs.items()
            if name in wrong
        }

    def _stray_evidence(self, stray: Stray) -> Evidence | None:
        """Return what is known of a buffer that an op changed and does not own."""
        if stray.is_padding or stray.op not in self._history.done:
            return None
        after, before = self._reserved(stray.buffer, stray.after, stray.before)
        expected = Bounded(before.astype(np.float64), np.zeros(before.shape))
        return self._known(
            stray.op,
            part="",
            buffer=stray.buffer,
            actual=after,
            before=before,
            expected=expected,
            inputs={},
        )

    def _known(self, index: int, **own: Any) -> Evidence:
        """Return evidence of an output, completed by what all of the op's have in common."""
        op, capture = self._ops[index], self._history.done[index]
        entered, begin = self._history.entered[index], self._history.begin
        buffers = [b for b in self._map.buffers.values() if b.name in entered.flat]
        return Evidence(
            op=op,
            shapes={p: self._map.buffers[name].shape for p, name in op.inputs.items()},
            others={b.name: shape(entered.flat[b.name], b, capture.sizes) for b in buffers},
            stale={
                b.name: shape(begin.flat[b.name], b, capture.sizes)
                for b in buffers
                if b.name in begin.flat and b.is_fixed
            },
            sizes=capture.sizes,
            addresses=capture.addresses,
            memory=entered.memory,
            after=capture.memory,
            fmt=format_of(self._map, op),
            roles=self._roles(),
            **own,
        )

    def _tables(self, op: Op, sizes: Mapping[str, int]) -> dict[str, NDArray[Any]]:
        """Return the constant buffers, where the op reads one: it may be the wrong one."""
        if not self._constants.keys() & op.inputs.values():
            return {}
        buffers = self._map.buffers
        return {n: shape(flat, buffers[n], sizes) for n, flat in self._constants.items()}

    def _roles(self) -> dict[str, frozenset[str]]:
        roles: dict[str, set[str]] = {}
        for op in self._ops:
            for part, name in op.inputs.items():
                roles.setdefault(name, set()).add(f"{op.kind.name}.{part}")
        return {name: frozenset(parts) for name, parts in roles.items()}

    def _missed(self, index: int) -> list[Observation]:
        op, last = self._ops[index], self._history.last
        verdicts = tuple(
            missing(
                self._subject(op, name, Mode.LOCAL),
                self._map.buffers[name].elements(last.sizes),
                self._reasons.get(op.name, ""),
            )
            for name in op.outputs.values()
        )
        try:
            inputs, before = (
                self._inputs(index, last.sizes),
                self._outputs_before(index, last.sizes),
            )
        except ProgramError:
            # What the op would have been given may be missing as the op is.
            inputs, before = {}, {}
        missed = Observation(
            self._step, op, last, {}, verdicts, {}, (), inputs, before, is_reached=False
        )
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
                evidence=self._of_strays([stray]),
            )
            for stray in strays
            if self._writes
        ]

    def _of_strays(self, strays: Iterable[Stray]) -> dict[str, Evidence]:
        found = ((stray.buffer, self._stray_evidence(stray)) for stray in strays)
        return {buffer: evidence for buffer, evidence in found if evidence is not None}

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
        if 0 in buffer.extents(sizes):
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
        """Return both versions of a buffer in its whole reserved extent.

        What a pointer leads to has one axis where its sizes are no longer those of the capture.
        """
        buffer = self._map.buffers[name]
        largest = {size.name: size.largest or 1 for size in self._map.sizes.values()}
        if not buffer.is_fixed:
            largest = dict(self._history.last.sizes)
            if flat.size != buffer.elements(largest):
                return flat, last
        return shape(flat, buffer, largest), shape(last, buffer, largest)


def _any_wrong(verdicts: Iterable[Verdict]) -> bool:
    return any(verdict.status.is_wrong for verdict in verdicts)
