"""What is known of a trajectory: how far each buffer drifted in each step, and what explains it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One buffer at the end of one step: its distance from the reference, and what is in reach.

    `drift` is the Frobenius norm of the difference, `largest` that of its largest element; `floor`
    and `largest_floor` are how far float32 noise alone has taken them until now. `bound` is the
    norm of the proven bounds, None where they prove nothing; `size` the norm of the reference.
    """

    step: int
    drift: float
    floor: float
    largest: float
    largest_floor: float
    bound: float | None
    size: float

    @property
    def ratio(self) -> float:
        """The drift as a multiple of the noise, by the norm that shows more of it."""
        return max(multiple(self.drift, self.floor), multiple(self.largest, self.largest_floor))


@dataclass(frozen=True)
class Series:
    """The points of one buffer, in the order of steps; a scalar drifts in its own unit."""

    buffer: str
    is_scalar: bool
    points: tuple[Point, ...]

    @property
    def ratio(self) -> float:
        """The largest multiple of the noise."""
        return max(point.ratio for point in self.points)

    @property
    def lost_from(self) -> int | None:
        """The first step in which noise has no limit, None where it always has one."""
        lost = (p.step for p in self.points if math.isinf(max(p.floor, p.largest_floor)))
        return next(lost, None)

    @property
    def open_from(self) -> int | None:
        """The step from which on the bound proves nothing, None where it does to the end."""
        proved = max((p.step for p in self.points if p.bound is not None), default=None)
        return next((p.step for p in self.points if proved is None or p.step > proved), None)

    def shown(self, point: Point, length: float) -> float:
        """Return a length as it is compared: relative to the reference, but for a scalar."""
        return length if self.is_scalar or point.size == 0 else length / point.size


@dataclass(frozen=True)
class Departure:
    """Where the program first left the noise: one output of one op, so many times as far off."""

    step: int
    op: str
    buffer: str
    ratio: float


@dataclass(frozen=True)
class Trajectory:
    """Program and reference side by side from the same start.

    `series` are the losses and what a step hands to the next one. `most` is how far any output of
    any op drifted, as a multiple of the noise of `members` runs; more than `beyond` is a departure,
    None while noise explains the drift. `turns` counts the numbers within the noise of zero that
    the program had on the other side of it: there the reference went with the program.
    """

    series: tuple[Series, ...]
    most: float
    departure: Departure | None
    turns: int
    members: int
    beyond: float


def multiple(distance: float, floor: float) -> float:
    """Return a distance as a multiple of the noise, 0 where the noise itself is infinite."""
    if distance == 0 or math.isinf(floor):
        return 0.0
    return distance / floor if floor > 0 else math.inf
