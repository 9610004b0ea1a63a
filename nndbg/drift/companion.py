"""Trains beside the program: the reference with its bounds, and runs that only err as float32 does.

The carried buffers begin as the program has them; from then on each run goes on from its own
numbers, and takes from the program what no op owns: pixels, labels, the learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.chain import Chain, Inputs, Operands, evaluate, format_of, is_floating
from nndbg.compare import Mode, Status, Subject, Verdict, judge
from nndbg.drift.model import Point
from nndbg.drift.noise import NoisyRun
from nndbg.drift.sides import Side, beside, turns
from nndbg.layermap import LayerMap, Op
from nndbg.reference import Bounded

MEMBERS = 4
_SEED = 1997

# As many times the noise are beyond chance. Sound trainers stay below 2 (docs/trajectory.md).
BEYOND = 10.0


@dataclass(frozen=True)
class Drifted:
    """One output of one op: the verdict by its bound, and its distance, None for integers."""

    verdict: Verdict
    point: Point | None

    @property
    def departs(self) -> bool:
        """Whether noise does not explain the distance."""
        return self.point is not None and self.point.ratio > BEYOND


class Companion:
    """The runs beside the program; feed it the ops of each step in the order of the map."""

    def __init__(self, layer_map: LayerMap) -> None:
        self._map = layer_map
        self._reference = Chain(layer_map)
        self._noisy = [
            NoisyRun(layer_map, np.random.default_rng([_SEED, k])) for k in range(MEMBERS)
        ]
        self._floors: dict[tuple[str, str], tuple[float, float]] = {}
        # How far noise may take an element of a buffer from the reference.
        self._reach: dict[str, float] = {}
        self._has_left = False
        self.turns = 0

    def follow(
        self,
        step: int,
        op: Op,
        inputs: Inputs,
        before: Inputs,
        actual: Mapping[str, NDArray[Any]],
    ) -> list[Drifted]:
        """Do what `op` does, and return how far its outputs, `actual`, have drifted.

        `inputs`, by part, and `before`, by output, are what the program's op was given.
        """
        fmt = format_of(self._map, op)
        operands: Operands = self._reference.operands(op, inputs)
        if not self._has_left:
            sides = self._sides(op, inputs)
            self.turns += sum(turns(operands[part], side) for part, side in sides.items())
            operands = beside(operands, sides)
        outputs = evaluate(op, operands, fmt)
        self._reference.keep(outputs)
        sides = self._sides(op, operands)
        noisy = [
            run.follow(op, beside(run.chain.operands(op, inputs), sides), fmt)
            for run in self._noisy
        ]
        found = [
            self._drifted(step, op, name, value, actual[name], before[name], noisy)
            for name, value in outputs.items()
        ]
        self._has_left |= any(d.departs or d.verdict.status.is_wrong for d in found)
        return found

    def _sides(self, op: Op, guides: Operands) -> dict[str, Side]:
        """Return where the guide's numbers lie, for the parts that noise may turn.

        What the op itself updates is not among them: there a run keeps its own numbers.
        """
        found: dict[str, Side] = {}
        for part, name in op.inputs.items():
            if name in self._reach and name not in op.outputs.values():
                guide = guides[part]
                values = guide.value if isinstance(guide, Bounded) else guide
                found[part] = Side(values, values > 0, self._reach[name])
        return found

    def _drifted(
        self,
        step: int,
        op: Op,
        name: str,
        value: Bounded,
        actual: NDArray[Any],
        before: NDArray[Any],
        noisy: list[dict[str, Bounded]],
    ) -> Drifted:
        subject = Subject(step, op.name, op.kind.name, name, Mode.TRAJECTORY)
        verdict = judge(subject, actual, before, value)
        if not is_floating(self._map, name):
            return Drifted(verdict, None)
        drift, largest = _distance(actual, value.value)
        floors = [_distance(run[name].value, value.value) for run in noisy]
        floors.append(self._floors.get((op.name, name), (0.0, 0.0)))
        floor, largest_floor = (max(lengths) for lengths in zip(*floors, strict=True))
        self._floors[op.name, name] = floor, largest_floor
        self._reach[name] = BEYOND * largest_floor if math.isfinite(largest_floor) else 0.0
        point = Point(
            step=step,
            drift=drift,
            floor=floor,
            largest=largest,
            largest_floor=largest_floor,
            bound=None
            if verdict.status is Status.UNCHECKED
            else float(np.linalg.norm(value.error)),
            size=float(np.linalg.norm(value.value)),
        )
        return _told(Drifted(verdict, point))


def _told(drifted: Drifted) -> Drifted:
    """Return a verdict that leaves open what noise does not explain, and says so."""
    verdict, point = drifted.verdict, drifted.point
    if point is None or verdict.status.is_wrong or not drifted.departs:
        return drifted
    says = (
        f"{point.ratio:.2g} times as far from the reference as float32 noise: likely wrong, "
        "though no bound proves it"
    )
    return replace(drifted, verdict=replace(verdict, status=Status.UNCHECKED, says=says))


def _distance(a: NDArray[Any], b: NDArray[np.float64]) -> tuple[float, float]:
    """Return the Frobenius norm of a - b and its largest element, infinite for no numbers."""
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(a - b)
        lengths = float(np.linalg.norm(gap)), float(gap.max())
    drift, largest = (math.inf if math.isnan(length) else length for length in lengths)
    return drift, largest
