"""Watches one element through a step: every instruction that writes it, until an op is done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from nndbg.culprit.chain import call_chain
from nndbg.culprit.model import Blame, Site, Write, site
from nndbg.culprit.reach import reachable, stores
from nndbg.decode import Disassembly, Instruction
from nndbg.errors import GdbError, UsageError
from nndbg.inferior import LiveSource
from nndbg.inferior.process import Inferior, Stop
from nndbg.places import Place, Places

_LONGEST_STRING_MOVE = 64
# The sign of each lane of their second operand decides.
_MASKED = ("vmaskmovps", "vmaskmovpd", "vpmaskmovd", "vpmaskmovq")
_HALF = 32
_MOST_STOPS = 20_000
_MOST_READ_SITES = 1000


@dataclass(frozen=True)
class Arrival:
    """The program reached boundaries: the ops that are complete there, or a step that begins."""

    ops: tuple[str, ...]
    begins_step: bool
    address: int = 0


def walk(source: LiveSource, timeout: float) -> Iterator[Stop | Arrival]:
    """Run from stop to stop: boundaries come as Arrival, everything else as it is.

    Ends with the program.
    """
    while True:
        stop = source.inferior.resume(timeout)
        if stop.is_exit:
            return
        arrival = arrival_at(source, stop.address)
        if stop.reason != "breakpoint-hit" or arrival is None:
            yield stop
        # A watchpoint that triggers right before a boundary swallows the stop there.
        if arrival is not None:
            yield arrival
        if stop.signal is not None:
            return


def arrival_at(source: LiveSource, address: int) -> Arrival | None:
    """Return what is reached at `address`, as linked; None where that is no boundary.

    To be asked once each time that the program comes there: boundaries count.
    """
    if address not in source.boundaries:
        return None
    ops, begins = source.passed(address)
    return Arrival(ops, begins, address) if ops or begins else None


class Watch:
    """One element under watch from the beginning of a step on.

    By a hardware watchpoint, or, where `debug_registers` says that there is none, by breakpoints on
    the instructions that may store into it.
    """

    def __init__(
        self,
        source: LiveSource,
        step: int,
        place: Place,
        until: str | None,
        timeout: float,
        debug_registers: bool = True,
        addresses: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Run `source` to `step` and arm what watches the element until the op `until` is done.

        Without `until` it is watched until the next step begins. `addresses` are where buffers
        begin in that step of which only the program holds the address, once it has been told.

        Raises UsageError for an element that the step does not have.
        """
        self.place = place
        self.code = Disassembly(source.placed.executable)
        self._source = source
        self._until, self._timeout = until, timeout
        run = () if debug_registers else functions_run(source, self.code, step, until, timeout)
        capture = source.start(step)
        held = {b.name for b in source.layer_map.buffers.values() if b.held is not None}
        told = {name: address for name, address in addresses.items() if name in held}
        capture = replace(capture, addresses={**capture.addresses, **told})
        op = source.layer_map.op(until) if until is not None else None
        own = {*op.inputs.values(), *op.outputs.values()} if op is not None else set()
        self.places = Places(source.layer_map, capture, preferred={place.buffer, *own})
        self._inferior: Inferior = source.inferior
        self._address = self.places.address(place)
        self._width = self.places.width(place.buffer)
        self._stores: dict[int, Instruction] = {}
        self.writes: list[Write] = []
        self.arrivals: list[Arrival] = []
        self._pending: list[Write] = []
        self.reads = 0
        # Behind how many boundaries, and behind which address, the element was read.
        self.read_sites: list[tuple[int, int]] = []
        self.notes: list[str] = []
        self.means = "hardware watchpoint"
        if debug_registers:
            self._inferior.watch_access(self._address, self._width)
        else:
            self._break_at_stores(run)
        self._last = self.value

    @property
    def value(self) -> float | int:
        """What the element holds now."""
        data = bytes(self._inferior.memory.read(self._address, self._width))
        return self.places.value(self.place.buffer, data)

    @property
    def span(self) -> range:
        """The bytes of the element, as loaded."""
        return range(self._address, self._address + self._width)

    def follow(self, seconds: float = 60.0) -> None:
        """Collect every write; what takes longer than `seconds` is cut short."""
        deadline = time.monotonic() + seconds
        for number, event in enumerate(walk(self._source, self._timeout)):
            if isinstance(event, Arrival):
                if not self._stores and self.value != self._last:
                    # A store right before a boundary: GDB tells of the stop there alone.
                    self._trap(event.address)
                if self._arrive(event):
                    break
            elif event.reason == "access-watchpoint-trigger":
                self._trap(event.address)
            elif event.address in self._stores and self._step_over(event.address):
                break
            if number >= _MOST_STOPS or time.monotonic() > deadline:
                self.notes.append("cut short: there is too much to follow before the op is done")
                break
        self.writes += self._pending
        self._pending = []

    def _arrive(self, arrival: Arrival) -> bool:
        """Take note of a boundary, to whose op the last writes belong; whether it is the last."""
        op = arrival.ops[0] if arrival.ops else None
        self.arrivals.append(arrival)
        self.writes += [replace(write, op=op) for write in self._pending]
        self._pending = []
        return arrival.begins_step or self._until in arrival.ops

    def _trap(self, address: int) -> None:
        write = self._write(address)
        if write is not None:
            self._pending.append(write)
            return
        self.reads += 1
        if len(self.read_sites) < _MOST_READ_SITES:
            self.read_sites.append((len(self.arrivals), address))

    def _break_at_stores(self, functions: tuple[tuple[Instruction, ...], ...]) -> None:
        """Stop at every store of the functions that the step runs, for want of debug registers."""
        self._stores = {instruction.address: instruction for instruction in stores(functions)}
        for address in self._stores:
            self._inferior.break_at(address)
        self.means = f"breakpoints on {len(self._stores)} stores: no debug registers here"

    def _step_over(self, address: int) -> bool:
        """Step over stores in a row and take note of what they write; whether the op is done.

        GDB does not stop at a breakpoint that it steps onto.
        """
        while address in self._stores:
            address = self._step(self._stores[address])
        arrival = arrival_at(self._source, address)
        return arrival is not None and self._arrive(arrival)

    def _step(self, store: Instruction) -> int:
        """Run a store, and return where the program is then."""
        access = store.store
        assert access is not None
        registers = self._inferior.general_registers()
        repeats = store.is_string and store.text.startswith("rep")
        count = registers["rcx"] if repeats else 1
        begin = access.address(self._moved(registers))
        chain = self._chain(store.address, registers["rsp"])
        before = self._last
        address = store.address
        while address == store.address:
            address = self._inferior.step_instruction().address
        if count and self._covers(begin, access.size * count) and self._unmasked(store, registers):
            self._last = self.value
            register, lane = self._origin(store, registers)
            self._pending.append(
                Write(site(self.code, store), None, before, self._last, register, lane, chain)
            )
        return address

    def follow_from_start(self, step: int, seconds: float) -> None:
        """Run the program anew, and collect every write from its first instruction to the step.

        For elements that do not move. A step that the program cannot seek has to be its first.
        """
        placed = self._source.placed
        self._inferior = self._source.launch()
        self._last = self.value
        self._inferior.watch_access(self._address, self._width)
        ends = placed.step
        if step and placed.seek_target is not None:
            at = placed.seek_target + self._inferior.load_offset
            self._inferior.memory.write(at, step.to_bytes(8, "little"))
            ends = placed.seek
        for address in ends:
            self._inferior.break_at(address)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            stop = self._inferior.resume(self._timeout)
            if stop.reason != "access-watchpoint-trigger":
                return
            write = self._write(stop.address)
            if write is None:
                self.reads += 1
            else:
                self.writes.append(write)
        self.notes.append("cut short: there is too much to follow before the step begins")

    def _write(self, address: int) -> Write | None:
        """Return the write that stopped the program before `address`, None where it was a read."""
        registers = self._inferior.general_registers()
        found = self._instruction(address, registers)
        if found is None:
            if self.value == self._last:
                return None
            found = self.code.at(address)
            self.notes.append(f"what wrote before {address:#x} is no code that can be read")
            if found is None:
                return None
        elif not self._writes(found, registers) or not self._unmasked(found, registers):
            return None
        before, self._last = self._last, self.value
        register, lane = self._origin(found, registers)
        chain = self._chain(address, registers["rsp"])
        return Write(site(self.code, found), None, before, self._last, register, lane, chain)

    def _chain(self, address: int, stack: int) -> tuple[Site, ...]:
        calls = call_chain(
            self.code,
            lambda at, size: bytes(self._inferior.memory.read(at, size)),
            address,
            stack,
            self._inferior.load_offset,
        )
        return tuple(site(self.code, call) for call in calls)

    def _instruction(self, address: int, registers: dict[str, int]) -> Instruction | None:
        """Return what ran last: it ends at `address`, or is a string instruction at work there."""
        here = self.code.at(address)
        if here is not None and here.is_string and here.text.startswith("rep"):
            begun = registers["rdi"] - _LONGEST_STRING_MOVE
            if registers["rcx"] and begun <= self._address < registers["rdi"]:
                return here
        return self.code.before(address)

    def _writes(self, instruction: Instruction, registers: dict[str, int]) -> bool:
        store = instruction.store
        if store is None:
            return False
        if instruction.is_string or instruction.load is None:
            return True
        # An instruction that loads here and stores there.
        return self._covers(store.address(self._moved(registers)), store.size)

    def _unmasked(self, found: Instruction, registers: dict[str, int]) -> bool:
        """Whether the mask of a store, if it has one, lets it write the element."""
        access = found.store
        if access is None or not (found.mask or found.mnemonic in _MASKED):
            return True
        lane, rest = divmod(self._address - access.address(self._moved(registers)), access.width)
        if rest or not 0 <= lane < access.size // access.width:
            return True
        if found.mask:
            # GDB 13 reads zero for every mask on processors with AMX. A watchpoint is not triggered
            # by lanes that a mask leaves out, as far as has been seen; a change is a write.
            bits = int.from_bytes(self._inferior.vector(found.mask), "little")
            trapped = not bits and not self._stores
            return trapped or self.value != self._last or bool(bits >> lane & 1)
        held = self._inferior.vector(found.names[1])
        return bool(held[(lane + 1) * access.width - 1] & 0x80)

    def _origin(self, found: Instruction, registers: dict[str, int]) -> tuple[str, int | None]:
        """Return the register that the value came from and its lane, checked against memory."""
        name, store = found.source, found.store
        if not name or store is None:
            return ("al" if found.mnemonic.startswith("stos") else ""), None
        if name[0] not in "xyz" or found.is_string:
            return name, None
        begin = store.address(self._moved(registers))
        if not self._covers(begin, store.size):
            return name, None
        try:
            contents = self._inferior.vector(name)
        except GdbError:
            return name, None
        at = self._address - begin
        if found.immediate is not None and found.mnemonic.startswith("vextract"):
            at += found.immediate * store.size
        if found.mnemonic.removeprefix("v") in ("movhps", "movhpd"):
            at += 8
        held = bytes(self._inferior.memory.read(self._address, self._width))
        # GDB 13 reads zeros for the upper half of a zmm register on processors with AMX.
        unread = at >= _HALF and not any(contents[_HALF:])
        if contents[at : at + self._width] != held and not unread:
            return name, None
        return name, at // self._width

    def _moved(self, registers: dict[str, int]) -> dict[str, int]:
        """Return the registers for effective addresses; rip-relative ones are as linked."""
        return {**registers, "rip": self._inferior.load_offset, "none": 0}

    def _covers(self, begin: int, size: int) -> bool:
        return begin < self._address + self._width and self._address < begin + size


