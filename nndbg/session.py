"""A run seen op by op: moves a source of captures along and judges what it yields."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from types import TracebackType
from typing import Any, Protocol, Self

from numpy.typing import NDArray

from nndbg.capture import Capture, Flat, shape
from nndbg.compare import Mode
from nndbg.elf import Executable
from nndbg.errors import ProgramError, UsageError
from nndbg.finding import ALL_AUDITS, Audit
from nndbg.layermap import Buffer, LayerMap
from nndbg.ledger import Observation, StepLedger, StepRecord, constants_at, judge_record
from nndbg.repair import Repair, repaired


class Source(Protocol):
    """Where captures come from: a live program, a recording, a test."""

    @property
    def layer_map(self) -> LayerMap:
        """The map that says what is captured."""

    @property
    def executable(self) -> Executable | None:
        """The program's file, None where only its captures are left."""

    @property
    def output(self) -> str:
        """What the program printed so far."""

    def start(self, step: int, poison: bool = False) -> Capture:
        """Go, from the beginning, to where `step` begins; poison what that step is to write."""

    def go_to(self, step: int) -> Capture:
        """Go on to where `step` begins, which is still to come."""

    def next(self) -> Capture | None:
        """Go to the next stop; None once the program has ended."""

    def sweep(self, on: bool) -> None:
        """Stop at fewer places than at every op, from the next step on, where that is possible."""

    def constant(self, buffer: Buffer) -> Flat:
        """Return a constant buffer in one dimension."""

    def heal(self, buffers: Mapping[str, Flat]) -> Capture:
        """Write these numbers into the program's buffers, and capture the same stop again."""

    def interrupt(self) -> None:
        """Stop the program where it is, from any thread."""

    def close(self) -> None:
        """Let go of the program."""


class Session:
    """A run that is judged op by op. Owns its source: use it in a `with` statement, or close it."""

    def __init__(
        self,
        source: Source,
        modes: Collection[Mode] = (Mode.LOCAL,),
        audits: Collection[Audit] = ALL_AUDITS - {Audit.POISON},
    ) -> None:
        self._source = source
        self._modes = tuple(modes)
        self.audits = frozenset(audits)
        self._ledger: StepLedger | None = None
        self._begun = 0
        self._is_lost = False
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
            return shape(self._source.constant(buffer), buffer, self.capture.sizes)
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
        self._begin(self._source.start(step, poison=True) if poison else self._source.start(step))
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
            self._begin(self._source.go_to(step))
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
        begin, done = self.capture, []
        constants = {
            buffer.name: self._source.constant(buffer)
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
        self._source.sweep(on)

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

    def interrupt(self) -> None:
        """Stop the program where it is; for another thread than the one that runs it."""
        self._source.interrupt()

    def close(self) -> None:
        """Let go of the program."""
        self._source.close()

    def abandon_step(self) -> tuple[Observation, ...]:
        """Judge what the step completed before the program failed in it."""
        return self._ledger.abandon() if self._ledger is not None else ()

    def _start(self, capture: Capture) -> Capture:
        self.has_ended = False
        self.ended_after = None
        self._begin(capture)
        return capture

    def _begin(self, capture: Capture) -> None:
        self.capture = capture
        self._begun += 1
        self._ledger = StepLedger(
            self.layer_map, capture, self._source.constant, self._modes, self._owns_writes
        )

    def _next(self) -> Capture | None:
        """Go to the next stop; after an error, a program that is gone, or stands anywhere."""
        self._is_lost = True
        capture = self._source.next()
        self._is_lost = False
        return capture

    def _advance(self) -> tuple[Observation, ...]:
        """Go on by one stop."""
        assert self._ledger is not None
        assert self.capture is not None
        capture = self._next()
        if capture is None:
            self.has_ended = True
            self.ended_after = None if self._ledger.is_complete else self._ledger.last_op
            return self._ledger.abandon()
        if capture.op is not None:
            self.capture = capture
            found = self._ledger.see(capture)
            if capture.op in self.heals:
                self._repair(capture.op, found)
            return found
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
            self.capture = self._source.heal(buffers)
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
        return {b.name: self._source.constant(b) for b in self._taken[op]}
