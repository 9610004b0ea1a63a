"""Draws a trajectory as a section of the HTML report: what it tells, its figures, its curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from nndbg.chart import axis
from nndbg.chart.axis import Axis
from nndbg.report.drift import Picture, figures, pictures, sentences
from nndbg.report.model import Report

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "drift.html.jinja"

# The drawing area of a chart inside its viewBox.
WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 60, 624, 10, 214


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, in units of the viewBox, and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """What the template draws: paths of SVG in units of the viewBox."""

    name: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    drift: str
    noise: str
    bound: str


def section(report: Report, environment: Environment) -> str:
    """Return the section, nothing where the report has no trajectory; escaped by `environment`."""
    told = sentences(report)
    if report.trajectory is None or not told:
        return ""
    source = (files("nndbg.report") / TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(
        told=told,
        figures=figures(report.trajectory),
        charts=[_chart(picture) for picture in pictures(report.trajectory)],
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=RIGHT,
    )


def _chart(picture: Picture) -> Chart:
    x, y = picture.x, picture.y
    return Chart(
        name=picture.name,
        x_ticks=tuple(Tick(_x(tick, x), axis.label(tick)) for tick in x.ticks),
        y_ticks=tuple(Tick(_y(tick, y), axis.label(tick)) for tick in y.ticks),
        drift=_path(picture.drift, x, y),
        noise=_path(picture.noise, x, y),
        bound=_path(picture.bound, x, y),
    )


def _x(at: float, x: Axis) -> float:
    return round(LEFT + x.place(at) * (RIGHT - LEFT), 1)


def _y(value: float, y: Axis) -> float:
    return round(TOP + (1 - y.place(value)) * (BOTTOM - TOP), 1)


def _path(points: Sequence[tuple[float, float]], x: Axis, y: Axis) -> str:
    """A line through the points; one point alone is a dot of the line's width."""
    places = [f"{_x(at, x)} {_y(value, y)}" for at, value in points]
    if len(places) == 1:
        places *= 2
    return f"M{'L'.join(places)}" if places else ""
