"""Draws samples of the batch as pictures, with what the program takes them for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.style import Style
from rich.text import Text

from nndbg.layermap import LayerMap
from nndbg.text import printable
from nndbg.tui.heat import Scale, gathered
from nndbg.tui.palette import ACCENT, DIM, PLAIN, STRONG, WRONG
from nndbg.tui.snapshot import Snapshot

# The smallest side of a picture that is taken for one.
_SMALLEST = 8
_GAP, _WIDEST_BAR = 3, 30
_MOST_CLASSES = 16
# A caption may be wider than its picture.
_CAPTION = 12
_SHADES = " .:-=+*%@"


@dataclass(frozen=True, eq=False)
class Samples:
    """The pictures [n, rows, columns] of a batch, named by their buffer.

    `scores` [n, c] is what the program makes of them and `labels` [n] what they are; None where the
    step has not come so far, or has no such op.
    """

    name: str
    pictures: NDArray[Any]
    scores: NDArray[Any] | None
    labels: NDArray[Any] | None


def samples_of(layer_map: LayerMap, snapshot: Snapshot) -> Samples | None:
    """Return the batch of a snapshot, None where no input of an op looks like pictures.

    That is the first one in the map whose rows are as long as a square, or are squares.
    """
    found = next(_pictures(layer_map, snapshot), None)
    if found is None:
        return None
    name, pictures = found
    scores = labels = None
    for observation in snapshot.observations.values():
        made = observation.op.outputs.get("p")
        if made is not None and made in observation.capture.flat:
            scores = observation.capture.shaped(layer_map.buffers[made])
        taken = observation.inputs.get("y")
        labels = taken if taken is not None else labels
    count = len(pictures)
    return Samples(
        name,
        pictures,
        scores if scores is not None and scores.ndim == 2 and len(scores) == count else None,
        labels if labels is not None and labels.shape == (count,) else None,
    )


def draw_samples(
    samples: Samples | None, first: int, width: int, height: int, has_colours: bool
) -> Text:
    """Return the sample `first`, its classes beside it, and those that follow, as they fit."""
    if samples is None:
        return Text(
            "no pictures here: no buffer that an op takes has rows as long as a square", DIM
        )
    first = min(first, len(samples.pictures) - 1)
    blocks = [_picture(samples, first, width, height - 1, has_colours)]
    if samples.scores is not None:
        blocks.append(_classes(samples, first, width - len(blocks[0][0]) - _GAP, height))
    taken = sum(_width(block) + _GAP for block in blocks)
    for number in range(first + 1, len(samples.pictures)):
        block = _picture(samples, number, width, height - 1, has_colours)
        taken += _width(block) + _GAP
        if taken > width + _GAP:
            break
        blocks.append(block)
    return _beside(blocks)


def _pictures(layer_map: LayerMap, snapshot: Snapshot) -> Iterator[tuple[str, NDArray[Any]]]:
    if snapshot.capture is None:
        return
    for op in layer_map.ops:
        for name in op.inputs.values():
            buffer = layer_map.buffers[name]
            if name not in snapshot.capture.flat or len(buffer.shape) < 2:
                continue
            array = snapshot.capture.shaped(buffer)
            side = math.isqrt(array[0].size) if len(array) else 0
            if side >= _SMALLEST and side * side == array[0].size and _is_flat(array, side):
                yield name, array.reshape(-1, side, side)


def _is_flat(array: NDArray[Any], side: int) -> bool:
    return array.ndim == 2 or array.shape[-2:] == (side, side)


def _picture(
    samples: Samples, number: int, width: int, height: int, has_colours: bool
) -> list[Text]:
    picture = np.nan_to_num(np.asarray(samples.pictures[number], np.float64))
    span = float(picture.max() - picture.min()) or 1.0
    grey = (picture - picture.min()) / span
    rows, columns = grey.shape
    down = 2 if has_colours else 1
    factor = max(1, -(-rows // max(2, height * 2)), -(-columns // max(2, width)))
    shown = gathered(
        grey,
        Scale(rows, -(-rows // factor) * down // 2, 1),
        Scale(columns, -(-columns // factor), 1),
    )
    drawn = _half_blocks(shown) if has_colours else _shades(shown)
    return [_caption(samples, number, shown.shape[1]), *drawn]


def _caption(samples: Samples, number: int, width: int) -> Text:
    text = Text().append(f"{printable(samples.name)}[{number}]", STRONG)
    label = None if samples.labels is None else int(samples.labels[number])
    if label is not None:
        text.append(f" {label}", PLAIN)
    if samples.scores is not None and not np.isnan(samples.scores[number]).any():
        taken = int(samples.scores[number].argmax())
        right = label is None or taken == label
        text.append(f"→{taken} {'✓' if right else '✗'}", ACCENT if right else WRONG)
    text.truncate(max(width, _CAPTION), overflow="ellipsis", pad=True)
    return text


def _half_blocks(grey: NDArray[np.float64]) -> list[Text]:
    if len(grey) % 2:
        grey = np.vstack([grey, np.zeros_like(grey[:1])])
    levels = np.rint(grey * 255).astype(int)
    lines = []
    for upper, lower in zip(levels[::2].tolist(), levels[1::2].tolist(), strict=True):
        line = Text()
        for above, below in zip(upper, lower, strict=True):
            line.append("▀", Style(color=_grey(above), bgcolor=_grey(below)))
        lines.append(line)
    return lines


def _grey(value: int) -> Color:
    return Color.from_rgb(value, value, value)


def _shades(grey: NDArray[np.float64]) -> list[Text]:
    levels = np.minimum((grey * len(_SHADES)).astype(int), len(_SHADES) - 1)
    return [Text("".join(_SHADES[level] for level in row)) for row in levels.tolist()]


def _classes(samples: Samples, number: int, width: int, height: int) -> list[Text]:
    assert samples.scores is not None
    scores = np.asarray(samples.scores[number], np.float64)
    if len(scores) > min(_MOST_CLASSES, max(height - 1, 1)):
        order = np.argsort(-np.nan_to_num(scores))[: max(1, min(_MOST_CLASSES, height - 1))]
    else:
        order = np.arange(len(scores))
    label = None if samples.labels is None else int(samples.labels[number])
    taken = int(np.nan_to_num(scores, nan=-np.inf).argmax())
    bar = max(4, min(_WIDEST_BAR, width - 22))
    lines = [Text("label → what it is taken for"[: max(width, 0)], DIM)]
    for index in order.tolist():
        share = float(scores[index])
        known = share if 0 <= share <= 1 else 0.0
        style = STRONG if index == taken else DIM
        line = Text().append(f"{index:>3} ", style)
        line.append("█" * round(known * bar), ACCENT if index == label else WRONG)
        line.append(f" {share:.1%}" if np.isfinite(share) else f" {share:g}", style)
        if index == label:
            line.append("  the label", ACCENT)
        lines.append(line)
    return lines


def _width(block: list[Text]) -> int:
    return max(line.cell_len for line in block)


def _beside(blocks: list[list[Text]]) -> Text:
    lines = []
    for row in range(max(map(len, blocks))):
        line = Text()
        for block in blocks:
            cell = block[row].copy() if row < len(block) else Text()
            cell.pad_right(_width(block) - cell.cell_len + _GAP)
            line.append_text(cell)
        line.rstrip()
        lines.append(line)
    return Text("\n").join(lines)
