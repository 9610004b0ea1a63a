"""The application: puts the parts of the screen together and hands commands to the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import ClassVar
from weakref import WeakKeyDictionary

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer, Static

from nndbg.diagnose import Diagnosis, Evidence
from nndbg.last_write import back_to_write
from nndbg.session import Session
from nndbg.text import printable
from nndbg.tui.commands import (
    Back,
    BackStep,
    BackToWrite,
    Command,
    FindDivergence,
    FinishStep,
    NextOp,
    Start,
)
from nndbg.tui.diagnoser import Diagnosed, Diagnoser
from nndbg.tui.dialogs import HelpDialog, StepDialog
from nndbg.tui.driver import GoBack
from nndbg.tui.keys import KEYS
from nndbg.tui.matrix import Matrix
from nndbg.tui.matrix_layout import Side
from nndbg.tui.op_list import OpList
from nndbg.tui.palette import STRONG, THEME, UNKNOWN, WRONG
from nndbg.tui.snapshot import Condition, Snapshot
from nndbg.tui.source_view import SourceView
from nndbg.tui.status_line import StatusLine
from nndbg.tui.summary import BufferLine, ElementLine
from nndbg.tui.tensor import tensor, verdict_on
from nndbg.tui.termination import heeded
from nndbg.tui.worker import Arrived, Underway, Worker

# A command that takes no longer than this, in seconds, leaves the footer as it is.
_BLINK = 0.2
# The classes of the screen for app.tcss, each from so many columns, or lines, on.
_WIDE = 100
_WIDTHS = [(0, "-narrow"), (_WIDE, "-wide")]
_HEIGHTS = [(0, "-low"), (34, "-high")]


class DebuggerApp(App[None]):
    """The screen over one session. Owns it: the session is closed when the screen is."""

    CSS_PATH = "app.tcss"
    TITLE = "nndbg"
    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in KEYS]
    HORIZONTAL_BREAKPOINTS = _WIDTHS
    VERTICAL_BREAKPOINTS = _HEIGHTS

    def __init__(self, session: Session, step: int = 0, to_write: GoBack = back_to_write) -> None:
        super().__init__()
        self._first_step = step
        self._generation = 0
        self.is_busy = False
        self._map = session.layer_map
        self._program = Path(session.program).name
        self._executable = session.executable
        self._events: asyncio.AbstractEventLoop | None = None
        self.snapshot: Snapshot | None = None
        self._shown_evidence: Evidence | None = None
        self.worker = Worker(session, self.post_message, to_write)
        self._diagnoser = Diagnoser(self.post_message)
        self._diagnoses: WeakKeyDictionary[Evidence, tuple[Diagnosis, ...]] = WeakKeyDictionary()

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        with Horizontal(id="body"):
            yield OpList(self._map, id="ops")
            with Vertical(id="centre"):
                yield BufferLine(id="buffer")
                yield Matrix("nothing to show yet", id="matrix")
                yield ElementLine(id="element")
                yield SourceView(self._executable, id="source")
        yield Static(id="message")
        yield StatusLine(printable(self._program), id="status")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Start the program."""
        self.register_theme(THEME)
        self.theme = THEME.name
        self.query_one(OpList).focus()
        self._events = asyncio.get_running_loop()
        self.worker.start()
        self._diagnoser.start()
        self._submit(Start(self._first_step), f"to step {self._first_step}")

    def on_resize(self, event: events.Resize) -> None:
        """Share the width out."""
        self.query_one(OpList).fit(is_narrow=event.size.width < _WIDE)

    async def on_unmount(self) -> None:
        """Let nothing run on without the screen."""
        self._diagnoser.close()
        await asyncio.to_thread(self.worker.close)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer everything that has a key in the command palette."""
        for key in KEYS:
            yield SystemCommand(key.title, key.explained, partial(self.run_action, key.action))
        yield SystemCommand("Save a picture", "Write the screen as SVG.", self.action_screenshot)
        yield SystemCommand("Theme", "Choose other colours.", self.action_change_theme)

    def leave(self, code: int) -> None:
        """Close the screen with an exit code; may be called from any thread, or by a signal."""
        if self._events is not None:
            self._events.call_soon_threadsafe(partial(self.exit, return_code=code))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Grey out what cannot be done at present."""
        match action:
            case "next_op" | "finish_step" | "find_divergence":
                return True if self._can_go_on else None
            case "back_op" | "back_step" | "back_to_write":
                return True if self._can_go_back else None
            case "interrupt":
                return True if self.is_busy else None
        return True

    def action_next_op(self) -> None:
        """Run to the next op."""
        self._submit(NextOp(), "to the next op")

    def action_finish_step(self) -> None:
        """Run to the end of the step."""
        self._submit(FinishStep(), "to the end of the step")

    def action_find_divergence(self) -> None:
        """Run until something is wrong."""
        self._submit(FindDivergence(), "to the first divergence")

    def action_back_op(self) -> None:
        """Run again to the stop before."""
        self._submit(Back(), "again, to the stop before")

    def action_back_step(self) -> None:
        """Run again to where the step, or the one before, begins."""
        self._submit(BackStep(), "again, to where the step begins")

    def action_back_to_write(self) -> None:
        """Run again to before the element under the cursor was written."""
        matrix, snapshot = self.query_one(Matrix), self.snapshot
        if matrix.tensor is not None:
            index = ",".join(map(str, matrix.tensor.index(*matrix.cursor)))
            element = f"{matrix.tensor.name}[{index}]" if index else matrix.tensor.name
        elif snapshot is not None and snapshot.written is not None:
            element = snapshot.written.element
        else:
            self.query_one(StatusLine).remark("no element here")
            return
        self._submit(BackToWrite(element), f"again, to the write of {printable(element)}")

    def action_interrupt(self) -> None:
        """Stop the program where it is."""
        if self.is_busy:
            self.worker.interrupt()

    def action_restart(self) -> None:
        """Run anew."""
        self._begin(self._first_step)

    def action_ask_step(self) -> None:
        """Ask where to go."""
        step = self.snapshot.step if self.snapshot else self._first_step
        self.push_screen(StepDialog(step), self._begin)

    def action_explain(self) -> None:
        """Explain the keys."""
        self.push_screen(HelpDialog())

    def action_seek_wrong(self, forward: bool) -> None:
        """Go to another wrong element."""
        if not self.query_one(Matrix).seek_wrong(forward):
            self.query_one(StatusLine).remark("no wrong element here")

    def action_side(self, side: str) -> None:
        """Show one side alone, or all."""
        self.query_one(Matrix).choose(Side(side) if side else None)

    def on_arrived(self, message: Arrived) -> None:
        """Show where the program stands now, unless another command has been given since."""
        if message.generation != self._generation:
            return
        self.snapshot = snapshot = message.snapshot
        self.is_busy = False
        self.query_one(StatusLine).stand(snapshot)
        self._show_message(snapshot)
        self.query_one(OpList).show(snapshot)
        self.refresh_bindings()

    def on_underway(self, message: Underway) -> None:
        """Show how far the program is."""
        if message.generation == self._generation and self.is_busy:
            self.query_one(StatusLine).advance(message.progress)

    def on_op_list_chosen(self) -> None:
        """Show the buffer of the op that the list stands on."""
        row, snapshot = self.query_one(OpList).chosen, self.snapshot
        if row is None or snapshot is None:
            return
        observation = snapshot.observations.get(row.op)
        matrix, line = self.query_one(Matrix), self.query_one(BufferLine)
        capture = observation.capture if observation else snapshot.capture
        address = capture.address if capture else None
        if observation is None and snapshot.written is not None:
            address = snapshot.written.write.site.address
        self.query_one(SourceView).show(address)
        if observation is None:
            line.show_words(row.op, f"{row.word} in step {snapshot.step}")
            onwards = "n runs the next op, d to the first wrong one"
            matrix.show_words(onwards if snapshot.can_go_on else "r restarts")
            return
        found = tensor(observation, self._map.buffers[row.buffer])
        line.show(observation, row.buffer, found)
        self._explain(observation.evidence.get(row.buffer))
        if found is None:
            matrix.show_words(f"{row.buffer} has no elements here: its pointer is null")
            return
        verdict = verdict_on(observation, row.buffer)
        worst = verdict.worst if verdict and verdict.status.is_wrong else None
        matrix.show(found, found.place(worst.index) if worst else None)

    def on_diagnosed(self, message: Diagnosed) -> None:
        """Say what explains the buffer, if it is still shown."""
        self._diagnoses[message.evidence] = message.diagnoses
        if message.evidence is self._shown_evidence:
            self.query_one(BufferLine).explain(message.diagnoses)

    def on_op_list_opened(self) -> None:
        """Go into the matrix."""
        self.query_one(Matrix).focus()

    def on_matrix_moved(self) -> None:
        """Describe the element under the cursor."""
        matrix, line = self.query_one(Matrix), self.query_one(ElementLine)
        if matrix.tensor is None:
            line.show_nothing()
        else:
            line.show(matrix.tensor, *matrix.cursor)

    def _explain(self, evidence: Evidence | None) -> None:
        self._shown_evidence = evidence
        if evidence is None:
            return
        known = self._diagnoses.get(evidence)
        self.query_one(BufferLine).explain(known)
        if known is None:
            self._diagnoser.ask(evidence)

    @property
    def _can_go_on(self) -> bool:
        return not self.is_busy and self.snapshot is not None and self.snapshot.can_go_on

    @property
    def _can_go_back(self) -> bool:
        return not self.is_busy and self.snapshot is not None and self.snapshot.capture is not None

    def _begin(self, step: int | None) -> None:
        if step is None:
            return
        self._first_step = step
        if self.is_busy:
            self.worker.interrupt()
        self._submit(Start(step), f"to step {step}")

    def _submit(self, command: Command, doing: str) -> None:
        self._generation = self.worker.submit(command)
        self.is_busy = True
        self.query_one(StatusLine).run(doing)
        self.set_timer(_BLINK, self._refresh_footer)

    def _refresh_footer(self) -> None:
        if self.is_busy:
            self.refresh_bindings()

    def _show_message(self, snapshot: Snapshot) -> None:
        message = self.query_one("#message", Static)
        failed = snapshot.condition is Condition.FAILED
        message.display = failed or bool(snapshot.remark)
        words = Text(snapshot.remark, STRONG if snapshot.written else UNKNOWN)
        if failed:
            words = Text(snapshot.says, WRONG)
            words.append("\nr restarts, g goes to another step, q quits.", "not bold")
        message.update(words)


def run(session: Session, step: int = 0) -> None:
    """Open the screen over a session, with the program at `step`; closes the session.

    Raises SystemExit when a signal ended it.
    """
    app = DebuggerApp(session, step)
    try:
        with heeded(app.leave, app.worker.close):
            app.run()
    finally:
        app.worker.close()
    if app.return_code:
        raise SystemExit(app.return_code)
