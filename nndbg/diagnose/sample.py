"""Tries a change of an op's inputs on a few of its outputs: most stories fail at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from nndbg.diagnose.model import AnyArray, Changed, Evidence, matches
from nndbg.reference import Bounded
from nndbg.reference.kinds import Part

_PICKS = 16
_FLAT = 256
# Smaller ops are as quickly computed whole.
_SMALL = 4096
# A story that explains less than this share of the sample will not explain half of the rest.
_LEAST_SHARE = 0.25

Picks = dict[str, AnyArray]


class Sample:
    """A few rows and columns of an output that is wrong, and the inputs that they are made of.

    Whether an op can be computed in part is not known but tried: with its own inputs the part must
    come out as it does in the whole.
    """

    def __init__(self, evidence: Evidence, bad: AnyArray) -> None:
        self._evidence = evidence
        self._bad = bad
        self._flat: AnyArray | None = None
        self._picks: Picks = {}
        self._reduced: Evidence | None = None
        is_known = not evidence.op.kind.source
        if evidence.part and is_known and evidence.actual.size > _SMALL:
            self._reduced = self._reduce()

    def refutes(self, changed: Changed) -> bool:
        """Return whether the inputs `changed` leave the sample unexplained."""
        if self._reduced is None:
            return False
        predicted = self._reduced.compute(**{p: self._cut(p, a) for p, a in changed.items()})
        if predicted.shape != self._reduced.actual.shape:
            return False
        bad = self._reduced.bad
        met = np.count_nonzero(matches(self._reduced.actual, predicted) & bad)
        return bool(met < _LEAST_SHARE * np.count_nonzero(bad))

    def _reduce(self) -> Evidence | None:
        evidence = self._evidence
        axes = self._axes(evidence.op.kind.outputs, evidence.part)
        plain = self._plain()
        if axes == ("..",):
            self._flat = _spread(np.flatnonzero(plain), _FLAT)
        else:
            at = np.argwhere(plain)
            self._picks = {
                axis: np.unique(_spread(at, _PICKS)[:, place])
                for place, axis in enumerate(axes)
                if axis != ".."
            }
        inputs = {part: self._cut(part, array) for part, array in evidence.inputs.items()}
        reduced = replace(
            evidence,
            inputs=inputs,
            actual=self._taken(evidence.actual, axes),
            before=self._taken(evidence.before, axes),
            expected=Bounded(
                self._taken(evidence.expected.value, axes),
                self._taken(evidence.expected.error, axes),
                None
                if evidence.expected.integers is None
                else self._taken(evidence.expected.integers, axes),
            ),
        )
        again = reduced.compute()
        is_same = again.shape == reduced.expected.shape and np.allclose(
            again.value, reduced.expected.value, rtol=1e-9, atol=0, equal_nan=True
        )
        return reduced if is_same else None

    def _plain(self) -> AnyArray:
        """Return the plainer half of the wrong elements: a small error is met by many stories."""
        evidence = self._evidence
        gap = np.abs(evidence.actual.astype(np.float64) - evidence.expected.value)
        bounds = np.where(np.isfinite(gap), gap / evidence.expected.error, np.inf)
        plain: AnyArray = self._bad & (bounds >= np.median(bounds[self._bad]))
        return plain

    def _cut(self, part: str, array: AnyArray) -> AnyArray:
        axes = self._axes(self._evidence.op.kind.inputs, part)
        # A table keeps all its rows where only the output's are picked.
        if array.ndim and array.shape != self._evidence.inputs[part].shape:
            return array
        return self._taken(array, axes)

    def _taken(self, array: AnyArray, axes: tuple[str, ...]) -> AnyArray:
        if self._flat is not None and axes == ("..",):
            return array.reshape(-1)[self._flat]
        if ".." in axes:
            axes = axes[: axes.index("..")]
        for place, axis in enumerate(axes):
            if axis in self._picks:
                array = array.take(self._picks[axis], axis=place)
        return array

    @staticmethod
    def _axes(parts: Iterable[Part], name: str) -> tuple[str, ...]:
        return next(part.axes for part in parts if part.name == name)


def _spread(array: AnyArray, count: int) -> AnyArray:
    """Return `count` entries of the first axis, evenly apart."""
    chosen: AnyArray = array[np.linspace(0, len(array) - 1, min(len(array), count)).astype(int)]
    return chosen
