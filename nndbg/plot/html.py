"""Renders the metrics of a run as one HTML file that needs nothing else: no script, no network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from nndbg.chart import axis
from nndbg.chart.axis import Axis
from nndbg.plot import curve
from nndbg.plot.digits import Images, choose, png
from nndbg.plot.metrics import Evaluation, Metrics, Sample, shown_settings
from nndbg.text import printable

TEMPLATE = "run.html.jinja"

_COLUMNS = 240  # of the loss curve: more would not be seen
_MOST_SAMPLES = 120

# The drawing area of a chart inside its viewBox.
WIDTH, HEIGHT = 480, 270
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 10, 40


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, in units of the viewBox, and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Mark:
    """A point that a reader may ask about: where it is and what it says."""

    x: float
    y: float
    says: str


@dataclass(frozen=True)
class Chart:
    """What the template draws: paths of SVG and points, all in units of the viewBox."""

    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_name: str
    bands: tuple[str, ...]
    lines: tuple[str, ...]
    trained: tuple[Mark, ...]
    tested: tuple[Mark, ...]
    tested_line: str
    is_logarithmic: bool


@dataclass(frozen=True)
class Cell:
    """A number of the confusion matrix; `depth` is how strongly it is shaded, 0 to 1.

    It is the root of the share: that tells 1% from 2% and leaves the diagonal its lead.
    """

    count: int
    depth: float
    says: str


@dataclass(frozen=True)
class Class:
    """A row of the confusion matrix and what of it is wrong: `share` in per cent, `bar` of most."""

    label: int
    cells: tuple[Cell, ...]
    wrong: int
    total: int
    share: float
    bar: float


@dataclass(frozen=True)
class Tile:
    """A sample as it is shown."""

    image: str
    sample: Sample
    p: str


def render_html(metrics: Metrics, images: Images | None) -> str:
    """Return the page. `images` are the test images that the samples name, None without them."""
    # Nobody but this page needs templates, and they take as long to import as a file to read.
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = _number
    source = (files("nndbg.plot") / TEMPLATE).read_text(encoding="utf-8")
    test = metrics.test
    chosen = choose(metrics, images, _MOST_SAMPLES)
    accuracies = curve.accuracies(metrics)
    page = environment.from_string(source).render(
        origin=printable(metrics.origin),
        settings=list(shown_settings(metrics)),
        facts=list(_facts(metrics)),
        warning=curve.first_nonfinite(metrics),
        loss=_loss_chart(metrics) if metrics.steps or metrics.epochs else None,
        columns=curve.in_words(metrics, _COLUMNS),
        accuracy=_accuracy_chart(accuracies) if accuracies else None,
        classes=_classes(test) if test else [],
        has_test=test is not None,
        epochs=metrics.epochs,
        wrong=_tiles(chosen.wrong, images),
        right=_tiles(chosen.right, images),
        says=chosen.says,
        area={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP}
        | {"bottom": BOTTOM},
    )
    return page if page.endswith("\n") else f"{page}\n"


def _facts(metrics: Metrics) -> Iterable[tuple[str, str, str]]:
    """The large numbers at the top: name, value, a word more."""
    test = metrics.test
    if test is not None:
        count = f"of {test.count:,} samples" if test.count else ""
        yield "test accuracy", f"{test.accuracy:.2%}", count
        yield "test loss", _number(test.loss), ""
    if metrics.epochs:
        last = metrics.epochs[-1]
        yield "training loss", _number(last.loss), f"mean of epoch {last.epoch}"
    if metrics.steps:
        yield "steps", f"{metrics.reached:,}", f"{len(metrics.epochs)} whole epochs"
    if metrics.seconds is not None:
        yield "training time", f"{metrics.seconds:,.1f} s", ""


def _loss_chart(metrics: Metrics) -> Chart:
    found = curve.columns(metrics.steps, _COLUMNS)
    epochs = [(curve.place_of(e), e) for e in metrics.epochs]
    losses = [c.mean for c in found]
    losses += [loss for _, e in epochs for loss in (e.loss, e.test_loss) if loss is not None]
    y = axis.of_losses(losses)
    x = axis.of_steps(*curve.span(metrics))
    runs = curve.known_runs(found)
    bands = [
        _path([(c.at, c.high) for c in run] + [(c.at, c.low) for c in reversed(run)], x, y) + "Z"
        for run in runs
        if len(metrics.steps) > len(found)
    ]
    lines = [_path([(c.at, c.mean) for c in run], x, y) for run in runs]
    trained = [
        _mark(at, e.loss, x, y, f"epoch {e.epoch}: training loss {_number(e.loss)}")
        for at, e in epochs
        if math.isfinite(e.loss) and not found
    ]
    tested = [
        (at, e.epoch, e.test_loss)
        for at, e in epochs
        if e.test_loss is not None and math.isfinite(e.test_loss)
    ]
    if not found:
        lines = [_path([(at, e.loss) for at, e in epochs if math.isfinite(e.loss)], x, y)]
    return Chart(
        _x_ticks(x),
        _y_ticks(y),
        "step" if metrics.steps else "epoch",
        tuple(bands),
        tuple(filter(None, lines)),
        tuple(trained),
        tuple(
            _mark(at, loss, x, y, f"epoch {epoch}: test loss {_number(loss)}")
            for at, epoch, loss in tested
        ),
        _path([(at, loss) for at, _, loss in tested], x, y),
        y.is_logarithmic,
    )


def _accuracy_chart(found: Sequence[tuple[int, float]]) -> Chart:
    points = [(float(epoch), 100 * share) for epoch, share in found]
    y = axis.of_accuracies([share for _, share in points])
    epochs = [epoch for epoch, _ in found]
    x = axis.of_steps(min(epochs), max(epochs), 10)
    return Chart(
        _x_ticks(x),
        _y_ticks(y),
        "epoch",
        (),
        (),
        (),
        tuple(_mark(at, share, x, y, f"epoch {at:.0f}: {share:.2f}%") for at, share in points),
        _path(points, x, y),
        False,
    )


def _classes(test: Evaluation) -> list[Class]:
    shares = [test.wrong(label) / max(test.total(label), 1) for label in test.labels]
    worst = max(shares, default=0.0) or 1.0
    return [
        Class(
            label,
            tuple(_cell(test, label, predicted) for predicted in test.labels),
            test.wrong(label),
            test.total(label),
            100 * shares[label],
            shares[label] / worst,
        )
        for label in test.labels
    ]


def _cell(test: Evaluation, label: int, predicted: int) -> Cell:
    count, share = test.confusion[label][predicted], test.share(label, predicted)
    taken = "right" if label == predicted else f"taken for {predicted}"
    return Cell(
        count,
        math.cbrt(share),
        f"{label} {taken}: {count:,} of {test.total(label):,}, {share:.1%}",
    )


def _tiles(samples: Iterable[Sample], images: Images | None) -> list[Tile]:
    if images is None:
        return []
    return [
        Tile(png(images[s.index]), s, f"{s.p:.0%}" if math.isfinite(s.p) else f"{s.p:g}")
        for s in samples
    ]


def _x(at: float, x: Axis) -> float:
    return round(LEFT + x.place(at) * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, y: Axis) -> float:
    return round(TOP + (1 - y.place(value)) * (HEIGHT - TOP - BOTTOM), 1)


def _mark(at: float, value: float, x: Axis, y: Axis, says: str) -> Mark:
    return Mark(_x(at, x), _y(value, y), says)


def _path(points: Sequence[tuple[float, float]], x: Axis, y: Axis) -> str:
    """A line of SVG through the points; one point alone is a dot of the line's width."""
    places = [f"{_x(at, x)} {_y(value, y)}" for at, value in points]
    if len(places) == 1:
        places *= 2
    return f"M{'L'.join(places)}" if places else ""


def _x_ticks(x: Axis) -> tuple[Tick, ...]:
    return tuple(Tick(_x(tick, x), axis.label(tick)) for tick in x.ticks)


def _y_ticks(y: Axis) -> tuple[Tick, ...]:
    return tuple(Tick(_y(tick, y), axis.label(tick)) for tick in y.ticks)


def _number(value: float) -> str:
    return f"{value:.4g}"
