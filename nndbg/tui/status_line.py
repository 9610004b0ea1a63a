"""The state of the program in one line of words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic

from rich.style import Style
from rich.text import Text
from textual.reactive import reactive
from textual.timer import Timer
from textual.widget import Widget

from nndbg.text import printable
from nndbg.tui.palette import ACCENT, DIM, PLAIN, STRONG, UNKNOWN, WRONG
from nndbg.tui.snapshot import Condition, Progress, Snapshot

_TICK = 0.2
_SIGNS: Mapping[Condition, tuple[str, Style]] = {
    Condition.STOPPED: ("■", ACCENT),
    Condition.INTERRUPTED: ("■", UNKNOWN),
    Condition.ENDED: ("●", DIM),
    Condition.FAILED: ("✗", WRONG),
}


class StatusLine(Widget):
    """Running since when and how far, or stopped where."""

    snapshot: reactive[Snapshot | None] = reactive(None)

    def __init__(
        self, program: str, id: str | None = None, clock: Callable[[], float] = monotonic
    ) -> None:
        super().__init__(id=id)
        self._program = program
        self._clock = clock
        self._since: float | None = None
        self._doing = ""
        self._progress: Progress | None = None
        self._remark = ""
        self._timer: Timer | None = None

    def on_mount(self) -> None:
        """Make the clock that runs while the program does."""
        self._timer = self.set_interval(_TICK, self.refresh, pause=True)

    def run(self, doing: str) -> None:
        """Say that the program runs, and what for."""
        self._since, self._doing, self._progress, self._remark = self._clock(), doing, None, ""
        # Drawn by the first tick: a command that is quicker leaves the line as it is.
        if self._timer is not None:
            self._timer.resume()

    def advance(self, progress: Progress) -> None:
        """Say how far it is."""
        self._progress = progress
        self.refresh()

    def stand(self, snapshot: Snapshot) -> None:
        """Say where it stands."""
        self._since, self._remark = None, ""
        if self._timer is not None:
            self._timer.pause()
        self.snapshot = snapshot

    def remark(self, words: str) -> None:
        """Add a word that lasts until the program moves."""
        self._remark = words
        self.refresh()

    def render(self) -> Text:
        """Draw the line: the state on the left, the program on the right."""
        left = self._state()
        if self._remark:
            left.append(f"   {self._remark}", UNKNOWN)
        right = Text(self._program, DIM)
        room = self.size.width - right.cell_len - 2
        if room < left.cell_len:
            left.truncate(self.size.width, overflow="ellipsis")
            return left
        left.pad_right(room - left.cell_len + 2)
        return left.append_text(right)

    def _state(self) -> Text:
        if self._since is not None:
            text = Text.assemble(("▶ ", ACCENT), ("running ", STRONG), (self._doing, PLAIN))
            text.append(f"   {self._clock() - self._since:.1f} s", DIM)
            if self._progress is not None:
                p = self._progress
                text.append(f"   step {p.step}, {p.judged} ops judged", DIM)
            return text
        if self.snapshot is None:
            return Text("not started", DIM)
        sign, style = _SIGNS[self.snapshot.condition]
        text = Text.assemble((f"{sign} ", style), (f"{self.snapshot.condition} ", STRONG))
        failed = self.snapshot.condition is Condition.FAILED
        text.append("as said above" if failed else self.snapshot.says)
        if self.snapshot.healed:
            healed = printable(", ".join(sorted(self.snapshot.healed)))
            text.append(f"   healed: {healed}", UNKNOWN)
        return text
