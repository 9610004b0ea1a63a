"""Judges a mutant by its dumps, apart from nndbg: which op first made a wrong number, if any did.

An op's output is wrong where it is further from a plain float64 recomputation, made of the mutant's
own inputs, than FACTOR times what the sound program's float32 is off there, largest element of both
steps, and no less than FACTOR units of roundoff. Both distances are relative to the scale that
`arithmetic` gives: the magnitudes summed up on the way.

An op's inputs are what the ops before it *in the map* left, so an op that runs at the wrong time is
wrong. A buffer changed by an op that does not own it is wrong, too, unless an op that owns it and
comes later makes it right, and no op in between takes harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from nndbg.layermap import Buffer, LayerMap
from nndbg.layermap.model import Op

from .arithmetic import Array, compute
from .trace import Stop, Trace, same_bits

FACTOR = 8.0
UNIT = 2.0**-24
# Smaller numbers are flushed to zero.
_TINY = 2.0**-126
_LARGEST = float(np.finfo(np.float32).max)

# Largest error of the sound program by (op, buffer), relative to its scale.
Errors = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Wrong:
    """An output that is wrong, or a buffer that an op changed and ought not to have."""

    step: int
    op: str
    buffer: str
    says: str


class Change(StrEnum):
    """How a mutant with no wrong output differs from the sound program in its dumps."""

    NONE = "none"
    ROUNDING = "rounding"
    UNOWNED = "unowned"
    SPARE = "spare"


@dataclass(frozen=True, eq=False)
class _Step:
    """The stops of one step by op, with the ops that it has in the order of the map."""

    layer_map: LayerMap
    constants: Mapping[str, Array]
    begin: Stop
    stops: tuple[Stop, ...]
    following: Stop | None

    @property
    def ops(self) -> tuple[Op, ...]:
        return tuple(op for op in self.layer_map.ops if op.name not in self.begin.skipped)

    @property
    def done(self) -> dict[str, Stop]:
        return {stop.op: stop for stop in self.stops if stop.op is not None}

    def input(self, op: Op, name: str) -> Array:
        """Return what the ops before `op` in the map left in a buffer."""
        buffer, done, here = self.layer_map.buffers[name], self.done, self.done[op.name]
        if buffer.is_constant:
            count = buffer.elements(here.sizes)
            return self.constants[name][:count].reshape(buffer.extents(here.sizes))
        owners = [other.name for other in self.ops if name in other.outputs.values()]
        order = [other.name for other in self.ops]
        before = [o for o in owners if o in done and order.index(o) < order.index(op.name)]
        source = done[before[-1]] if before else self.begin if owners else here
        flat = source.flat[name]
        return flat[: buffer.elements(here.sizes)].reshape(buffer.extents(here.sizes))


def steps_of(trace: Trace) -> list[_Step]:
    """Return the steps of a trace; the last has no following stop where the program ended."""
    if trace.layer_map is None:
        return []
    starts = [at for at, stop in enumerate(trace.stops) if stop.op is None]
    steps = []
    for number, at in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(trace.stops)
        following = trace.stops[end] if end < len(trace.stops) else None
        between = trace.stops[at + 1 : end]
        steps.append(_Step(trace.layer_map, trace.constants, trace.stops[at], between, following))
    # The beginning of the step behind the last one that was followed.
    if steps and steps[-1].following is None and not steps[-1].stops and len(steps) > 1:
        steps.pop()
    return steps


def errors_of(trace: Trace) -> dict[tuple[str, str], float]:
    """Return how far the sound program is off, by op and buffer."""
    errors: dict[tuple[str, str], float] = {}
    for step in steps_of(trace):
        for op in step.ops:
            for buffer, actual, value, scale in _outputs(step, op):
                if scale is not None:
                    share = _share(actual, value, scale)
                    key = (op.name, buffer.name)
                    errors[key] = max(errors.get(key, 0.0), float(share.max()))
    return errors


def wrong_outputs(trace: Trace, errors: Errors) -> list[Wrong]:
    """Return everything that is wrong in the steps, in their order and the map's."""
    found: list[Wrong] = []
    for step in steps_of(trace):
        order = [op.name for op in step.ops]
        wrong = [*_wrong_ops(step, errors)]
        wrong += _strays(step, {w.op for w in wrong})
        found += sorted(wrong, key=lambda w: order.index(w.op))
    return found


def _wrong_ops(step: _Step, errors: Errors) -> Iterator[Wrong]:
    reached = [at for at, op in enumerate(step.ops) if op.name in step.done]
    for at, op in enumerate(step.ops):
        number = step.begin.step
        if op.name not in step.done:
            if step.following is not None or at < max(reached, default=-1):
                yield Wrong(number, op.name, next(iter(op.outputs.values())), "never reached")
            continue
        try:
            for buffer, actual, value, scale in _outputs(step, op):
                allowed = FACTOR * max(errors.get((op.name, buffer.name), 0.0), UNIT)
                bad = ~_agrees(actual, value, scale, allowed)
                if bad.any():
                    says = f"{np.count_nonzero(bad)} of {bad.size} elements"
                    if scale is not None:
                        worst = float(np.max(_share(actual, value, scale)))
                        says += f", off by {worst / UNIT:.3g} u, allowed {allowed / UNIT:.3g}"
                    yield Wrong(number, op.name, buffer.name, says)
        except (KeyError, IndexError, ValueError) as problem:
            yield Wrong(number, op.name, "", f"cannot be recomputed: {problem!r}")


