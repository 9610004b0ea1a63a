"""Captures of a live program: runs it under GDB from boundary to boundary and reads its buffers."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from nndbg.audit import RegisterAudit, Standing
from nndbg.capture import Capture, Flat
from nndbg.crash import Crash, CrashError
from nndbg.elf import Machine
from nndbg.errors import GdbError, Paused, ProgramError, RunOnceError
from nndbg.finding import Audit, Finding
from nndbg.inferior.crash import SIGNALS, explain
from nndbg.inferior.halts import Halts
from nndbg.inferior.passages import Passages, Registers, Sight
from nndbg.inferior.poisoning import Poisoning, Unwritten
from nndbg.inferior.process import GENERAL, Inferior, Stop
from nndbg.inferior.reader import Reader, Snapshot
from nndbg.inferior.registers import RegisterReader, register_file
from nndbg.layermap import Boundary, Buffer, Op, Place, PlacedMap
from nndbg.layermap.model import DTYPES
from nndbg.machine import RegisterFile
from nndbg.places import Place as Element
from nndbg.places import Places

_LAST_WORDS = 3
_STEPPED = "end-stepping-range"
# Stops that no breakpoint made, and that are no trouble.
_ORDERLY = (_STEPPED, "access-watchpoint-trigger", "watchpoint-trigger")


class LiveSource:
    """Yields the captures of a program that runs under GDB. Owns the program: close it.

    `timeout` is how many seconds the program may take from one boundary to the next. While it
    sweeps it stops only where a buffer would be overwritten within the step, and at the last op;
    the captures of the ops before are then those of the next stop, and nothing is audited. `remote`
    is the HOST:PORT of a GDB server that has the program, None where it runs on this machine.
    """

    def __init__(
        self,
        placed: PlacedMap,
        arguments: Sequence[str] = (),
        timeout: float = 30.0,
        gdb: str = "gdb",
        audits: Collection[Audit] = (),
        remote: str | None = None,
    ) -> None:
        self.layer_map = placed.layer_map
        self.executable = placed.executable
        self._placed = placed
        self._arguments = tuple(arguments)
        self._timeout = timeout
        self._gdb = gdb
        self.remote = remote
        self._has_run = False
        self._audit = RegisterAudit(placed.executable, audits)
        self._inferior: Inferior | None = None
        self._halts = Halts()
        self._stops = 0
        self._sweeps = False

    @property
    def output(self) -> str:
        """What the program printed; to be escaped before it is shown."""
        return self._inferior.terminal.text if self._inferior else ""

    def start(self, step: int, poison: bool = False) -> Capture:
        """Run the program from its beginning to where `step` begins, and capture there.

        With `poison` that step is run with its outputs filled with NaNs before they are written.
        Raises ProgramError when it ends, crashes or hangs before.
        """
        self.launch()
        self._halts.forget()
        self._has_entered = False
        self._step = -1
        self._seen: set[str] = set()
        self._skipped: frozenset[str] = frozenset()
        # What has happened at this stop and is still to be captured: ops, None for a new step.
        self._pending: deque[str | None] = deque()
        # The ops that have begun and are not complete, and how they found the registers.
        self._entered: dict[str, Standing] = {}
        self._standing: Standing | None = None
        self._thread = ""
        self._poisoning: Poisoning | None = None
        self._poisons = poison
        self._last = "before the first step"
        self._latest: Capture | None = None
        # Whether the buffers are no longer what they were as the program stopped here.
        self._is_healed = False
        self._reader = Reader(self._placed, self._running)
        self._passages = Passages(self._placed, self._sight())
        self._missed: Mapping[str, str] = {}
        # The other phases of which a step has begun since one of this phase did.
        self._others: frozenset[str] = frozenset()
        # What buffers held where the program told their addresses: since the last capture; here.
        self._found: dict[str, Flat] = {}
        self._found_here: dict[str, Flat] = {}
        self._set_breakpoints()
        self._registers = RegisterReader(self._running) if self._audit else None
        self._snapshot: Snapshot | None = None
        return self.go_to(step)

    def go_to(self, step: int) -> Capture:
        """Run on to where `step`, which is still to come, begins, and capture there.

        Raises ProgramError when the program ends, crashes or hangs before.
        """
        if None in self._pending:
            self._count_step()
        self._pending.clear()
        self._halts.disarm(self._running)
        if self._step < step:
            self._listen(())
            if self._placed.seek_target is not None:
                self._seek(step, self._placed.seek_target)
        while self._step < step:
            stop = self._resume()
            if stop.is_exit:
                boundary = self.layer_map.phase.step
                raise ProgramError(
                    f"the program ended {self._last}: it has no step {step}. "
                    + (
                        "Name an earlier step, or let the program run longer."
                        if self._step >= 0
                        else f"Where a step begins, {boundary}, it never was."
                    )
                )
            self._address = stop.address
            self._has_entered = False
            if self._passages.begins_step:
                self._count_step()
        if self._step != step:
            raise ProgramError(
                f"the program began step {self._step} where step {step} was sought. "
                "Do `counter` and `seek` in the layer map name the right variables?"
            )
        self._open_step()
        if self._poisons:
            self._poisoning = Poisoning(
                self.layer_map, self._active, self._running.memory, self._reader.snapshot()
            )
        return self._capture(None)

    def launch(self) -> Inferior:
        """Start the program anew and leave it before its first instruction."""
        if self._inferior is not None and self._inferior.restart():
            return self._inferior
        self.close()
        try:
            self._inferior = Inferior(self.executable, self._arguments, self._gdb, self.remote)
        except GdbError as error:
            if self.remote is not None and self._has_run:
                raise RunOnceError(str(error)) from error
            raise
        self._has_run = True
        return self._inferior

    def sweep(self, on: bool) -> None:
        """Sweep, or stop at every op, from the next step that begins."""
        self._sweeps = on

    def next(self) -> Capture | None:
        """Run to the next boundary and capture there; None once the program has ended well.

        Raises ProgramError when it crashes, hangs, or ends with an exit code other than 0.
        """
        return self._go_on(lambda: self._running.resume(self._timeout))

    def step(self, over: bool) -> Capture | None:
        """Run one instruction, with `over` a call as one; see Machine.

        Raises Paused where that is no boundary, else as `next` does.
        """
        running = self._running
        return self._go_on(lambda: running.step_instruction(over, self._timeout), is_step=True)

    def stop_at(self, addresses: Collection[int], elements: Collection[Element]) -> None:
        """Stop at these addresses, as linked, and where these elements change; see Machine."""
        self._halts.want(addresses, elements)

    def registers(self) -> RegisterFile | None:
        """Return the registers where the program stands, None where it is gone."""
        return None if self._inferior is None else register_file(self._inferior)

    def ask(self, command: str) -> str:
        """Return what GDB answers to a command. Raises GdbError where it refuses it."""
        try:
            return self._running.ask(command)
        finally:
            # Registers are read in the innermost frame.
            self._running.select_innermost()

    def _go_on(self, move: Callable[[], Stop], is_step: bool = False) -> Capture | None:
        if self._pending:
            return self._arrive(self._pending.popleft())
        assert self._latest is not None
        self._halts.arm(self._running, self.layer_map, self._latest)
        while True:
            self._enter()
            stop = self._resume(move)
            if stop.is_exit:
                return None
            if self._is_boundary(stop.address):
                self._reach(stop.address)
            why = self._halts.reason(stop)
            # A boundary that is reached with that comes next, without a move.
            if self._pending and stop.changed is None:
                return self._arrive(self._pending.popleft())
            if why is not None or is_step:
                raise Paused(f"{why or 'in'} {self._running.describe(stop.address)}")

    def _is_boundary(self, address: int) -> bool:
        """Whether something that is listened for is at an address."""
        number = self._op_breakpoints.get(address)
        return address in self._always or (number is not None and number in self._heard)

    def _reach(self, address: int) -> None:
        """Note what has happened at a boundary."""
        self._address = address
        self._has_entered = False
        ops = self._passages.done()
        if ops and self._is_elsewhere(ops):
            self._listen(())
        else:
            self._pending.extend(self._complete(ops))
        if self._passages.begins_step:
            self._pending.append(None)

    def _arrive(self, op: str | None) -> Capture:
        """Capture where `op` is complete, or where the next step begins."""
        if op is None:
            if self._is_healed:
                self._snapshot = None
            self._count_step()
            self._open_step()
        return self._capture(op)

    def _enter(self) -> None:
        """Look at the ops that begin at this stop, once all that is complete here is captured."""
        # A program that was stopped on its way is no longer where the ops begin.
        if self._has_entered or self._address not in self._begin_at:
            return
        begun = self._passages.begun()
        if self._sweeps_now or not begun:
            return
        self._has_entered = True
        standing = self._stand()
        for op in (op for op in begun if op not in self._skipped):
            if standing is not None:
                self._entered[op] = standing
            if self._poisoning is not None:
                self._poisoning.enter(op, self._seen, self._reader.snapshot())

    def _stand(self) -> Standing | None:
        """Return where the program stands, None where nobody wants to know or can."""
        if self._registers is None:
            return None
        if self._standing is None and (registers := self._registers.read()) is not None:
            top = self._word(registers.stack)
            self._standing = Standing(self._address, self._thread, registers, top)
        return self._standing

    def _word(self, address: int) -> int:
        """Return the word on the stack at `address` as an address as linked."""
        word = self._running.memory.read(address, 8)
        return int.from_bytes(word, "little") - self._running.load_offset

    def _complete(self, ops: tuple[str, ...]) -> list[str]:
        """Return the ops that are complete at a boundary of `ops`: in a sweep all before it too."""
        active = [op.name for op in self.layer_map.ops if op.name not in self._skipped]
        here = [name for name in active if name in ops]
        if not self._sweeps_now or not here:
            return here
        upto = active.index(here[-1]) + 1
        return [name for name in active[:upto] if name not in self._seen]

    def _is_elsewhere(self, names: tuple[str, ...]) -> bool:
        """Whether an op comes that is no part of the step, as when an evaluation calls it.

        So it is once all ops were complete, and where an op comes again behind later ones.
        """
        if len(self._seen) + len(self._skipped) == len(self.layer_map.ops):
            return True
        order = [op.name for op in self.layer_map.ops]
        latest = max((order.index(name) for name in self._seen), default=-1)
        return all(name in self._seen and order.index(name) < latest for name in names)

    def constant(self, buffer: Buffer) -> Flat:
        """Return a constant buffer in one dimension, read once."""
        return self._reader.constant(buffer)

    def heal(self, buffers: Mapping[str, Flat]) -> Capture:
        """Write these numbers into the program's buffers, and capture the same stop again.

        Raises ProgramError where the program has no memory there.
        """
        assert self._latest is not None
        for name, flat in buffers.items():
            self._running.memory.write(self._latest.addresses[name], flat.tobytes())
        seen = self._reader.snapshot()
        self._is_healed = True
        self._latest = replace(
            self._latest, flat=seen.flat, memory=seen.memory, padding=seen.padding, findings=()
        )
        return self._latest

    def interrupt(self) -> None:
        """Stop the program where it is; for another thread than the one that waits."""
        if self._inferior is not None:
            self._inferior.interrupt()

    def close(self) -> None:
        """Kill the program and end GDB."""
        if self._inferior is not None:
            self._inferior.close()
            self._inferior = None

    @property
    def inferior(self) -> Inferior:
        """The program where it stands, for those who look closer than from stop to stop."""
        return self._running

    @property
    def is_followed(self) -> bool:
        """Whether the program's instructions can be decoded, and run one by one."""
        return self.remote is None and self.executable.machine is Machine.X86_64

    @property
    def left_out(self) -> str:
        """What the audits do not look into, and why; empty where that is nothing."""
        if not self._audit or self.executable.machine is Machine.X86_64:
            return ""
        return (
            f"The program is built for {self.executable.machine}: nndbg decodes only "
            f"{Machine.X86_64}, and has not audited its registers."
        )

    @property
    def placed(self) -> PlacedMap:
        """The map with the addresses of everything that it names."""
        return self._placed

    @property
    def _running(self) -> Inferior:
        if self._inferior is None:
            raise ProgramError("the program is not running.")
        return self._inferior

    def _set_breakpoints(self) -> None:
        ops_at: dict[int, tuple[str, ...]] = {}
        for op in self.layer_map.ops:
            for address in self._placed.done[op.name]:
                ops_at[address] = (*ops_at.get(address, ()), op.name)
        self._ops_at = ops_at
        begin_at: dict[int, tuple[str, ...]] = {}
        for op_name, addresses in self._placed.enter.items() if self._wants_beginnings else ():
            for address in addresses:
                begin_at[address] = (*begin_at.get(address, ()), op_name)
        self._begin_at = begin_at
        # Always heard: where steps begin, where buffers are found, and the calls that lead there.
        steps = {*self._placed.step, *self._entries([self._placed.layer_map.phase.step])}
        held = [b.held[0] for b in self.layer_map.buffers.values() if b.held is not None]
        steps |= {address for places in self._placed.held.values() for address in places}
        steps |= self._entries(held)
        for op in self.layer_map.ops:
            for address in self._entries([op.done]):
                ops_at[address] = (*ops_at.get(address, ()), op.name)
            if self._wants_beginnings and op.enter is not None:
                for address in self._entries([op.enter]):
                    begin_at[address] = (*begin_at.get(address, ()), op.name)
        # Where another phase begins one step is enough; but calls are to be followed throughout,
        # and a place that has another meaning is always heard.
        others = {name: set(places) for name, places in self._placed.others.items()}
        for phase in self.layer_map.others:
            if entries := self._entries([phase.step]):
                steps |= others[phase.name] | entries
        shared = Counter(address for places in others.values() for address in places)
        steps |= {at for at, count in shared.items() if count > 1 or at in ops_at or at in begin_at}
        self._other_breakpoints = {
            name: {self._running.break_at(address) for address in places - steps}
            for name, places in others.items()
        }
        self._always = frozenset(steps).union(*others.values())
        self._step_breakpoints = {self._running.break_at(address) for address in steps}
        self._op_breakpoints = {
            address: self._running.break_at(address)
            for address in {**ops_at, **begin_at}
            if address not in steps
        }
        self._known = frozenset({*steps, *ops_at, *begin_at, *shared})
        self._heard = set(self._op_breakpoints.values())
        self._listened: tuple[frozenset[str], frozenset[str]] | None = None
        self._seek_breakpoints: set[int] = set()
        self._listen(())

    def _entries(self, boundaries: Iterable[Boundary]) -> set[int]:
        """Return where the functions begin and end whose calls have to be followed for these."""
        entries, exits = self._placed.entries, self._placed.exits
        texts = {boundary.text for boundary in boundaries}
        begins = {entries[text] for text in texts if text in entries}
        return begins.union(*(exits[text] for text in texts if text in exits))

    def _sight(self) -> Sight:
        """Return how boundaries look at the program, with what they ask for."""
        inferior = self._running
        numbers = inferior.register_numbers() if self._placed.needs_registers else {}
        wanted = {name: numbers[name] for name in GENERAL if name in numbers}
        largest = {name: size.largest or 1 for name, size in self.layer_map.sizes.items()}
        buffers = self.layer_map.buffers

        def span(name: str) -> range:
            buffer, begin = buffers[name], self._reader.address_of(buffers[name])
            width = DTYPES[buffer.dtype].itemsize
            return range(begin, begin + width * buffer.elements(largest) if begin else 0)

        def word(address: int) -> int:
            return int.from_bytes(inferior.memory.read(address, 8), "little")

        return Sight(lambda: inferior.registers(wanted), word, span, inferior.load_offset)

    def passed(
        self, address: int, registers: Registers | None = None
    ) -> tuple[tuple[str, ...], bool]:
        """Return the ops that are complete at `address`, as linked, and whether a step begins.

        For those who move the program on by themselves: to be told of every place of a boundary
        that it comes to.
        """
        self._passages.come(address, registers)
        self._reader.hold(self._passages.addresses())
        return self._passages.done(), self._passages.begins_step

    @property
    def boundaries(self) -> frozenset[int]:
        """The addresses, as linked, that `passed` has to be told of."""
        return self._known

    @property
    def _wants_beginnings(self) -> bool:
        return bool(self._audit) or self._poisons

    def _listen(self, done: Collection[str], enter: Collection[str] = ()) -> None:
        """Stop where these ops are complete, where those begin, and where no other does."""
        listened = frozenset(done), frozenset(enter)
        if self._listened == listened:
            return
        self._listened = listened
        wanted = {
            number
            for address, number in self._op_breakpoints.items()
            if any(name in done for name in self._ops_at.get(address, ()))
            or any(name in enter for name in self._begin_at.get(address, ()))
        }
        self._running.enable(sorted(wanted - self._heard))
        self._running.enable(sorted(self._heard - wanted), on=False)
        self._heard = wanted

    def _seek(self, step: int, target: int) -> None:
        """Let the program run to `step` with one stop, at the boundary that it seeks by itself."""
        self._running.memory.write(target + self._running.load_offset, step.to_bytes(8, "little"))
        self._running.enable(self._step_breakpoints, on=False)
        self._hear(self._other_breakpoints.keys() - self._others, on=False)
        if self._seek_breakpoints:
            self._running.enable(self._seek_breakpoints)
        else:
            self._seek_breakpoints = {self._running.break_at(at) for at in self._placed.seek}
        if self._resume().is_exit:
            raise ProgramError(
                f"the program ended before step {step}. Name an earlier step, or let it run longer."
            )
        self._running.enable(self._seek_breakpoints, on=False)
        self._running.enable(self._step_breakpoints)
        self._hear(self._other_breakpoints.keys() - self._others, on=True)

    def _resume(self, move: Callable[[], Stop] | None = None) -> Stop:
        """Run to the next breakpoint, or to the program's good end; anything else raises.

        Or let `move` say how far it runs.
        """
        self._snapshot = None
        self._is_healed = False
        self._standing = None
        self._found |= self._found_here
        stop = move() if move is not None else self._running.resume(self._timeout)
        self._thread = stop.thread
        if stop.is_exit and stop.reason != "exited-normally":
            how = f"with exit code {stop.exit_code}" if stop.exit_code else f"by {stop.signal}"
            words = [line for line in self.output.splitlines() if line.strip()][-_LAST_WORDS:]
            said = f" It said: {' / '.join(words)}" if words else ""
            raise ProgramError(f"the program ended {how}, {self._last}.{said}")
        if not stop.is_exit and stop.breakpoint is None and stop.reason not in _ORDERLY:
            what = f"got {stop.signal}" if stop.signal else f"stopped ({stop.reason})"
            place = self._running.describe(stop.address)
            text = f"the program {what} in {place}, {self._last}."
            if stop.signal in SIGNALS:
                raise CrashError(text, self._crash(stop))
            raise ProgramError(text)
        self._found_here = {}
        if not stop.is_exit and self._is_boundary(stop.address):
            self._passages.come(stop.address)
            self._notice(self._passages.others())
            self._found_here = self._reader.hold(self._passages.addresses())
        return stop

    def _notice(self, phases: frozenset[str]) -> None:
        """Take note that steps of other phases begin here; one of each is all that is asked for."""
        new = phases - self._others
        self._others |= new
        self._hear(new, on=False)

    def _hear(self, phases: Iterable[str], on: bool) -> None:
        """Stop where steps of these other phases begin, or no more."""
        numbers = {number for name in phases for number in self._other_breakpoints[name]}
        self._running.enable(sorted(numbers), on=on)

    def _crash(self, stop: Stop) -> Crash:
        latest = self._latest
        places = Places(self.layer_map, latest) if latest is not None else None
        return explain(self._running, stop, places)

    def _count_step(self) -> None:
        counter = self._placed.counter
        self._step = self._step + 1 if counter is None else self._reader.integer(counter, "u64")
        self._last = f"at the beginning of step {self._step}"

    def _open_step(self) -> None:
        """Find out which ops the step has, and listen for them."""
        self._missed = {
            op.name: says
            for op in self.layer_map.ops
            if op.name not in self._seen
            and op.name not in self._skipped
            and (says := self._passages.missed(op.name, self._step - 1))
        }
        self._passages.new_step()
        self._seen.clear()
        self._entered.clear()
        self._poisoning = None
        # Many ops may hang on one variable.
        held: dict[tuple[Place, str], int] = {}
        for op in self.layer_map.ops:
            if op.when is not None:
                place = (self._placed.conditions[op.name], op.when.dtype)
                if place not in held:
                    held[place] = self._reader.integer(*place)
        self._skipped = frozenset(
            op.name
            for op in self.layer_map.ops
            if op.when is not None
            and held[self._placed.conditions[op.name], op.when.dtype] not in op.when.values
        )
        self._active = [op for op in self.layer_map.ops if op.name not in self._skipped]
        self._sweeps_now = self._sweeps
        names = {op.name for op in self._active}
        self._listen(*(_needed(self._active),) if self._sweeps else (names, names))

    def _capture(self, op: str | None) -> Capture:
        if self._snapshot is None:
            # A sweep has no eyes for what no op of the step names.
            named = frozenset().union(*(_named(op) for op in self._active))
            self._snapshot = self._reader.snapshot(named if self._sweeps_now else None)
        seen = self._snapshot
        findings: tuple[Finding, ...] = ()
        entered = self._entered.pop(op, None) if op is not None else None
        if op is not None and entered is not None and (standing := self._stand()) is not None:
            findings = self._audit.findings(self._step, op, entered, standing, self._word)
        left: dict[str, Unwritten] = {}
        if op is not None and self._poisoning is not None:
            left = self._poisoning.done(op, seen)
        capture = Capture(
            step=self._step,
            op=op,
            stop=self._stops,
            address=self._address,
            sizes=seen.sizes,
            addresses=seen.addresses,
            # Captures of one stop share their arrays, so that they are compared once.
            flat=MappingProxyType({**seen.flat, **{n: one.flat for n, one in left.items()}})
            if left
            else seen.flat,
            skipped=self._skipped,
            memory=seen.memory,
            padding=seen.padding,
            findings=findings,
            unwritten={name: one.mask for name, one in left.items()},
            missed=self._missed if op is None else {},
            others=self._others if op is None else frozenset(),
            found=MappingProxyType(self._found),
        )
        self._found, self._found_here = {}, {}
        if op is None:
            self._hear(self._others, on=True)
            self._others = frozenset()
        self._stops += 1
        self._latest = capture
        if op is not None:
            self._seen.add(op)
            self._last = f"after {op} of step {self._step}"
        return capture


def _named(op: Op) -> set[str]:
    return {*op.inputs.values(), *op.outputs.values()}


def _needed(ops: Sequence[Op]) -> set[str]:
    """Return the ops after which a sweep has to stop: the last, and those that lose an output.

    An output is lost where a later op of the step writes the same buffer.
    """
    lost = {
        op.name
        for index, op in enumerate(ops)
        if set(op.outputs.values())
        & {name for later in ops[index + 1 :] for name in later.outputs.values()}
    }
    return lost | {ops[-1].name}
