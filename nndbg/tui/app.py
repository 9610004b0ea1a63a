"""The application: puts the parts of the screen together and hands commands to the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.filter import LineFilter, NoColor
from textual.screen import Screen
from textual.widgets import Footer, Static

from nndbg.errors import UsageError
from nndbg.hunt import Accuse
from nndbg.inferior import LiveSource
from nndbg.last_write import back_to_write
from nndbg.session import Session
from nndbg.settings import Settings
from nndbg.text import printable
from nndbg.tui.breakpoint_list import BreakpointList
from nndbg.tui.breakpoints import Breakpoint, parse_breakpoint
from nndbg.tui.code_view import CodeView
from nndbg.tui.commands import (
    Ask,
    Back,
    BackStep,
    BackToWrite,
    Command,
    Continue,
    FindDivergence,
    FinishStep,
    Heal,
    Kill,
    NextOp,
    RunToAddress,
    RunToOp,
    Start,
    StepInstruction,
)
from nndbg.tui.console_pane import ConsoleInput, ConsolePane
from nndbg.tui.diagnoser import Diagnosed, Diagnoser
from nndbg.tui.dialogs import BreakpointDialog, Goal, HelpDialog, StepDialog
from nndbg.tui.driver import GoBack
from nndbg.tui.field_dialog import FieldDialog
from nndbg.tui.heatmap import Heatmap
from nndbg.tui.inquest import Answered, Inquest, Question, Writes
from nndbg.tui.keys import KEYS
from nndbg.tui.matrix import Matrix
from nndbg.tui.matrix_layout import Side
from nndbg.tui.op_list import OpList
from nndbg.tui.palette import STRONG, UNKNOWN, WRONG
from nndbg.tui.preferences import apply, preferred
from nndbg.tui.snapshot import Condition, Snapshot
from nndbg.tui.source_view import SourceView
from nndbg.tui.status_line import StatusLine
from nndbg.tui.take_out import TakeOut
from nndbg.tui.termination import heeded
from nndbg.tui.themes import FILTERS, SIXTEEN
from nndbg.tui.workbench import Workbench
from nndbg.tui.worker import Arrived, Underway, Worker

# A command that takes no longer than this, in seconds, leaves the footer as it is.
_BLINK = 0.2
_COLOURLESS = NoColor()
# The classes of the screen for app.tcss, each from so many columns, or lines, on.
_WIDE, _VAST = 100, 160
_WIDTHS = [(0, "-narrow"), (_WIDE, "-wide"), (_VAST, "-vast")]
_HEIGHTS = [(0, "-low"), (34, "-high")]
_GOES_ON = (
    "next_op",
    "finish_step",
    "find_divergence",
    "continue",
    "run_to_cursor",
    "step_instruction",
)


class DebuggerApp(App[None]):
    """The screen over one session. Owns it: the session is closed when the screen is.

    `writes` and `accuse` find who made a number, by running the program again.
    """

    CSS_PATH = "app.tcss"
    TITLE = "nndbg"
    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in KEYS]
    HORIZONTAL_BREAKPOINTS = _WIDTHS
    VERTICAL_BREAKPOINTS = _HEIGHTS

    def __init__(
        self,
        session: Session,
        step: int = 0,
        to_write: GoBack = back_to_write,
        writes: Writes | None = None,
        accuse: Accuse | None = None,
        settings: Settings | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings or preferred(PARTS)
        self._first_step = step
        self._generation = 0
        self.is_busy = False
        self.layer_map = session.layer_map
        self.program = session.program
        self.executable = session.executable
        self._has_machine = session.machine is not None
        self._events: asyncio.AbstractEventLoop | None = None
        self.snapshot: Snapshot | None = None
        self.breakpoints: tuple[Breakpoint, ...] = ()
        self.worker = Worker(session, self.post_message, to_write)
        self.take_out = TakeOut(self)
        self._diagnoser = Diagnoser(self.post_message)
        self._inquest = Inquest(self.post_message, writes, accuse)
        self.workbench = Workbench(
            self.layer_map, self.executable, _boundaries(session), self._diagnoser.ask, id="body"
        )

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield self.workbench
        yield Static(id="message")
        yield StatusLine(printable(Path(self.program).name), id="status")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Start the program."""
        apply(self.settings, self)
        self.workbench.ops.focus()
        self._events = asyncio.get_running_loop()
        self.worker.start()
        self._diagnoser.start()
        self._inquest.start()
        self.submit(Start(self._first_step), f"to step {self._first_step}")

    def on_resize(self, event: events.Resize) -> None:
        """Share the width out."""
        self.workbench.ops.fit(is_narrow=event.size.width < _WIDE)

    async def on_unmount(self) -> None:
        """Let nothing run on without the screen."""
        self._diagnoser.close()
        self._inquest.close()
        await asyncio.to_thread(self.worker.close)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Show lines in the theme's colours, or, where NO_COLOR is set, in none."""
        if self.no_color:
            return [_COLOURLESS]
        few = self.console.color_system in ("standard", "windows")
        recoloured = SIXTEEN if few else FILTERS.get(self.theme)
        return [*super().get_line_filters(), *([recoloured] if recoloured else [])]

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer everything that has a key in the command palette, and every page."""
        for key in KEYS:
            yield SystemCommand(key.title, key.explained, partial(self.run_action, key.action))
        for pages in (self.workbench.views, self.workbench.pages):
            for name in pages.names:
                turn = partial(pages.turn, name, focus=True)
                yield SystemCommand(f"Show {name}", f"Turn to the page {name}.", turn)
        yield SystemCommand("Theme", "Choose other colours.", self.action_change_theme)

    def leave(self, code: int) -> None:
        """Close the screen with an exit code; may be called from any thread, or by a signal."""
        if self._events is not None:
            self._events.call_soon_threadsafe(partial(self.exit, return_code=code))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Grey out what cannot be done at present."""
        if action == "continue" and not self.breakpoints:
            return False
        if action in _GOES_ON:
            return True if self._can_go_on else None
        match action:
            case "back_op" | "back_step" | "back_to_write" | "heal" | "poison":
                return True if self._can_go_back else None
            case "interrupt":
                return self.is_busy
        return True

    # Running

    def action_next_op(self) -> None:
        """Run to the next op."""
        self.submit(NextOp(), "to the next op")

    def action_finish_step(self) -> None:
        """Run to the end of the step."""
        self.submit(FinishStep(), "to the end of the step")

    def action_find_divergence(self) -> None:
        """Run until something is wrong."""
        self.submit(FindDivergence(), "to the first divergence")

    def action_continue(self) -> None:
        """Run to the next breakpoint."""
        self.submit(Continue(), "to the next breakpoint")

    def action_step_instruction(self, over: bool) -> None:
        """Run one instruction."""
        self.submit(StepInstruction(over), "one instruction")

    def action_run_to_cursor(self) -> None:
        """Run to the line of code under the cursor, or to the op of the list."""
        code, row = self.workbench.code, self.workbench.chosen
        if code is not None:
            if not code.under_cursor:
                self._remark("no code was made from this line")
                return
            address = code.under_cursor[0]
            self.submit(RunToAddress(address), f"to {address:#x}")
        elif row is not None:
            self.submit(RunToOp(row.op), f"to {printable(row.op)}")

    def action_back_op(self) -> None:
        """Run again to the stop before."""
        self.submit(Back(), "again, to the stop before")

    def action_back_step(self) -> None:
        """Run again to where the step, or the one before, begins."""
        self.submit(BackStep(), "again, to where the step begins")

    def action_back_to_write(self) -> None:
        """Run again to before the element under the cursor was written."""
        element, snapshot = self.workbench.element, self.snapshot
        if element is None and snapshot is not None and snapshot.written is not None:
            element = snapshot.written.element
        if element is None:
            self._remark("no element here")
            return
        self.submit(BackToWrite(element), f"again, to the write of {printable(element)}")

    def action_interrupt(self) -> None:
        """Stop the program where it is."""
        if self.is_busy:
            self.worker.interrupt()

    def action_restart(self) -> None:
        """Run anew."""
        self._begin(Goal(self._first_step))

    def action_kill(self) -> None:
        """End the program, and stay."""
        if self.is_busy:
            self.worker.interrupt()
        self.submit(Kill(), "no more")

    def action_ask_step(self) -> None:
        """Ask where to go."""
        step = self.snapshot.step if self.snapshot else self._first_step
        self.push_screen(StepDialog(step, self.layer_map), self._begin)

    def action_heal(self) -> None:
        """Repair the op of the list from now on, or no longer."""
        row, snapshot = self.workbench.chosen, self.snapshot
        if row is not None and snapshot is not None:
            ops = snapshot.healed ^ {row.op}
            verb = "healing" if row.op in ops else "without healing"
            self.submit(Heal(ops), f"again, {verb} {printable(row.op)}")

    def action_poison(self) -> None:
        """Run the step again, with NaNs in what it is to write."""
        if self.snapshot is not None:
            step = self.snapshot.step
            self.submit(Start(step, poison=True), f"again to step {step}, with poison")

    # Breakpoints, and who made a number

    def action_ask_breakpoint(self) -> None:
        """Ask where to stop."""
        self.push_screen(BreakpointDialog(self.layer_map, self.executable), self._toggle)

    def action_toggle_breakpoint(self) -> None:
        """Set a breakpoint on what the cursor is on, or take it away."""
        code, row = self.workbench.code, self.workbench.chosen
        chosen = self.query_one(BreakpointList)
        if chosen.has_focus:
            self._toggle(chosen.chosen)
        elif code is not None:
            if not code.under_cursor:
                self._remark("no code was made from this line")
                return
            text = code.place if isinstance(code, SourceView) else f"*{code.under_cursor[0]:#x}"
            self._toggle(parse_breakpoint(text, self.layer_map, self.executable))
        elif row is not None:
            self._toggle(Breakpoint(row.op, op=row.op))

    def action_watch(self) -> None:
        """Stop where the element under the cursor changes, or no longer."""
        element = self.workbench.element
        if element is None:
            self._remark("no element here")
        else:
            self._toggle(parse_breakpoint(element, self.layer_map, self.executable))

    def action_inquire(self) -> None:
        """Find out who made the element under the cursor."""
        element, row, snapshot = self.workbench.element, self.workbench.chosen, self.snapshot
        if element is None or row is None or snapshot is None:
            self._remark("no element here")
        elif not self._inquest.is_able:
            self._remark("there is no program here that could be run again")
        else:
            verdict = self.workbench.verdict
            wrong = verdict if verdict is not None and verdict.status.is_wrong else None
            seen = self.workbench.observation
            self._inquest.ask(Question(element, snapshot.step, row.op, wrong, seen))
            self.workbench.inquire(element)

    # The screen

    def action_explain(self) -> None:
        """Explain the keys."""
        self.push_screen(HelpDialog(self.settings.keys))

    def action_seek_wrong(self, forward: bool) -> None:
        """Go to another wrong element."""
        if not self.workbench.seek_wrong(forward):
            self._remark("no wrong element here")

    def action_side(self, side: str) -> None:
        """Show one side alone, or all."""
        self.workbench.choose_side(Side(side) if side else None)

    def action_view(self) -> None:
        """Show the buffer otherwise."""
        self.workbench.views.turn_by(1)

    def action_page(self, pages: int) -> None:
        """Turn to another page below."""
        self.workbench.pages.turn_by(pages)

    def action_console(self) -> None:
        """Go to the debugger's console."""
        self.workbench.pages.turn("console", focus=True)

    def action_zoom(self) -> None:
        """Show the elements of the heatmap each, or the whole."""
        self.workbench.zoom()

    def action_lanes(self) -> None:
        """Read vector registers as another type."""
        self.workbench.turn_lanes()

    def action_enlarge(self) -> None:
        """Give the focused part the whole screen, or no longer."""
        if self.screen.maximized is not None:
            self.screen.minimize()
        elif self.focused is not None:
            self.screen.maximize(self.focused, container=False)

    def action_take(self, what: str) -> None:
        """Take something out of the screen."""
        match what:
            case "element":
                self.take_out.copy_element()
            case "row":
                self.take_out.copy_row()
            case "slice":
                self.take_out.ask_slice()
            case "buffer":
                self.take_out.ask_buffer_file()
            case "report":
                self.take_out.ask_report_file()
            case "picture":
                self.take_out.ask_picture_file()
            case "recording":
                self.take_out.ask_recording_file()

    def on_arrived(self, message: Arrived) -> None:
        """Show where the program stands now, unless another command has been given since."""
        if message.generation != self._generation:
            return
        self.snapshot = snapshot = message.snapshot
        self.is_busy = False
        self.query_one(StatusLine).stand(snapshot)
        self._show_message(snapshot)
        self.workbench.show(snapshot)
        self.refresh_bindings()

    def on_underway(self, message: Underway) -> None:
        """Show how far the program is."""
        if message.generation == self._generation and self.is_busy:
            self.query_one(StatusLine).advance(message.progress)
            self.workbench.show_output(message.progress.output)

    def on_diagnosed(self, message: Diagnosed) -> None:
        """Say what explains a buffer."""
        self.workbench.show_diagnosis(message)

    def on_answered(self, message: Answered) -> None:
        """Say who made an element."""
        self.workbench.show_answer(message.answer)

    def on_breakpoint_list_removed(self, message: BreakpointList.Removed) -> None:
        """Take a breakpoint away."""
        self._toggle(message.breakpoint)

    def on_console_pane_asked(self, message: ConsolePane.Asked) -> None:
        """Put a command to the debugger, if the program stands."""
        if self.is_busy:
            self.workbench.console.say("the program runs: i interrupts it.")
        elif self.snapshot is None:
            self.workbench.console.say("the program has not started.")
        else:
            self.submit(Ask(message.words), "what the debugger says")

    @property
    def _can_go_on(self) -> bool:
        return not self.is_busy and self.snapshot is not None and self.snapshot.can_go_on

    @property
    def _can_go_back(self) -> bool:
        return not self.is_busy and self.snapshot is not None and self.snapshot.capture is not None

    def _begin(self, goal: Goal | None) -> None:
        if goal is None:
            return
        self._first_step = goal.step
        if self.is_busy:
            self.worker.interrupt()
        what = f"to {printable(goal.op)} of step {goal.step}" if goal.op else f"to step {goal.step}"
        self.submit(Start(goal.step, goal.op), what)

    def _toggle(self, breakpoint: Breakpoint | None) -> None:
        """Set a breakpoint, or take it away where it is set."""
        if breakpoint is None:
            return
        if not self._has_machine and (breakpoint.addresses or breakpoint.element):
            self._remark("this is no program under GDB: it stops at ops and conditions only")
            return
        if breakpoint in self.breakpoints:
            self.breakpoints = tuple(one for one in self.breakpoints if one != breakpoint)
            self._remark(f"no longer stops at {printable(breakpoint.text)}")
        else:
            self.breakpoints = (*self.breakpoints, breakpoint)
            self._remark(f"c runs to {printable(breakpoint.text)}")
        self.worker.stop_at(self.breakpoints)
        self.refresh_bindings()
        self.workbench.show_breakpoints(self.breakpoints)

    def _remark(self, words: str) -> None:
        self.query_one(StatusLine).remark(words)

    def submit(self, command: Command, doing: str) -> None:
        """Hand a command to the worker; `doing` is said while it is carried out."""
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