def _outputs(step: _Step, op: Op) -> Iterator[tuple[Buffer, Array, Array, Array | None]]:
    """Yield each output with its value in the program, the recomputed one, and its scale."""
    stop = step.done[op.name]
    parts = {part: step.input(op, name) for part, name in op.inputs.items()}
    made = compute(op.kind.name, parts, op.parameters)
    for part, name in op.outputs.items():
        buffer = step.layer_map.buffers[name]
        yield buffer, stop.shaped(buffer), *made[part]


def _agrees(actual: Array, value: Array, scale: Array | None, allowed: float) -> Array:
    if actual.dtype.kind != "f":
        return np.asarray(actual == value)
    numbers = actual.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        limit = np.float64(0.0) if scale is None else allowed * scale
        near = np.abs(numbers - value) <= np.maximum(limit, _TINY)
        same = (numbers == value) | np.isnan(value) & np.isnan(numbers)
        overflows = (np.abs(value) > _LARGEST) & np.isinf(numbers)
    return np.asarray(near | same | overflows)


def _share(actual: Array, value: Array, scale: Array) -> Array:
    """Return the distance relative to the scale, 0 where there is none, even of 0."""
    gap = np.abs(actual.astype(np.float64) - value)
    with np.errstate(all="ignore"):
        return np.asarray(np.where(gap <= _TINY, 0.0, gap / scale))


def _strays(step: _Step, wrong_ops: set[str]) -> Iterator[Wrong]:
    """Yield the changes of buffers by ops that do not own them."""
    number, ops = step.begin.step, step.ops
    last = step.begin
    for at, stop in enumerate(step.stops):
        assert stop.op is not None
        outputs = set(next(op for op in ops if op.name == stop.op).outputs.values())
        for buffer in step.layer_map.buffers.values():
            name = buffer.name
            if name in outputs or not _changed(buffer, last, stop):
                continue
            past = {s.op for s in step.stops[:at]}
            owners = [op.name for op in ops if name in op.outputs.values()]
            readers = [op.name for op in ops if name in op.inputs.values()]
            pending = [owner for owner in owners if owner not in past]
            if not owners:
                is_wrong = any(reader in past for reader in readers)
            elif not pending:
                is_wrong = True
            else:
                later = {owner for owner in owners if owner in pending[:1]}
                later |= {s.op for s in step.stops[at:] if s.op in readers and s.op is not None}
                is_wrong = bool(later & wrong_ops)
            if is_wrong:
                yield Wrong(number, stop.op, name, "changed, and is none of its outputs")
        last = stop
    if step.following is not None and ops:
        for buffer in step.layer_map.buffers.values():
            if _is_carried(step, buffer.name) and _changed(buffer, last, step.following):
                yield Wrong(number, ops[-1].name, buffer.name, "changed between two steps")


def _changed(buffer: Buffer, before: Stop, after: Stop) -> bool:
    """Whether elements in use changed; a pointer that was moved on is no change."""
    a, b = before.flat.get(buffer.name), after.flat.get(buffer.name)
    if a is None or b is None or a is b or buffer.is_pointer:
        return False
    count = buffer.elements(after.sizes)
    return not same_bits(a[:count], b[:count])


def _is_carried(step: _Step, name: str) -> bool:
    owners = [at for at, op in enumerate(step.ops) if name in op.outputs.values()]
    readers = [at for at, op in enumerate(step.ops) if name in op.inputs.values()]
    return bool(owners) and bool(readers) and readers[0] <= owners[0]


def change_from(sound: Trace, mutant: Trace) -> tuple[Change, str]:
    """Return how the dumps differ, for a mutant with no wrong output, and where they first do."""
    for name, array in sound.constants.items():
        if not same_bits(array, mutant.constants.get(name, np.zeros(0, array.dtype))):
            return Change.UNOWNED, name
    ours, theirs = steps_of(sound), steps_of(mutant)
    for a, b in zip(ours, theirs, strict=False):
        if a.begin.skipped != b.begin.skipped:
            return Change.UNOWNED, "which ops a step has"
        for op in a.ops:
            if op.name not in a.done or op.name not in b.done:
                continue
            place = f"step {a.begin.step} {op.name}"
            if a.done[op.name].sizes != b.done[op.name].sizes:
                return Change.UNOWNED, f"{place}: sizes"
            for name in op.inputs.values():
                if not same_bits(a.input(op, name), b.input(op, name)):
                    return Change.UNOWNED, f"{place}: its input {name}"
            for name in op.outputs.values():
                buffer = a.layer_map.buffers[name]
                if not same_bits(a.done[op.name].shaped(buffer), b.done[op.name].shaped(buffer)):
                    return Change.ROUNDING, f"{place}: {name}"
    for a, b in zip(ours, theirs, strict=False):
        for name, stop in a.done.items():
            other = b.done.get(name)
            for buffer, array in stop.flat.items():
                if other is not None and not same_bits(array, other.flat.get(buffer, array)):
                    return Change.SPARE, f"step {a.begin.step} {name}: {buffer}"
    return Change.NONE, ""
