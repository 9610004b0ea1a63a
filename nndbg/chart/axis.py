"""Places numbers on an axis: linear from a round number to a round number, or by powers of ten."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Largest to median: beyond it a linear axis would press nearly everything flat.
_LINEAR_UP_TO = 6.0
# How far a logarithmic axis reaches under the median: smaller losses lie on its lower end.
_DECADES = 9
# Beyond these the ticks themselves would underflow or overflow.
_TINY, _HUGE = 1e-200, 1e300


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`, both of them ticks or beyond the last one."""

    low: float
    high: float
    ticks: tuple[float, ...]
    is_logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where `value` lies, 0 at `low` and 1 at `high`; what is beyond an end lies on it."""
        value = min(max(value, self.low), self.high)
        if self.high == self.low:
            return 0.5
        if self.is_logarithmic:
            low = math.log(self.low)
            return (math.log(value) - low) / (math.log(self.high) - low)
        return (value - self.low) / (self.high - self.low)


def linear(low: float, high: float, ticks: int = 5) -> Axis:
    """An axis from `low` to `high`, widened to ticks at 1, 2 or 5 times a power of ten.

    `ticks` is about how many there are.
    """
    if high <= low:
        low, high = low - abs(low) / 2 - 0.5 * (low == 0), high + abs(high) / 2 + 0.5 * (high == 0)
    pace = _round_pace((high - low) / ticks)
    first, last = math.floor(low / pace + 1e-9), math.ceil(high / pace - 1e-9)
    marks = tuple(_clean(i * pace) for i in range(first, last + 1))
    return Axis(marks[0], marks[-1], marks)


def logarithmic(low: float, high: float, ticks: int = 5) -> Axis:
    """An axis of powers of ten that holds `low` to `high`, both of them positive."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    pace = max(1, math.ceil((last - first) / ticks))
    if pace == 1:
        fine = [
            _clean(times * 10.0**power) for power in range(first, last + 1) for times in (1, 2, 5)
        ]
        below = max(mark for mark in fine if mark <= low * (1 + 1e-9))
        above = min([mark for mark in fine if mark >= high * (1 - 1e-9)], default=high)
        inside = tuple(mark for mark in fine if below <= mark <= above)
        if len(inside) > 2 * ticks:
            inside = tuple(mark for mark in inside if f"{mark:e}"[0] == "1")
        return Axis(below, above, inside, is_logarithmic=True)
    last = first + pace * math.ceil((last - first) / pace)
    marks = tuple(10.0**power for power in range(first, last + 1, pace))
    return Axis(marks[0], max(marks[-1], high), marks, is_logarithmic=True)


def of_losses(values: Iterable[float], ticks: int = 5) -> Axis:
    """An axis for losses, infinite and undefined ones left out: from 0, or else logarithmic."""
    finite = sorted(_calm(value) for value in values if math.isfinite(value))
    if not finite:
        return linear(0.0, 1.0, ticks)
    largest, median = finite[-1], finite[len(finite) // 2]
    if finite[0] >= 0 and 0 < median * _LINEAR_UP_TO < largest:
        least = next(value for value in finite if value > 0)
        return logarithmic(max(least, median * 10.0**-_DECADES), largest, ticks)
    return linear(min(0.0, finite[0]), max(largest, 0.0), ticks)


def of_accuracies(values: Sequence[float], ticks: int = 5) -> Axis:
    """An axis for accuracies in per cent, 0 to 100: no further down than they reach."""
    high = max(values)
    return linear(max(0.0, min(*values, high - 0.5)), max(high, 0.5), ticks)


def of_steps(first: int, last: int, ticks: int = 6) -> Axis:
    """An axis from `first` to `last` exactly, with ticks at round numbers in between."""
    if last <= first:
        return Axis(first - 0.5, first + 0.5, (float(first),))
    pace = max(1, int(_round_pace((last - first) / ticks)))
    marks = range(-(-first // pace) * pace, last + 1, pace)
    return Axis(first, last, tuple(map(float, marks)))


def label(value: float) -> str:
    """A tick in few characters: 0.5, 1,500, 1e+06."""
    if value == int(value) and 1000 <= abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _round_pace(pace: float) -> float:
    power = 10.0 ** math.floor(math.log10(pace))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= pace * (1 - 1e-9))


def _calm(value: float) -> float:
    """`value`, or what stands for it where no tick could: 0, or the largest that can have one."""
    return min(max(value, -_HUGE), _HUGE) if abs(value) > _TINY else 0.0


def _clean(value: float) -> float:
    """`value` without the noise of its last digits: 0.3, not 0.30000000000000004."""
    return float(f"{value:.12g}")
