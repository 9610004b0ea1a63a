"""A run seen op by op: moves a source of captures along and judges what it yields."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import chain
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from nndbg.ahead import one_thread_each
from nndbg.capture import Capture, Flat, shape
from nndbg.compare import Mode
from nndbg.errors import ProgramError, UsageError
from nndbg.finding import ALL_AUDITS, Audit
from nndbg.ledger import Observation, StepLedger, StepRecord, constants_at, judge_record
from nndbg.machine import Machine
from nndbg.repair import Repair, repaired
from nndbg.source import Source
from nndbg.trail import Stop, Trail

_PASSED = (
    "this program is not deterministic: run again it went past stop {stop.number} of step "
    "{stop.step}, or ended before. Start it again."
)


class Session:
    """A run that is judged op by op. Owns its source: use it in a `with` statement, or close it."""

    def __init__(
        self,
        source: Source,
        modes: Collection[Mode] = (Mode.LOCAL,),
        audits: Collection[Audit] = ALL_AUDITS - {Audit.POISON},
    ) -> None:
        self._source = source
        # Where captures are taken from: the source, or what takes them down on the way.
        self._tap = source
        self._modes = tuple(modes)
        self.audits = frozenset(audits)
        self._ledger: StepLedger | None = None
        self._begun = 0
        self._is_lost = False
        self._trail = Trail(source.layer_map)
        # How many stops of this step the program has come by since it began, if they are noted.
        self._number = 0
        self._is_noted = False
        buffers = source.layer_map.buffers
        self.layer_map = source.layer_map
        self.executable = source.executable
        self._taken = {
            op.name: [b for name in op.inputs.values() if (b := buffers[name]).is_constant]
            for op in source.layer_map.ops
        }
        self.capture: Capture | None = None
        self.has_ended = False
        self.sweeps = False
        # The ops to be repaired, and what was since the program started.
        self.heals: frozenset[str] = frozenset()
        self.repairs: list[Repair] = []
        # The op after which the program ended in the middle of a step.
        self.ended_after: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return the buffer `name` as the program has it at this stop, read-only, in its shape.

        Raises UsageError when the map names no such buffer, or nothing has run yet.
        """
        buffer = self.layer_map.buffers.get(name)
        if buffer is None:
            known = ", ".join(self.layer_map.buffers)
            raise UsageError(f"the layer map has no buffer {name}. It has: {known}.")
        if self.capture is None:
            raise UsageError("nothing has run yet: start the session, or run to an op first.")
        if buffer.is_constant:
            return shape(self._tap.constant(buffer), buffer, self.capture.sizes)
        return self.capture.shaped(buffer)

    @property
    def program(self) -> str:
        """What to call the program: its file, or the name that the map gives it."""
        return str(self.executable.path) if self.executable else self.layer_map.name

    @property
    def output(self) -> str:
        """What the program printed so far; to be escaped before it is shown."""
        return self._source.output

    def start(self, step: int = 0, poison: bool = False) -> Capture:
        """Run from the program's beginning to where `step` begins.

        With `poison` that step is run with its outputs filled with NaNs before they are written.
        """
        self.has_ended = False
        self.ended_after = None
        self.repairs.clear()
        self._is_lost = True
        begin = self._tap.start(step, poison=True) if poison else self._tap.start(step)
        self._trail = Trail(self.layer_map)
        self._begin(begin, is_poisoned=poison)
        self._is_lost = False
        assert self.capture is not None
        return self.capture

    def go_to(self, step: int) -> Capture:
        """Run to where `step` begins: on from here where it is still to come, else from the start.

        Nothing of the steps on the way is captured.
        """
        here = self.capture
        if here is None or self._is_lost or self.has_ended or here.step > step:
            return self.start(step)
        if here.step < step:
            self._is_lost = True
            self._begin(self._tap.go_to(step))
            self._is_lost = False
        elif here.op is not None:
            return self.start(step)
        assert self.capture is not None
        return self.capture

    def next_op(self) -> tuple[Observation, ...]:
        """Run until at least one op could be judged; empty once the program has ended."""
        if self._ledger is None:
            self.start()
        while not self.has_ended:
            if found := self._advance():
                return found
        return ()

    @property
    def machine(self) -> Machine | None:
        """The source, where its program stands under a debugger."""
        return self._source if isinstance(self._source, Machine) else None

    def step_instruction(self, over: bool = False) -> tuple[Observation, ...]:
        """Run one instruction, with `over` a call as one; see next_op for where that ends an op.

        Raises Paused where it does not, and UsageError where there is no program to be stepped.
        """
        machine = self.machine
        if machine is None:
            raise UsageError("there is no program under GDB here, so no instruction to step.")
        if self.has_ended:
            return ()
        if self._ledger is None:
            self.start()
        return self._advance(lambda: machine.step(over))

    def finish_step(self) -> Iterator[Observation]:
        """Yield the ops of this step that are still to come; leaves the next step about to begin.

        Ops that the step never completes come last, as unwritten.
        """
        return chain.from_iterable(self.stops_of_step())

    def stops_of_step(self) -> Iterator[tuple[Observation, ...]]:
        """Yield what could be judged at each stop of this step that is still to come."""
        if self._ledger is None:
            self.start()
        begun = self._begun
        while not self.has_ended and self._begun == begun:
            yield self._advance()

    def record_step(self) -> StepRecord:
        """Capture the stops of this step that are still to come, to be judged by `judge`.

        Where the program fails, the record holds what came before, and the failure.
        """
        if self.capture is None:
            self.start()
        assert self.capture is not None
        self._is_noted = False
        begin, done = self.capture, []
        constants = {
            buffer.name: self._tap.constant(buffer)
            for buffer in constants_at(self.layer_map, begin)
        }
        try:
            while (capture := self._next()) is not None and capture.op is not None:
                self.capture = capture
                done.append(capture)
                constants |= self._constants(capture.op)
        except ProgramError as failure:
            return StepRecord(begin, tuple(done), None, constants, failure)
        if capture is None:
            self.has_ended = True
        else:
            self._follow(capture)
        return StepRecord(begin, tuple(done), capture, constants)

    def judge(self, record: StepRecord) -> Iterator[Observation]:
        """Yield the ops of a step that was recorded; from any thread, wherever the program is."""
        return judge_record(self.layer_map, record, self._modes, self._owns_writes)

    @property
    def _owns_writes(self) -> bool:
        return Audit.WRITES in self.audits

    def sweep(self, on: bool) -> None:
        """Judge from fewer stops, or again from a stop at every op, from the next step on.

        What a sweep finds wrong is to be confirmed without: a program whose ops run in another
        order than the map's may have them complete after the last stop.
        """
        self.sweeps = on
        self._tap.sweep(on)

    def heal(self, ops: Collection[str]) -> None:
        """From the next start on, write what these ops should have made over what they leave wrong.

        The verdicts are of what they made; the ops behind them go on with what was written. A
        sweep, and what is recorded, is not repaired.
        """
        self.heals = frozenset(ops)
        # What was run until now was repaired otherwise.
        self._is_lost = True

    def run_to(self, op: str, step: int | None = None) -> Observation:
        """Run to where `op` is judged, in `step` or where it comes next.

        Raises UsageError when the map has no such op or the program ends before.
        """
        if self.layer_map.op(op) is None:
            known = ", ".join(o.name for o in self.layer_map.ops)
            raise UsageError(f"the layer map has no op {op}. It has: {known}.")
        if step is not None and not self._is_ahead(op, step):
            self.start(step)
        while found := self.next_op():
            for observation in found:
                if observation.op.name == op:
                    return observation
        raise UsageError(f"the program ended before {op} was complete.")

    def _is_ahead(self, op: str, step: int) -> bool:
        """Whether going on from here comes to `op` in `step`."""
        return (
            self._ledger is not None
            and self.capture is not None
            and self.capture.step == step
            and not self._ledger.has_judged(op)
        )

    @property
    def source(self) -> Source:
        """Where the captures come from. Who moves it on has to `rewind` or `start` the session."""
        return self._source

    @property
    def here(self) -> Stop:
        """The last stop that the program came by.

        Raises UsageError where the program has come by none that one could go back from.
        """
        if self.capture is None:
            raise UsageError("nothing has run yet, so there is nothing to go back to.")
        if not self._is_noted:
            raise UsageError(
                f"step {self.capture.step} was swept, recorded or poisoned, and its stops are not "
                "those of a plain run. Start it again before you go back."
            )
        return Stop(self.capture.step, self._number)

    @property
    def is_between_stops(self) -> bool:
        """Whether the program has left its last stop: it ended, failed or was interrupted."""
        return self.has_ended or self._is_lost

    def back(self) -> tuple[Observation, ...]:
        """Go back to the stop before this one, by running the program again.

        Before the first op of a step that is where the step begins, and before that the last op of
        the step before; from the program's end, or where it failed, its last stop. Returns the ops
        of the step that are judged by then. Raises UsageError where nothing comes before, and
        ProgramError where the program does not do again what it did.
        """
        here = self.here
        if self.is_between_stops:
            return self.rewind(here)
        if here.number:
            return self.rewind(Stop(here.step, here.number - 1))
        return self.rewind(self.stop_before(_step_before(here.step)))

    def back_step(self) -> tuple[Observation, ...]:
        """Go back to where this step begins; from there, to where the one before it does."""
        here = self.here
        is_within = here.number or self.is_between_stops
        return self.rewind(Stop(here.step if is_within else _step_before(here.step), 0))

    def stop_before(self, step: int, *ops: str) -> Stop:
        """Return the stop in `step` before the first of `ops` was complete; without, its last one.

        `step` is this one or an earlier one; one that this run has not come by is run for it.
        Raises UsageError where none of the ops was complete in it, as far as it has come.
        """
        here = self.here
        if step != here.step and not self._trail.is_whole(step):
            self._rehearse(step, here)
        names = self._trail.ops(step)[: here.number + 1 if step == here.step else None]
        if not ops:
            return Stop(step, len(names) - 1)
        number = next((number for number, name in enumerate(names) if name in ops), None)
        if number is None:
            raise UsageError(f"{' or '.join(ops)} has not been complete in step {step}.")
        return Stop(step, number - 1)

    def rewind(self, stop: Stop) -> tuple[Observation, ...]:
        """Run the program again to a stop that comes no later than this one; see `back`.

        A stop that this run never came by is not taken on trust: the program is first run on from
        there to this one, and a second time to the stop itself. Where a run turns out to be another
        one the session has to be started again.
        """
        here = self.here
        if not self._trail.knows(stop):
            self._rehearse(stop.step, here)
            if not self._trail.knows(stop):
                raise UsageError(f"step {stop.step} has no stop {stop.number}.")
        return self._run_again(stop)

    @contextmanager
    def tapped(self, through: Callable[[Source], Source]) -> Iterator[None]:
        """From the next start on, take captures from what `through` makes of the source.

        `source` stays what it is.
        """
        before, self._tap = self._tap, through(self._source)
        try:
            yield
        finally:
            self._tap = before

    def interrupt(self) -> None:
        """Stop the program where it is; for another thread than the one that runs it."""
        self._source.interrupt()

    def close(self) -> None:
        """Let go of the program."""
        self._source.close()

    def abandon_step(self) -> tuple[Observation, ...]:
        """Judge what the step completed before the program failed in it."""
        return self._ledger.abandon() if self._ledger is not None else ()

    def _rehearse(self, step: int, here: Stop) -> None:
        """Run the program again from `step` to this stop, and note all stops on the way."""
        if step > here.step:
            raise UsageError(f"this is step {here.step}, and step {step} is still to come.")
        with self._again():
            capture: Capture | None = self._tap.start(step)
            stop = Stop(step, 0)
            while capture is not None and stop <= here:
                self._trail.note(stop, capture)
                if stop == here:
                    return
                capture = self._tap.next()
                if capture is not None and capture.op is None:
                    self._trail.close(stop.step)
                    stop = Stop(capture.step, 0)
                else:
                    stop = Stop(stop.step, stop.number + 1)
            raise ProgramError(_PASSED.format(stop=here))

    def _run_again(self, stop: Stop) -> tuple[Observation, ...]:
        """Run the program again to a stop that is known, and judge what comes before it."""
        found: list[Observation] = []
        with self._again(), one_thread_each():
            self._begin(self._tap.start(stop.step))
            begun = self._begun
            while self._number < stop.number:
                found += self._advance()
                if self.has_ended or self._begun != begun:
                    raise ProgramError(_PASSED.format(stop=stop))
        return tuple(found)

    @contextmanager
    def _again(self) -> Iterator[None]:
        """Leave no run behind where it fails to be run again."""
        self.has_ended = False
        self.ended_after = None
        self._is_lost = True
        try:
            yield
        except BaseException:
            self.capture = self._ledger = None
            raise
        self._is_lost = False

    def _note(self, number: int, capture: Capture) -> None:
        if self._is_noted:
            self._trail.note(Stop(capture.step, number), capture)
        self._number = number

    def _begin(self, capture: Capture, is_poisoned: bool = False) -> None:
        # A step that begins while the session sweeps is swept to its end.
        self._is_noted = not self.sweeps and not is_poisoned
        self._note(0, capture)
        self.capture = capture
        self._begun += 1
        self._ledger = StepLedger(
            self.layer_map, capture, self._tap.constant, self._modes, self._owns_writes
        )

    def _next(self, move: Callable[[], Capture | None] | None = None) -> Capture | None:
        """Go to the next stop; after an error, a program that is gone, or stands anywhere."""
        self._is_lost = True
        capture = (move or self._tap.next)()
        self._is_lost = False
        return capture

    def _advance(self, move: Callable[[], Capture | None] | None = None) -> tuple[Observation, ...]:
        """Go on by one stop."""
        assert self._ledger is not None
        assert self.capture is not None
        capture = self._next(move)
        if capture is None:
            self.has_ended = True
            self.ended_after = None if self._ledger.is_complete else self._ledger.last_op
            return self._ledger.abandon()
        if capture.op is not None:
            self._note(self._number + 1, capture)
            self.capture = capture
            found = self._ledger.see(capture)
            if capture.op in self.heals:
                self._repair(capture.op, found)
            return found
        if self._is_noted:
            self._trail.close(self.capture.step)
        late = self._ledger.end(capture)
        self._follow(capture)
        return late

    def _repair(self, op: str, found: Collection[Observation]) -> None:
        """Repair an op that has just been complete, if it was judged with that."""
        assert self.capture is not None
        assert self._ledger is not None
        step = self.capture.step
        own = next((o for o in found if o.op.name == op and o.expected), None)
        buffers = repaired(self.layer_map, own) if own is not None else {}
        if buffers:
            self.capture = self._tap.heal(buffers)
            self._ledger.heal(op, self.capture)
        self.repairs.append(Repair(step, op, tuple(buffers), is_late=own is None))

    def _follow(self, capture: Capture) -> None:
        """Begin the step after this one."""
        assert self.capture is not None
        step = self.capture.step
        if capture.step != step + 1:
            raise ProgramError(
                f"step {step} is followed by step {capture.step}, and not by {step + 1}. "
                "Does the program count each step once, and does `counter` in the layer map name "
                "that variable?"
            )
        self._begin(capture)

    def _constants(self, op: str) -> dict[str, Flat]:
        """Return the constant buffers that an op takes, while the program stands still."""
        return {b.name: self._tap.constant(b) for b in self._taken[op]}


def _step_before(step: int) -> int:
    if step == 0:
        raise UsageError("step 0 begins here, and no stop comes before it.")
    return step - 1