# The parts of the screen whose keys the settings can change.
PARTS = (
    DebuggerApp,
    OpList,
    Matrix,
    Heatmap,
    CodeView,
    BreakpointList,
    ConsoleInput,
    StepDialog,
    BreakpointDialog,
    HelpDialog,
    FieldDialog,
)


def run(
    session: Session, step: int = 0, writes: Writes | None = None, accuse: Accuse | None = None
) -> None:
    """Open the screen over a session, with the program at `step`; closes the session.

    `writes` and `accuse` are as for DebuggerApp. Raises SystemExit when a signal ended it.
    """
    try:
        settings = preferred(PARTS)
    except UsageError:
        session.close()
        raise
    app = DebuggerApp(session, step, writes=writes, accuse=accuse, settings=settings)
    try:
        with heeded(app.leave, app.worker.close):
            app.run(mouse=settings.mouse)
    finally:
        app.worker.close()
    if app.return_code:
        raise SystemExit(app.return_code)


def _boundaries(session: Session) -> Mapping[int, str]:
    """Return which ops are complete at which addresses, as linked."""
    source = session.source
    if not isinstance(source, LiveSource):
        return {}
    names: dict[int, list[str]] = {}
    for op, addresses in source.placed.done.items():
        for address in addresses:
            names.setdefault(address, []).append(op)
    return {address: printable(", ".join(ops)) for address, ops in names.items()}
