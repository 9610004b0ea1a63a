"""The ops of the step in the order of the map, each with the verdict on what it made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nndbg.compare import Verdict
from nndbg.layermap import LayerMap
from nndbg.report.words import SIGNS
from nndbg.text import printable
from nndbg.tui.keys import pane_bindings
from nndbg.tui.named_bindings import named
from nndbg.tui.number_format import share
from nndbg.tui.palette import DIM, PLAIN, STRONG, STYLES, UNKNOWN
from nndbg.tui.snapshot import Snapshot
from nndbg.tui.tensor import verdict_on

_HEADING = 1
# The widths of a line's parts; the name takes what the map's longest needs, up to a limit.
_SHORTEST_NAME, _LONGEST_NAME, _LONGEST_IN_NARROW = 6, 18, 9
_SIGN, _WORD, _SHARE = 2, 10, 6


@dataclass(frozen=True)
class Row:
    """One buffer that an op writes. `is_first` where the line names the op, not the buffer."""

    op: str
    buffer: str
    is_first: bool
    verdict: Verdict | None
    word: str


class OpList(ScrollView, can_focus=True):
    """A line for each op; further lines for its further buffers."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "ops",
        [
            *pane_bindings("ops"),
            Binding("up,k", "move(-1)", "Up", show=False),
            Binding("down,j", "move(1)", "Down", show=False),
            Binding("pageup", "page(-1)", "Page up", show=False),
            Binding("pagedown", "page(1)", "Page down", show=False),
            Binding("home", "first", "First op", show=False),
            Binding("end", "last", "Last op", show=False),
            Binding("enter,l,right", "open", "Open its buffer", show=False),
        ],
    )
    COMPONENT_CLASSES: ClassVar[set[str]] = {"op-list--chosen"}

    at: reactive[int] = reactive(0)

    class Chosen(Message):
        """The screen shall show what the chosen op made."""

    class Opened(Message):
        """The cursor shall go into it."""

    def __init__(self, layer_map: LayerMap, id: str | None = None) -> None:
        super().__init__(id=id)
        self._map = layer_map
        self._heading = "step"
        self.rows: tuple[Row, ...] = rows_of(layer_map, None)
        self._name_width = _SHORTEST_NAME

    @property
    def chosen(self) -> Row | None:
        """The op and the buffer that the list stands on."""
        return self.rows[self.at] if self.at < len(self.rows) else None

    def show(self, snapshot: Snapshot) -> None:
        """Show the verdicts of a snapshot; stand on the op that it is about."""
        before = self.chosen
        self.rows = rows_of(self._map, snapshot)
        judged = f"{len(snapshot.observations)} of {len(self._map.ops)} ops"
        self._heading = f"step {snapshot.step} · {judged}"
        wanted = snapshot.look_at
        fresh = [i for i, row in enumerate(self.rows) if row.op == wanted]
        wrong = [i for i in fresh if _is_wrong(self.rows[i])]
        same = [i for i, r in enumerate(self.rows) if before and r.op == before.op]
        self.at = next(iter(wrong or fresh or same), 0)
        self.virtual_size = Size(self.size.width, len(self.rows) + _HEADING)
        self._reveal()
        self.refresh()
        self.post_message(self.Chosen())

    def action_move(self, down: int) -> None:
        """Go to another op."""
        self._move_to(self.at + down)

    def action_page(self, pages: int) -> None:
        """Go on by what the screen holds."""
        self._move_to(self.at + pages * max(1, self.size.height - _HEADING))

    def action_first(self) -> None:
        """Go to the first op."""
        self._move_to(0)

    def action_last(self) -> None:
        """Go to the last op."""
        self._move_to(len(self.rows) - 1)

    def action_open(self) -> None:
        """Go into the buffer of the op."""
        self.post_message(self.Opened())

    def fit(self, is_narrow: bool) -> None:
        """Take the width that the names need, less where the screen is narrow."""
        longest = max(len(_label(row)) for row in self.rows)
        limit = _LONGEST_IN_NARROW if is_narrow else _LONGEST_NAME
        self._name_width = min(max(longest, _SHORTEST_NAME), limit)
        self.styles.width = _SIGN + self._name_width + _WORD + _SHARE + self.gutter.width
        self.refresh()

    def on_mount(self) -> None:
        """Know the length of the list."""
        self.virtual_size = Size(self.size.width, len(self.rows) + _HEADING)

    def on_resize(self) -> None:
        """Keep the chosen op on the screen."""
        self._reveal()

    def on_click(self, event: events.Click) -> None:
        """Go to the op under the mouse."""
        at = event.get_content_offset(self)
        if at is not None and at.y >= _HEADING:
            row = at.y - _HEADING + self.scroll_offset.y
            if row < len(self.rows):
                self._move_to(row)

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self.scrollable_content_region.width
        row = y - _HEADING + self.scroll_offset.y
        style = self.rich_style
        if y == 0:
            segments = [Segment(self._heading, STRONG)]
        elif row < len(self.rows):
            segments = _line(self.rows[row], self._name_width)
            if row == self.at:
                style += self.get_component_rich_style("op-list--chosen")
        else:
            segments = []
        return Strip(segments).adjust_cell_length(width).apply_style(style)

    def _move_to(self, at: int) -> None:
        self.at = min(max(at, 0), len(self.rows) - 1)
        self._reveal()
        self.refresh()
        self.post_message(self.Chosen())

    def _reveal(self) -> None:
        lines = max(1, self.scrollable_content_region.height - _HEADING)
        top = min(max(self.scroll_offset.y, self.at - lines + 1), self.at)
        self.scroll_to(0, top, animate=False, force=True)


def rows_of(layer_map: LayerMap, snapshot: Snapshot | None) -> tuple[Row, ...]:
    """Return the lines for a snapshot, or for a program that has not begun."""
    return tuple(_rows(layer_map, snapshot))


def _rows(layer_map: LayerMap, snapshot: Snapshot | None) -> Iterator[Row]:
    skipped = snapshot.capture.skipped if snapshot and snapshot.capture else frozenset()
    for op in layer_map.ops:
        observation = snapshot.observations.get(op.name) if snapshot else None
        buffers = list(op.outputs.values())
        if observation is not None:
            buffers += [v.subject.buffer for v in observation.verdicts]
        for place, buffer in enumerate(dict.fromkeys(buffers)):
            verdict = verdict_on(observation, buffer) if observation else None
            unknown = "skipped" if op.name in skipped else "not yet"
            word = verdict.status.value if verdict else unknown
            yield Row(op.name, buffer, place == 0, verdict, word)


def _is_wrong(row: Row) -> bool:
    return row.verdict is not None and row.verdict.status.is_wrong


def _line(row: Row, width: int) -> list[Segment]:
    sign, style, used = "·", DIM, ""
    if row.verdict is not None:
        sign, style = SIGNS[row.verdict.status], STYLES[row.verdict.status]
        used = share(row.verdict.worst.share) if row.verdict.worst else ""
    name = _label(row)
    return [
        Segment(f"{sign} ", style),
        Segment(set_cell_size(_short(name, width), width), PLAIN if row.verdict else DIM),
        Segment(f" {row.word:<{_WORD - 1}}", style),
        Segment(f"{used:>{_SHARE}}", _share_style(row, style)),
    ]


def _label(row: Row) -> str:
    return printable(row.op) if row.is_first else f"└ {printable(row.buffer)}"


def _share_style(row: Row, style: Style) -> Style:
    return style if _is_wrong(row) or style is UNKNOWN else DIM


def _short(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"
