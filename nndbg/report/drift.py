"""Says a trajectory in the words that all formats share, and chooses what of it is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nndbg.chart import axis
from nndbg.chart.axis import Axis
from nndbg.drift import Point, Series, Trajectory
from nndbg.report.model import Report
from nndbg.text import printable

# More would not be seen on a logarithmic axis, and less than the least of them is none.
_LEAST = 1e-45


@dataclass(frozen=True)
class Figures:
    """One series in figures, at the last step that was followed."""

    buffer: str
    drift: str
    noise: str
    ratio: str
    bound: str


@dataclass(frozen=True)
class Picture:
    """Curves of one series over a common logarithmic axis; `name` says what they are of."""

    name: str
    x: Axis
    y: Axis
    drift: tuple[tuple[float, float], ...]
    noise: tuple[tuple[float, float], ...]
    bound: tuple[tuple[float, float], ...]


def sentences(report: Report) -> list[str]:
    """Return what the trajectory tells, the conclusion first; nothing where there is none."""
    trajectory = report.trajectory
    if trajectory is None or not report.steps:
        return []
    return [_conclusion(report, trajectory), *_reservations(trajectory)]


def _conclusion(report: Report, trajectory: Trajectory) -> str:
    departure = trajectory.departure
    if departure is not None:
        leaves = (
            f"in step {departure.step} the drift leaves the float32 noise, first in "
            f"{_name(departure.buffer)} after {_name(departure.op)}, {_times(departure.ratio)} as "
            "far from the reference as rounding takes it"
        )
    if report.first is not None:
        subject = report.first.verdict.subject
        proved = f"Wrong, not unlucky: {_name(subject.op)} is proved wrong in step {subject.step}"
        return f"{proved}; {leaves}." if departure is not None else f"{proved}."
    if departure is not None:
        step = departure.step
        return (
            f"Likely wrong, not unlucky: {leaves}. No bound proves it; "
            f"--mode local --steps {step}:{step + 1} checks that step op by op."
        )
    lost = [s.lost_from for s in trajectory.series if s.lost_from is not None]
    if lost:
        return (
            f"From step {min(lost)} on float32 overflows in the reference too: nothing can be told "
            "of the drift."
        )
    return (
        f"Float32 noise explains the drift over {_count(len(report.steps), 'step')}: no output "
        f"is more than {_times(trajectory.most)} as far from the reference as rounding alone takes "
        "it. If this run ends badly, it is unlucky and not wrong."
    )


def _reservations(trajectory: Trajectory) -> Iterator[str]:
    opened: dict[int, list[str]] = {}
    for series in trajectory.series:
        if series.open_from is not None:
            opened.setdefault(series.open_from, []).append(_name(series.buffer))
    if opened:
        parts = [f"{', '.join(names)} from step {step} on" for step, names in opened.items()]
        yield f"The bound proves nothing about {'; '.join(parts)}: there only the noise tells."
    if trajectory.turns:
        yield (
            f"{_count(trajectory.turns, 'number')} within the noise of zero, where a ReLU turns, "
            "had the other sign: there the reference went with the program."
        )


def figures(trajectory: Trajectory) -> list[Figures]:
    """Return a line for each series: relative norms, or the difference itself of a scalar."""
    return [_figures(series) for series in trajectory.series]


def _figures(series: Series) -> Figures:
    last = series.points[-1]
    return Figures(
        buffer=_name(series.buffer),
        drift=f"{series.shown(last, last.drift):.2g}",
        noise=f"{series.shown(last, last.floor):.2g}",
        ratio=_multiple(series.ratio),
        bound="proves nothing" if last.bound is None else f"{series.shown(last, last.bound):.2g}",
    )


def pictures(trajectory: Trajectory) -> list[Picture]:
    """Return what is worth drawing: each loss, and of the weights what drifted most."""
    losses = [series for series in trajectory.series if series.is_scalar]
    arrays = [series for series in trajectory.series if not series.is_scalar]
    chosen = [*losses, *sorted(arrays, key=lambda series: series.ratio)[-1:]]
    return [picture for series in chosen if (picture := _picture(series)) is not None]


def _picture(series: Series) -> Picture | None:
    drift = _curve(series, ((p, p.drift) for p in series.points))
    noise = _curve(series, ((p, p.floor) for p in series.points))
    bound = _curve(series, ((p, p.bound) for p in series.points if p.bound is not None))
    lengths = [length for _, length in (*drift, *noise, *bound)]
    if not lengths:
        return None
    kind = "difference" if series.is_scalar else "relative distance"
    return Picture(
        name=f"{_name(series.buffer)}, {kind}",
        x=axis.of_steps(series.points[0].step, series.points[-1].step),
        y=axis.logarithmic(min(lengths), max(*lengths, 10 * min(lengths))),
        drift=drift,
        noise=noise,
        bound=bound,
    )


def _curve(
    series: Series, lengths: Iterable[tuple[Point, float]]
) -> tuple[tuple[float, float], ...]:
    """Return steps and lengths, without those that a logarithmic axis has no place for."""
    shown = ((float(point.step), series.shown(point, length)) for point, length in lengths)
    return tuple((at, length) for at, length in shown if _LEAST < length < math.inf)


def _multiple(ratio: float) -> str:
    if math.isinf(ratio):
        return "∞"
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:.2g}"


def _times(ratio: float) -> str:
    return "infinitely" if math.isinf(ratio) else f"{_multiple(ratio)} times"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _name(text: str) -> str:
    return printable(text).replace("\n", "\\n")