def functions_run(
    source: LiveSource, code: Disassembly, step: int, until: str | None, timeout: float
) -> tuple[tuple[Instruction, ...], ...]:
    """Run to where the op `until` is done; return the functions that the step entered on the way.

    Those are found that can be reached by calls and by jumps through variables.
    """
    source.start(step)
    inferior = source.inferior
    offset = inferior.load_offset

    def pointer(address: int) -> int:
        return int.from_bytes(inferior.memory.read(address + offset, 8), "little") - offset

    functions = reachable(code, source.placed.step, pointer)
    for address in functions:
        inferior.break_at(address, once=True)
    entered = {body[0].address for at in source.placed.step if (body := code.function(at))}
    for event in walk(source, timeout):
        if isinstance(event, Arrival):
            if event.begins_step or until in event.ops:
                break
        else:
            entered.add(event.address)
    return tuple(functions[address] for address in sorted(entered & functions.keys()))


def writes_of(
    source: LiveSource,
    place: Place,
    step: int,
    op: str | None = None,
    timeout: float = 30.0,
    debug_registers: bool = True,
) -> Blame:
    """Return who wrote an element in `step`, until `op` was done.

    Without an `op` it is the first one of the step that has the buffer as an output. Where this
    machine has no debug registers, or `debug_registers` says so, the stores of the functions that
    the step runs are watched instead. Raises UsageError where there is no such op or element.
    """
    until = end_of_watch(source, place, step, op)
    try:
        watch = Watch(source, step, place, until, timeout, debug_registers)
        watch.follow()
    except GdbError:
        if not debug_registers:
            raise
        watch = Watch(source, step, place, until, timeout, debug_registers=False)
        watch.follow()
    return Blame(
        element=str(place),
        step=step,
        op=until,
        writes=tuple(watch.writes),
        reads=watch.reads,
        means=watch.means,
        value=watch.value,
        notes=tuple(watch.notes),
    )


def end_of_watch(source: LiveSource, place: Place, step: int, op: str | None) -> str:
    """Return `op`, or without one the first of the step that has the buffer as an output.

    Raises UsageError where there is no such op.
    """
    until = op or _owner(source, place, step)
    if source.layer_map.op(until) is None:
        known = ", ".join(o.name for o in source.layer_map.ops)
        raise UsageError(f"the layer map has no op {op}. It has: {known}.")
    return until


def _owner(source: LiveSource, place: Place, step: int) -> str:
    """Return the first op of the step that has the buffer as an output."""
    owners = [o.name for o in source.layer_map.ops if place.buffer in o.outputs.values()]
    if not owners:
        raise UsageError(f"no op of this phase writes {place.buffer}. Name one with --op.")
    if len(owners) == 1:
        return owners[0]
    skipped = source.start(step).skipped
    return next((name for name in owners if name not in skipped), owners[0])
