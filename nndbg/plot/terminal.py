"""Renders the metrics of a run for a terminal: its curves, its confusions and its digits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from rich.color import Color
from rich.console import Console, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from nndbg.chart import axis, braille
from nndbg.chart.lines import Line, draw
from nndbg.plot import curve
from nndbg.plot.digits import Chosen, Images, choose, shrink
from nndbg.plot.metrics import Evaluation, Metrics, Sample, shown_settings
from nndbg.text import printable

# Teal, amber and vermilion, which the colour-blind tell apart (Okabe and Ito's, softened).
_TRAINING = Style(color="#5ab8a8")
_TEST = Style(color="#d8a94a")
_WRONG = Style(color="#f0764a")
_DIM = Style(dim=True)
_STRONG = Style(bold=True)
# From few to many: lighter and lighter, and all of them among a terminal's 256 colours.
_RAMP = ("#005f5f", "#008787", "#5fafaf", "#87d7d7", "#afffff")
_DARK_INK_FROM = 2
_SHADES = " ░▒▓█"

_WIDEST = 160
_SIDE_BY_SIDE = 110  # columns from which on two charts share a line
_LOSS_ROWS = 10
_TILE = 14  # pixels of a digit's side, and columns that it takes
_GAP = 2


def render_terminal(metrics: Metrics, images: Images | None, console: Console) -> None:
    """Print the run: what it was, how loss and accuracy went, what it confuses, some samples.

    `images` are the test images that the samples name, None where there are none. Fits the width
    of `console` from 60 columns on, and says everything without colour too.
    """
    width = min(console.width, _WIDEST)
    for part in _parts(metrics, images, width, _has_shades(console)):
        console.print(part, overflow="fold", highlight=False)


def _has_shades(console: Console) -> bool:
    """Whether the terminal has more than 16 colours, and may use them."""
    return console.color_system in ("256", "truecolor") and not console.no_color


def _parts(
    metrics: Metrics, images: Images | None, width: int, shaded: bool
) -> Iterable[RenderableType]:
    yield from _headline(metrics, width)
    yield ""
    yield from _curves(metrics, width)
    if warning := curve.first_nonfinite(metrics):
        yield Text(f"✗ {warning}", _WRONG)
    if metrics.test is None:
        yield Text("There is no test: the run ended before it, or made none.", _DIM)
        return
    if metrics.test.confusion:
        yield ""
        yield from _confusion(metrics.test, width, shaded)
    per_row = max(1, (width + _GAP) // (_TILE + _GAP))
    chosen = choose(metrics, images, 2 * per_row)
    if chosen.wrong or chosen.right or chosen.says:
        yield ""
        yield from _samples(chosen, images, per_row, shaded)


def _headline(metrics: Metrics, width: int) -> Iterable[RenderableType]:
    yield Text.assemble(("Training run  ", _STRONG), printable(metrics.origin))
    if metrics.settings:
        yield _list([" ".join(pair) for pair in shown_settings(metrics)], width, _DIM)
    facts = []
    if metrics.test is not None:
        of = f" of {metrics.test.count:,} test samples" if metrics.test.count else ""
        facts.append(f"{metrics.test.accuracy:.2%}{of} right")
        facts.append(f"test loss {metrics.test.loss:.4g}")
    if metrics.epochs:
        facts.append(f"training loss {metrics.epochs[-1].loss:.4g}")
    if metrics.steps:
        facts.append(f"{metrics.reached:,} step{'s' * (metrics.reached > 1)}")
    if metrics.seconds is not None:
        facts.append(f"{metrics.seconds:.1f} s of training")
    yield _list(facts, width, _STRONG)


def _list(parts: Iterable[str], width: int, style: Style) -> Text:
    """The parts in lines that break between them only, as long as one fits a line."""
    lines = [""]
    for part in parts:
        joined = f"{lines[-1]} · {part}" if lines[-1] else part
        if len(joined) <= width or not lines[-1]:
            lines[-1] = joined
        else:
            lines.append(part)
    return Text("\n".join(lines), style)


def _curves(metrics: Metrics, width: int) -> Iterable[RenderableType]:
    beside = width >= _SIDE_BY_SIDE
    accuracies = curve.accuracies(metrics)
    room = (width - 4) // 2 if beside and accuracies else width
    charts = []
    if metrics.steps or metrics.epochs:
        charts.append(_loss_chart(metrics, room))
    if accuracies:
        rows = _LOSS_ROWS if beside else 6
        charts.append(_accuracy_chart(accuracies, room, rows))
    if beside and len(charts) == 2:
        grid = Table.grid(padding=(0, 4, 0, 0))
        for _ in charts:
            grid.add_column(no_wrap=True)
        grid.add_row(*(Text("\n").join(chart) for chart in charts))
        yield grid
        return
    for number, chart in enumerate(charts):
        if number:
            yield ""
        yield from chart


def _loss_chart(metrics: Metrics, width: int) -> list[Text]:
    first, last = curve.span(metrics)
    most = braille.ACROSS * (width - 8)
    found = curve.columns(metrics.steps, most)
    trained = [(curve.place_of(e), e.loss) for e in metrics.epochs]
    tested = [(curve.place_of(e), e.test_loss) for e in metrics.epochs if e.test_loss is not None]
    means = [c.mean for c in found] or [loss for _, loss in trained]
    y = axis.of_losses([*means, *(loss for _, loss in tested)], 4)
    lines = [[(c.at, c.mean) for c in run] for run in curve.known_runs(found)]
    if not found:
        lines = [[(at, loss) for at, loss in trained if math.isfinite(loss)]]
    title = Text.assemble(
        ("Loss", _STRONG),
        (", logarithmic" if y.is_logarithmic else "", _DIM),
        ("  ⣀⠤⠒", _TRAINING),
        (" training", _DIM),
        ("  ●" if tested else "", _TEST),
        (" test" if tested else "", _DIM),
        (f"  {curve.in_words(metrics, most)}", _DIM),
    )
    x = axis.of_steps(first, last, max(2, width // 14))
    name = "step" if metrics.steps else "epoch"
    title.truncate(width, overflow="ellipsis")
    drawn = [Line(points, _TRAINING) for points in lines]
    return [title, *draw(drawn, x, y, (width, _LOSS_ROWS), name, tested, _TEST)]


def _accuracy_chart(found: Sequence[tuple[int, float]], width: int, rows: int) -> list[Text]:
    points = [(float(epoch), 100 * accuracy) for epoch, accuracy in found]
    y = axis.of_accuracies([share for _, share in points], 4 if rows > 6 else 2)
    numbers = [epoch for epoch, _ in found]
    x = axis.of_steps(min(numbers), max(numbers), max(2, width // 8))
    best = max(found, key=lambda pair: pair[1])
    title = Text.assemble(
        ("Test accuracy, %", _STRONG),
        (f"  last {found[-1][1]:.2%}, best {best[1]:.2%} in epoch {best[0]}", _DIM),
    )
    marks = points if len(points) < width // 4 else []
    return [title, *draw([Line(points, _TEST)], x, y, (width, rows), "epoch", marks, _TEST)]


def _confusion(test: Evaluation, width: int, shaded: bool) -> Iterable[RenderableType]:
    digits = max(len(str(count)) for row in test.confusion for count in row)
    cell = max(digits + 2, len(str(len(test.labels))) + 2)
    names = max(5, len(str(len(test.labels))))
    matrix = names + 1 + cell * len(test.labels)
    yield Text.assemble(
        ("Confusion", _STRONG), ("  rows: the label, columns: what it was taken for", _DIM)
    )
    if matrix + 8 > width:
        yield Text(f"{len(test.labels)} classes need {matrix + 8} columns.", _DIM)
        return
    yield Text(
        f"{'':{names}} " + "".join(f"{c:>{cell - 1}} " for c in test.labels) + "  wrong", _DIM
    )
    room = min(width - matrix - 10, 24)
    worst = max((test.wrong(c) / max(test.total(c), 1) for c in test.labels), default=0.0)
    for label in test.labels:
        line = Text.assemble((f"{label:>{names}} ", _DIM))
        for predicted in test.labels:
            line.append_text(_cell(test, label, predicted, cell, shaded))
        share = test.wrong(label) / max(test.total(label), 1)
        line.append(f" {share:6.1%} ", _WRONG if share == worst else None)
        if room > 3 and worst:
            line.append(_bar(share / worst, room), _WRONG)
        yield line


def _cell(test: Evaluation, label: int, predicted: int, width: int, shaded: bool) -> Text:
    count = test.confusion[label][predicted]
    if not count:
        return Text(f"{'·':>{width - 1}} ", _DIM)
    # The root tells 1% from 2% and leaves the diagonal its lead.
    depth = math.cbrt(test.share(label, predicted))
    if not shaded:
        mark = _SHADES[min(int(depth * len(_SHADES)), len(_SHADES) - 1)]
        return Text(f"{mark}{count:>{width - 2}} ", _STRONG if label == predicted else "")
    step = min(int(depth * len(_RAMP)), len(_RAMP) - 1)
    ink = "#000000" if step >= _DARK_INK_FROM else "#ffffff"
    style = Style(color=ink, bgcolor=_RAMP[step], bold=label == predicted)
    return Text(f"{count:>{width - 1}} ", style)


def _bar(share: float, room: int) -> str:
    eighths = round(share * room * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _samples(
    chosen: Chosen, images: Images | None, per_row: int, shaded: bool
) -> Iterable[RenderableType]:
    yield Text.assemble(("Samples", _STRONG), (f"  {chosen.says}" if chosen.says else "", _DIM))
    if images is None:
        return
    shown = [*chosen.wrong, *chosen.right]
    for start in range(0, len(shown), per_row):
        row = shown[start : start + per_row]
        grid = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
        for _ in row:
            grid.add_column(width=_TILE, no_wrap=True)
        draw = _shades if shaded else _dots
        grid.add_row(*(draw(images[sample.index]) for sample in row))
        grid.add_row(*(_caption(sample) for sample in row))
        yield grid


def _caption(sample: Sample) -> Text:
    share = f"{sample.p:.0%}" if math.isfinite(sample.p) else f"{sample.p:g}"
    if sample.is_right:
        return Text.assemble(("✓ ", _TRAINING), f"{sample.label}  {share}")
    return Text.assemble(("✗ ", _WRONG), f"{sample.label} as {sample.predicted}  {share}")


def _shades(image: Images) -> Text:
    """The image in half blocks: two pixels, one above the other, in every character."""
    small = shrink(image, _TILE)
    if len(small) % 2:
        small = np.vstack([small, np.zeros_like(small[:1])])
    text = Text()
    styles: Mapping[tuple[int, int], Style] = {}
    for upper, lower in zip(small[::2].tolist(), small[1::2].tolist(), strict=True):
        for pair in zip(upper, lower, strict=True):
            style = styles.get(pair) or Style(color=_grey(pair[0]), bgcolor=_grey(pair[1]))
            text.append("▀", style)
        text.append("\n")
    text.right_crop(1)
    return text


def _grey(value: int) -> Color:
    return Color.from_rgb(value, value, value)


def _dots(image: Images) -> Text:
    """The image in braille: a dot where it is more than half as bright as it gets."""
    small = shrink(image, braille.ACROSS * _TILE)
    return Text("\n".join(braille.text(small > small.max() / 2.0)))
