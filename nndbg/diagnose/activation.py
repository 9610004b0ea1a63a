"""Mistakes with functions of single elements: left out, of another kind, on top, without a mask."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nndbg.diagnose.model import Evidence, Hypothesis
from nndbg.reference import KINDS, Bounded, Kind
from nndbg.reference.bounded import exact

_EACH = ("..",)
_NEARLY_ALL = 0.9


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the output with an activation missing, doubled, exchanged or added; masks misused."""
    if evidence.is_integer:
        return
    yield from _exchanged(evidence)
    yield from _passed_through(evidence)
    yield from _turned_around(evidence)


def _functions() -> dict[str, Kind]:
    """Return the kinds that make one array of one array, element by element, without a state."""
    return {
        name: kind
        for name, kind in KINDS.items()
        if [part.axes for part in kind.inputs] == [_EACH]
        and [part.axes for part in kind.outputs] == [_EACH]
        and kind.inputs[0].numbers != "integer"
        and kind.inputs[0].is_read
    }


def _exchanged(evidence: Evidence) -> Iterator[Hypothesis]:
    """Another function in place of this one, or a function on top of what is right."""
    expected, op = evidence.expected, evidence.op
    functions = _functions()
    is_function = op.kind.name in functions
    for name, kind in functions.items():
        (source,), (target,) = kind.inputs, kind.outputs
        on_top = kind.compute({source.name: expected}, evidence.fmt, {})[target.name]
        if name == op.kind.name:
            says = f"{name} is applied twice to {evidence.buffer}"
            yield Hypothesis("activation_doubled", says, on_top, 2)
            continue
        says = f"{name} is applied to {evidence.buffer}, which is to keep its numbers"
        yield Hypothesis("activation_applied", says, on_top, 2)
        if is_function:
            array = next(iter(evidence.inputs.values()))
            instead = kind.compute({source.name: array}, evidence.fmt, {})[target.name]
            says = f"{op.name} computes {name} instead of {op.kind.name}"
            yield Hypothesis("activation_exchanged", says, instead, 2)


def _passed_through(evidence: Evidence) -> Iterator[Hypothesis]:
    """An input that comes out as it went in, although the op should have changed it."""
    op, name = evidence.op, evidence.buffer
    whole = [
        part.name
        for part in op.kind.inputs
        if part.axes == _EACH and evidence.inputs[part.name].shape == evidence.actual.shape
    ]
    for part in whole:
        buffer = op.inputs[part]
        if buffer == name:
            continue
        raw = exact(evidence.inputs[part])
        rest = [op.inputs[p] for p in whole if p != part]
        if not rest:
            says = f"{op.kind.name} is not applied: {name} is {buffer} itself"
            yield Hypothesis("activation_missing", says, raw, 1)
        else:
            says = f"{' and '.join(rest)} {'is' if len(rest) == 1 else 'are'} ignored"
            yield Hypothesis("mask_ignored", f"{says}: {name} is {buffer} itself", raw, 1)


def _turned_around(evidence: Evidence) -> Iterator[Hypothesis]:
    """What is to be kept is dropped, and what is to be dropped kept."""
    name, expected = evidence.buffer, evidence.expected
    kept = expected.value != 0
    sources = [exact(a) for a in evidence.inputs.values() if a.shape == kept.shape and a.ndim]
    for source in sources:
        same = np.abs(source.value - expected.value) <= expected.error
        if kept.any() and same[kept].all():
            other = Bounded(np.where(kept, 0.0, source.value), source.error)
            says = f"{name} keeps what it should drop, and drops what it should keep"
            yield Hypothesis("mask_inverted", says, other, 1)
    levels = np.unique(expected.value[kept])
    # Of two numbers a wrong one is always the other: only where nearly all are is that a story.
    is_all = np.count_nonzero(evidence.bad) >= _NEARLY_ALL * kept.size
    if kept.any() and not kept.all() and len(levels) == 1 and is_all:
        error = np.full(kept.shape, expected.error[kept].max())
        other = Bounded(np.where(kept, 0.0, levels[0]), error)
        says = f"{name} has 0 and {levels[0]:.6g} in each other's place"
        yield Hypothesis("mask_inverted", says, other, 1)
