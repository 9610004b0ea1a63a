"""Carries out the screen's commands on a session and says what came of each; knows no screen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TypeVar

from nndbg.errors import InterruptedByUser, NndbgError, Paused, UsageError
from nndbg.last_write import LastWrite, back_to_write
from nndbg.ledger import Observation
from nndbg.machine import RegisterFile
from nndbg.recording import record_step
from nndbg.session import Session
from nndbg.text import printable
from nndbg.trail import Stop
from nndbg.tui.breakpoints import Alarm, Breakpoint, addresses_of, elements_of
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
    RecordStep,
    RunToAddress,
    RunToOp,
    Start,
    StepInstruction,
)
from nndbg.tui.console import refused
from nndbg.tui.snapshot import Condition, Progress, Snapshot
from nndbg.tui.training import History

_T = TypeVar("_T")


GoBack = Callable[[Session, str], LastWrite]


class Driver:
    """Moves one session along, on the session's thread.

    Any thread may set `stop`, and replace `breakpoints`: they count from the next stop on.
    """

    def __init__(
        self,
        session: Session,
        tell: Callable[[Progress], None],
        to_write: GoBack = back_to_write,
    ) -> None:
        self._session = session
        self._tell = tell
        self._to_write = to_write
        self._step = 0
        self._observations: dict[str, Observation] = {}
        self._judged = 0
        self._is_begun = False
        self._shown: Snapshot | None = None
        self._refusal = ""
        self.stop = Event()
        self.breakpoints: tuple[Breakpoint, ...] = ()
        self._alarm = Alarm()
        self._history = History()
        self._is_gone = False

    def carry_out(self, command: Command) -> Snapshot:
        """Return where the program stands afterwards; never raises."""
        self.stop.clear()
        self._judged = 0
        try:
            match command:
                case Start(step, op, poison):
                    return self._start(step, op, poison)
                case NextOp():
                    return self._next_op()
                case FinishStep():
                    return self._finish_step()
                case FindDivergence():
                    return self._run(until_wrong=True)
                case Continue():
                    return self._run()
                case RunToOp(op):
                    return self._run(op)
                case RunToAddress(address):
                    return self._run_to(address)
                case StepInstruction(over):
                    return self._step_instruction(over)
                case Heal(ops):
                    return self._heal(ops)
                case Kill():
                    return self._kill()
                case Ask(words):
                    return self._ask(words)
                case Back():
                    return self._back(self._session.back)
                case BackStep():
                    return self._back(self._session.back_step)
                case BackToWrite(element):
                    return self._back_to_write(element)
                case RecordStep(path):
                    return self._record(path)
        except Paused as pause:
            says = printable(str(pause))
            return self._picture(Condition.STOPPED, says, self._last, can_go_on=self._is_begun)
        except InterruptedByUser as interruption:
            says = printable(str(interruption))
            return self._picture(Condition.INTERRUPTED, says, self._last, can_go_on=self._is_begun)
        except NndbgError as error:
            return self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - the thread lives on and the screen says it
            words = f"{type(error).__name__}: {error}"
            return self._failed(f"nndbg itself failed, please report it: {words}")

    def _start(self, step: int, op: str | None, poison: bool) -> Snapshot:
        session, here = self._session, self._here()
        self._is_begun = False
        try:
            session.start(step, poison)
        except UsageError as refusal:
            if here is None:
                raise
            session.rewind(here)
            self._is_begun, self._refusal = True, printable(str(refusal))
            return self._stay()
        self._step, self._observations = step, {}
        self._alarm.reset()
        self._is_begun, self._is_gone = True, False
        if op is not None:
            return self._run(op)
        what = ", with poison in what it writes" if poison else ""
        return self._picture(Condition.STOPPED, f"where step {step} begins{what}")

    def _here(self) -> Stop | None:
        """Where the program is brought back to from a start that is refused, if it can be."""
        if not self._is_begun or self._session.is_between_stops:
            return None
        with suppress(UsageError):
            return self._session.here
        return None

    def _next_op(self) -> Snapshot:
        found = self._advance()
        if not found:
            return self._ended()
        return self._after(next(filter(_is_wrong, found), found[-1]), self._met(found))

    def _finish_step(self) -> Snapshot:
        session = self._session
        assert session.capture is not None
        step = session.capture.step
        self._turn_to(step)
        while True:
            try:
                self._arm(self.breakpoints)
                for found in session.stops_of_step():
                    for observation in found:
                        self._keep(observation)
                    if (why := self._met(found)) and session.capture.step == step:
                        return self._after(found[-1], why)
                    self._heed_stop()
                break
            except InterruptedByUser:
                if self.stop.is_set():
                    raise
        look_at = self._first_wrong
        if session.has_ended:
            return self._ended(look_at)
        says = f"where step {session.capture.step} begins, step {step} is complete"
        return self._picture(Condition.STOPPED, says, look_at)

    def _run(self, op: str | None = None, until_wrong: bool = False) -> Snapshot:
        """Run until a breakpoint is met, or `op` is judged, or something is wrong."""
        while found := self._advance():
            wrong = next(filter(_is_wrong, found), None) if until_wrong else None
            wanted = next((o for o in found if o.op.name == op), None)
            why = self._met(found)
            if wrong or wanted or why:
                return self._after(wrong or wanted or found[-1], why)
            self._heed_stop()
        return self._ended()

    def _run_to(self, address: int) -> Snapshot:
        """Run to an instruction: as if there were a breakpoint on it."""
        here = Breakpoint(f"*{address:#x}", addresses=(address,))
        while found := self._advance((here,)):
            if why := self._met(found, (here,)):
                return self._after(found[-1], "" if why == here.text else why)
            self._heed_stop()
        return self._ended()

    def _step_instruction(self, over: bool) -> Snapshot:
        found = self._advance((), lambda: self._session.step_instruction(over))
        if self._session.has_ended:
            return self._ended()
        if not found:
            return self._picture(Condition.STOPPED, self._where(), self._last)
        return self._after(found[-1])

    def _met(self, found: tuple[Observation, ...], more: tuple[Breakpoint, ...] = ()) -> str:
        """Return in words which breakpoints the stop meets that made `found`; empty for none."""
        capture = self._session.capture
        assert capture is not None
        names = {capture.op, *(o.op.name for o in found)}
        met = [
            one.text
            for one in (*self.breakpoints, *more)
            if (one.op is not None and one.op in names) or capture.address in one.addresses
        ]
        return printable(" and ".join([*met, *self._alarm.heed(self.breakpoints, self._array)]))

    def _array(self, name: str) -> object:
        try:
            return self._session[name]
        except KeyError as error:
            raise UsageError(f"{name} is not there: its pointer is null") from error

    def _heal(self, ops: frozenset[str]) -> Snapshot:
        """Repair these ops from now on, and run again to where the program stands."""
        session = self._session
        capture, before = session.capture, session.heals
        session.heal(ops)
        if capture is None:
            return self._stay()
        try:
            return self._start(capture.step, capture.op, poison=False)
        except UsageError as refusal:
            session.heal(before)
            again = self._start(capture.step, capture.op, poison=False)
            return replace(again, remark=printable(str(refusal)))

    def _kill(self) -> Snapshot:
        self._session.close()
        self._is_begun, self._is_gone = False, True
        says = f"killed in step {self._step}"
        return self._picture(Condition.ENDED, says, self._last, can_go_on=False)

    def _ask(self, words: str) -> Snapshot:
        """Put a command to the debugger; the program stays where it is."""
        assert self._shown is not None
        machine = self._session.machine
        if machine is None:
            answer = "there is no debugger here: this is no live program."
        else:
            try:
                refusal = refused(words)
                answer = refusal or printable(machine.ask(words))
            except NndbgError as error:
                answer = printable(str(error))
        return replace(
            self._shown, look_at=None, remark="", answer=answer, registers=self._registers()
        )

    def _back(self, go: Callable[[], tuple[Observation, ...]]) -> Snapshot:
        found = self._going_back(go)
        return self._stay() if found is None else self._again(found)

    def _back_to_write(self, element: str) -> Snapshot:
        found = self._going_back(lambda: self._to_write(self._session, element))
        if found is None:
            return self._stay()
        again = self._again(found.observations)
        return replace(again, look_at=None, remark=_told(found), written=found)

    def _record(self, path: Path) -> Snapshot:
        done = self._going_back(lambda: record_step(self._session, self._step, path))
        if done is None:
            return self._stay()
        shown = self._shown
        if shown is None or not shown.can_go_on:
            # It had ended or failed, and stands at its last stop again.
            shown = self._picture(Condition.STOPPED, self._where())
        return replace(shown, look_at=None, remark=f"recorded step {self._step} in {path}")

    def _going_back(self, go: Callable[[], _T]) -> _T | None:
        """Return what came of going back, None where the program could stay where it was."""
        was_begun, self._is_begun, self._refusal = self._is_begun, False, ""
        self._arm(())
        self._alarm.reset()
        try:
            return go()
        except InterruptedByUser:
            raise
        except NndbgError as refusal:
            if self._session.capture is None:
                raise
            self._refusal = printable(str(refusal))
            return None
        finally:
            if self._session.capture is not None:
                self._is_begun = was_begun or not self._session.is_between_stops

    def _stay(self) -> Snapshot:
        """Return the last picture again, with what it was that could not be done."""
        assert self._shown is not None
        shown = self._shown
        if not (shown.can_go_on or self._session.is_between_stops):
            shown = self._picture(Condition.STOPPED, self._where())
        return replace(shown, look_at=None, remark=self._refusal)

    def _again(self, found: tuple[Observation, ...]) -> Snapshot:
        """Show what the step had made by the stop that was gone back to."""
        capture = self._session.capture
        assert capture is not None
        self._step, self._observations = capture.step, {}
        self._is_gone = False
        for observation in found:
            self._keep(observation)
        return self._picture(Condition.STOPPED, self._where(), capture.op)

    def _where(self) -> str:
        capture = self._session.capture
        assert capture is not None
        if capture.op is None:
            return f"where step {capture.step} begins"
        return f"after {printable(capture.op)} of step {capture.step}"

    def _advance(
        self,
        more: tuple[Breakpoint, ...] = (),
        move: Callable[[], tuple[Observation, ...]] | None = None,
    ) -> tuple[Observation, ...]:
        """Go on to the next ops that are judged, or as `move` does.

        An interrupt that came too late for its own command would stop this one: it goes on.
        """
        while True:
            try:
                self._arm((*self.breakpoints, *more))
                found = (move or self._session.next_op)()
            except InterruptedByUser:
                if self.stop.is_set():
                    raise
                continue
            for observation in found:
                self._keep(observation)
            return found

    def _arm(self, breakpoints: tuple[Breakpoint, ...]) -> None:
        machine = self._session.machine
        if machine is not None:
            machine.stop_at(addresses_of(breakpoints), elements_of(breakpoints))

    def _heed_stop(self) -> None:
        if self.stop.is_set():
            raise InterruptedByUser(f"between two ops of step {self._step}")

    def _keep(self, observation: Observation) -> None:
        self._turn_to(observation.step)
        name = observation.op.name
        earlier = self._observations.get(name)
        if earlier is not None and not observation.expected:
            # Found out late: one more verdict on an op that has been judged.
            verdicts = (*earlier.verdicts, *observation.verdicts)
            observation = replace(earlier, verdicts=verdicts)
        self._observations[name] = observation
        self._history.see(observation)
        self._judged += 1
        self._tell(Progress(observation.step, name, self._judged, self._session.output))

    def _turn_to(self, step: int) -> None:
        if step != self._step:
            self._step, self._observations = step, {}

    def _after(self, observation: Observation, why: str = "") -> Snapshot:
        if self._session.has_ended:
            return self._ended(observation.op.name)
        name, step = printable(observation.op.name), observation.step
        says = f"after {name} of step {step}{f': {why}' if why else ''}"
        return self._picture(Condition.STOPPED, says, observation.op.name)

    def _ended(self, look_at: str | None = None) -> Snapshot:
        words = [line.strip() for line in self._session.output.splitlines() if line.strip()]
        said = f", its last words: {printable(words[-1])}" if words else ""
        last = self._session.ended_after
        middle = f"in the middle of step {self._step}, after {printable(last)}" if last else ""
        says = f"{middle or f'after step {self._step}'}{said}"
        return self._picture(Condition.ENDED, says, look_at, can_go_on=False)

    def _failed(self, says: str) -> Snapshot:
        if self._is_begun:
            self._is_begun = False
            # What cannot be judged stays out: the failure itself is what has to be said.
            with suppress(NndbgError, ArithmeticError, ValueError):
                for observation in self._session.abandon_step():
                    self._keep(observation)
        look_at = self._first_wrong or self._last
        return self._picture(Condition.FAILED, printable(says), look_at, can_go_on=False)

    @property
    def _first_wrong(self) -> str | None:
        """The first op of this step that is wrong."""
        return next((n for n, o in self._observations.items() if _is_wrong(o)), None)

    @property
    def _last(self) -> str | None:
        """The op that was judged last in this step."""
        return next(reversed(self._observations), None)

    def _picture(
        self, condition: Condition, says: str, look_at: str | None = None, can_go_on: bool = True
    ) -> Snapshot:
        self._shown = Snapshot(
            condition=condition,
            says=says,
            step=self._step,
            observations=dict(self._observations),
            capture=self._session.capture,
            look_at=look_at,
            can_go_on=can_go_on,
            registers=self._registers(),
            output=self._session.output,
            training=self._history.training,
            healed=self._session.heals,
        )
        return self._shown

    def _registers(self) -> RegisterFile | None:
        """Return the registers where the program stands, None where that cannot be known."""
        machine = self._session.machine
        if machine is None or self._session.has_ended or self._is_gone:
            return None
        with suppress(NndbgError):
            return machine.registers()
        return None


def _is_wrong(observation: Observation) -> bool:
    return any(verdict.status.is_wrong for verdict in observation.verdicts)


def _told(found: LastWrite) -> str:
    """Say who wrote the element."""
    write, where = found.write, found.write.site
    return printable(
        f"{found.element}: {write.before:.9g} -> {write.after:.9g} by {where.instruction}, "
        f"{where.place} in {where.function}"
    )
