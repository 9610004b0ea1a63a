"""A buffer that an op changed without owning it: what was stored there, and how it got there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nndbg.diagnose.image import Image
from nndbg.diagnose.model import AnyArray, Evidence, Hypothesis
from nndbg.reference import Bounded
from nndbg.reference.bounded import exact

# So many bytes may be jumped unseen, where zeros are stored over zeros.
_GUARD = 128
_NEAR = 1e-3


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield what would have made the changed elements what they are."""
    bad, name, op = evidence.bad, evidence.buffer, evidence.op.name
    yield from _overrun(evidence, bad)
    yield from _copied(evidence)
    zeros = Bounded(np.zeros(bad.shape), np.zeros(bad.shape))
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    place = f"{name}[{', '.join(map(str, at))}]" if at else name
    more = f" and {np.count_nonzero(bad) - 1} more" if np.count_nonzero(bad) > 1 else ""
    yield Hypothesis("zero", f"{place}{more} becomes 0 in the interval of {op}", zeros, 2)
    turned = exact(-evidence.before.astype(np.float64))
    yield Hypothesis("sign", f"{name} changes its sign in the interval of {op}", turned, 2)
    yield from _combined(evidence, bad)


def _overrun(evidence: Evidence, bad: AnyArray) -> Iterator[Hypothesis]:
    """The op's own buffer ends shortly before, and what lies between changed too."""
    if not bad.ndim:
        return
    size = evidence.actual.dtype.itemsize
    begin = evidence.addresses[evidence.buffer]
    first = begin + int(np.flatnonzero(bad)[0]) * size
    if first - begin > _GUARD // 2:
        return
    after, before = Image(evidence.after), Image(evidence.memory)
    for own in evidence.op.outputs.values():
        if own not in evidence.others:
            continue
        end = evidence.addresses[own] + evidence.others[own].nbytes
        gap = first - end
        if begin < end:
            continue
        byte = np.dtype(np.uint8)
        changed = after.read(end, gap, byte) != before.read(end, gap, byte)
        words = changed[: gap // size * size].reshape(-1, size).any(axis=1)
        if gap > _GUARD and np.count_nonzero(words) * 4 < len(words):
            continue
        says = f"{evidence.op.name} writes past the end of {own} into {evidence.buffer}"
        yield Hypothesis("overrun", says, exact(evidence.actual.astype(np.float64)), 1)


def _copied(evidence: Evidence) -> Iterator[Hypothesis]:
    """What the op makes is stored here too, or what it reads."""
    after = Image(evidence.after)
    count, dtype = evidence.actual.size, evidence.actual.dtype
    for own in evidence.op.outputs.values():
        if own not in evidence.others or evidence.others[own].dtype != dtype:
            continue
        made = after.read(evidence.addresses[own], count, dtype).reshape(evidence.actual.shape)
        says = f"{evidence.op.name} writes {own} into {evidence.buffer} too"
        yield Hypothesis("wrong_destination", says, exact(made.astype(np.float64)), 0)


def _combined(evidence: Evidence, bad: AnyArray) -> Iterator[Hypothesis]:
    """Another buffer of this shape is added, times one number, or the buffer itself is scaled."""
    change = (evidence.actual.astype(np.float64) - evidence.before)[bad]
    name, op = evidence.buffer, evidence.op.name
    for source, array in evidence.others.items():
        if array.dtype.kind != "f" or array.size < evidence.actual.size or not array.ndim:
            continue
        other = array.reshape(-1)[: evidence.actual.size].reshape(evidence.actual.shape)
        other = other.astype(np.float64)
        ratios = change / other[bad]
        ratios = ratios[np.isfinite(ratios) & (ratios != 0)]
        if not ratios.size:
            continue
        factor = float(np.median(ratios))
        which = _scalar(evidence, factor)
        value = evidence.before + factor * other
        # What is added carries the rounding of the sum, and the factor that of its fit.
        error = 4 * evidence.fmt.unit * (np.abs(evidence.before) + np.abs(value)) + 1e-4 * np.abs(
            factor * other
        )
        says = f"{op} adds {which} times {source} to {name}, which is none of its outputs"
        if source == name:
            says = f"{op} takes {name} {1 + factor:.6g} times"
        yield Hypothesis("added", says, Bounded(value, error), 3, 24.0)


def _scalar(evidence: Evidence, factor: float) -> str:
    for name, array in evidence.others.items():
        if not array.ndim and array.dtype.kind == "f" and array:
            for sign, word in ((1, name), (-1, f"-{name}")):
                if abs(factor / (sign * float(array)) - 1) < _NEAR:
                    return word
    return f"{factor:.6g}"
