"""Finds the instruction whose smallest change makes an op right, by trying.

The reference is an oracle for every element of the op's outputs, and a copy of the program takes
less than a millisecond: so changes are not argued about, they are run.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from iced_x86 import Instruction as Coded

from nndbg.capture import shape
from nndbg.chain import format_of
from nndbg.compare import Status, Verdict
from nndbg.culprit.amendments.coding import Change, decode_all, immediate, immediate_operand, signed
from nndbg.culprit.amendments.insertions import inserted, inserted_anywhere, rearranged
from nndbg.culprit.amendments.patch import Patch, patch_for
from nndbg.culprit.amendments.replacements import (
    Setting,
    far,
    farthest,
    has_memory,
    near,
    registers_of,
)
from nndbg.culprit.goal import Goal, Kept, Output
from nndbg.culprit.interval import Interval
from nndbg.decode import Disassembly
from nndbg.errors import ProgramError
from nndbg.inferior import LiveSource
from nndbg.inferior.memory import Memory, copy_from
from nndbg.inferior.ptrace import FIELD, reap, set_registers
from nndbg.inferior.template import TRAP, Copy, End, Template, breakpoints
from nndbg.layermap.model import DTYPES
from nndbg.ledger import Observation

_IN_FLIGHT = 2
_LEAST, _TIMES = 0.012, 5.0
_MOST_HITS = 20_000
_MOST_ADDRESSES = 60


@dataclass(frozen=True)
class Repair:
    """A change with which the op has `wrong` wrong elements instead of `before`."""

    change: Change
    function: int
    wrong: float
    before: int
    number: int


@dataclass
class Experiment:
    """One op, put right by trial."""

    source: LiveSource
    code: Disassembly
    verdict: Verdict
    observation: Observation
    notes: list[str] = field(default_factory=list)
    trials: int = 0
    interval: Interval | None = None

    def close(self) -> None:
        if self.interval is not None:
            self.interval.close()

    def run(self, seconds: float) -> list[Repair]:
        """Return the changes that make the op right, or at least less wrong."""
        started = time.monotonic()
        self.deadline = started + seconds
        self.interval = Interval(self.source, self.verdict.subject.step)
        prepared = self._prepare(self.interval)
        if prepared is None:
            return []
        template, goal, stops, took = prepared
        self.template, self.goal, self.stops = template, goal, stops
        self.offset = self.interval.offset
        for stop in stops:
            template.memory.write(stop, TRAP)
        template.limit(max(_LEAST, _TIMES * took))
        executed = self._coverage(template)
        self.prepared_after = time.monotonic() - started
        return self._search(executed)

    def _prepare(self, interval: Interval):
        """Return the template, the goal, the stops that matter, and how long the op takes."""
        op = self.observation.op
        is_late = "behind" in self.verdict.says and not self.observation.evidence
        before = [o.name for o in interval.placed.layer_map.ops]
        before = before[: before.index(op.name)]
        mark, reached, took = 0, False, 0.0
        for ops in interval.arrivals():
            if not is_late and ops is not None and op.name in ops:
                reached, mark, took = True, len(interval.marks) - 1, interval.took
                break
            if ops is None:
                if is_late:
                    reached, mark, took = True, len(interval.marks) - 1, interval.took
                break
            if any(name in before for name in ops):
                mark = len(interval.marks)
        else:
            mark = min(mark, len(interval.marks) - 1)
        mark = min(mark, len(interval.marks) - 1)
        template = interval.marks[mark].template
        done = () if is_late else interval.placed.done[op.name]
        stops = {a + interval.offset for a in (*done, *interval.placed.step)}
        self.done = {a + interval.offset for a in (interval.placed.step if is_late else done)}
        at = template.registers[FIELD["rip"]]
        if at in stops:
            stops.discard(at)
            self.done.discard(at)
            if not self.done:
                # A step that ends where it began is entered first.
                self.notes.append("the op ends where it begins")
                return None
        goal = self._goal(interval, template, reached, is_late)
        if goal is None:
            return None
        self.before = goal.learn(interval.pid if reached else None)
        return template, goal, stops, took

    def _goal(self, interval: Interval, template: Template, reached: bool, is_late: bool) -> Goal | None:
        capture, layer_map = interval.capture, interval.placed.layer_map
        op = self.observation.op
        sizes = self.observation.capture.sizes
        outputs: list[Output] = []
        if not is_late:
            expected = self.observation.expected
            if not expected:
                inputs = {}
                for part, name in op.inputs.items():
                    buffer = layer_map.buffers[name]
                    array = np.empty(buffer.elements(sizes), DTYPES[buffer.dtype])
                    if not copy_from(template.pid, capture.addresses[name], array):
                        return None
                    inputs[part] = shape(array, buffer, sizes)
                results = op.kind.compute(inputs, format_of(layer_map, op), op.parameters)
                expected = {name: results[part] for part, name in op.outputs.items()}
            for name, value in expected.items():
                if not np.isfinite(value.value).all():
                    self.notes.append("what the op is to make of its inputs is no number")
                    return None
                outputs.append(
                    Output(name, capture.addresses[name], DTYPES[layer_map.buffers[name].dtype], value)
                )
        kept: list[Kept] = []
        own = set(op.outputs.values()) if not is_late else set()
        for name, flat in capture.flat.items():
            if name in own:
                continue
            at = capture.addresses[name]
            start = np.empty(flat.nbytes, np.uint8)
            now = np.empty(flat.nbytes, np.uint8)
            if not copy_from(template.pid, at, start) or not copy_from(interval.pid, at, now):
                continue
            strict = name == self.verdict.subject.buffer or not reached
            kept.append(Kept(at, (start,) if strict or np.array_equal(start, now) else (start, now)))
        return Goal(outputs, kept)

    def _coverage(self, template: Template) -> list[int]:
        """Return the instructions that ran, as linked, by their first time."""
        copy = template.copy()
        memory = Memory(copy.pid)
        executable = self.source.placed.executable
        for section in executable.code:
            memory.write(section.start + self.offset, TRAP * len(section))
        executed: list[int] = []
        seen: set[int] = set()
        at = template.registers[FIELD["rip"]]
        try:
            while len(executed) < _MOST_HITS:
                linked = at - self.offset
                instruction = self.code.at(linked)
                if instruction is None or linked in seen:
                    break
                seen.add(linked)
                executed.append(linked)
                memory.write(at, executable.code_at(linked, instruction.size))
                copy.registers[FIELD["rip"]] = at
                if len(executed) > 1:
                    set_registers(copy.pid, copy.registers)
                copy.resume()
                while (ended := copy.wait()) is None:
                    copy.resume()
                if ended.end is not End.REACHED or ended.address in self.stops:
                    break
                at = ended.address
            self.coverage_end = ended
        finally:
            memory.close()
            _kill(copy)
            reap(copy.pid)
        return executed

    # The search

    def _search(self, executed: Sequence[int]) -> list[Repair]:
        executable = self.source.placed.executable
        own = [
            a for a in executed
            if (executable.line_at(a) is not None or not executable.has_lines)
            and a + self.offset not in self.stops
        ]
        self.bodies: dict[int, tuple[Coded, ...]] = {}
        self.settings: dict[int, Setting] = {}
        places: list[tuple[int, int]] = []
        for address in own:
            body = self._body(address)
            if body is None:
                continue
            at = next((n for n, i in enumerate(body) if i.ip == address), None)
            if at is not None:
                places.append((body[0].ip, at))
        # the last that ran first
        order = list(reversed(places))
        repairs: list[Repair] = []
        self.best = float(self.before)
        for tier in _TIERS:
            batches = [
                (function, sorted(tier(self.bodies[function], at, self._setting(function)), key=lambda c: c.cost))
                for function, at in order
            ]
            n0=self.trials
            for change, function, wrong in self._try(_by_cost(batches)):
                if wrong < self.before:
                    repairs.append(Repair(change, function, wrong, self.before, self.trials))
            if any(r.wrong == 0 for r in repairs):
                break
            if time.monotonic() > self.deadline:
                break
        return sorted(repairs, key=lambda r: (r.wrong, r.change.cost, r.number))

    def _body(self, address: int) -> tuple[Coded, ...] | None:
        executable = self.source.placed.executable
        listed = self.code.function(address)
        if not listed:
            return None
        start = listed[0].address
        if start not in self.bodies:
            found: list[Coded] = []
            for i in listed:
                found += decode_all(executable.code_at(i.address, i.size), i.address)
            self.bodies[start] = tuple(found)
        return self.bodies[start]

    def _setting(self, function: int) -> Setting:
        if function in self.settings:
            return self.settings[function]
        body = self.bodies[function]
        numbers: dict[int, None] = {}
        sizes = list(dict.fromkeys(self.observation.capture.sizes.values()))
        for size in sizes:
            for factor in (1, 4, 8):
                numbers[size * factor] = None
        targets: dict[int, None] = {}
        for i in body:
            operand = immediate_operand(i)
            if operand is not None:
                numbers[immediate(i, operand)] = None
            if has_memory(i) and not i.is_ip_rel_memory_operand:
                numbers[signed(i.memory_displacement)] = None
            if (i.is_jcc_short_or_near or i.is_jmp_short_or_near):
                targets[i.near_branch_target] = None
        for one in sizes:
            for two in sizes:
                numbers[one * two] = None
                numbers[one * two * 4] = None
        placed = self.source.placed
        op = self.observation.op
        addresses: dict[int, None] = {}
        for name in (*op.inputs.values(), *op.outputs.values(), *placed.places):
            addresses[placed.places[name].address] = None
        for place in placed.size_places.values():
            addresses[place.address] = None
        calls: dict[int, Coded] = {}
        for other in self.bodies.values():
            for i in other:
                if i.is_ip_rel_memory_operand:
                    addresses[i.ip_rel_memory_address] = None
                if i.is_call_near:
                    calls.setdefault(i.near_branch_target, i)
                elif i.is_call_near_indirect and has_memory(i):
                    calls.setdefault(i.memory_displacement, i)
        setting = Setting(
            registers_of(body), tuple(numbers), tuple(addresses)[:_MOST_ADDRESSES],
            tuple(targets), tuple(calls.values()),
        )
        self.settings[function] = setting
        return setting

    def _try(self, changes: Iterable[tuple[int, Change]]) -> Iterator[tuple[Change, int, float]]:
        """Yield changes with what came of them, two running at a time."""
        running: deque[tuple[Change, int, Patch, Copy]] = deque()
        dying: deque[Copy] = deque()
        room = range(self.template.room.start - self.offset, self.template.room.stop - self.offset)
        stops = {stop - self.offset for stop in self.stops}
        seen: set[tuple[tuple[int, bytes], ...]] = set()
        source = iter(changes)
        while True:
            while len(running) < _IN_FLIGHT and time.monotonic() < self.deadline:
                step = next(source, None)
                if step is None:
                    break
                function, change = step
                patch = patch_for(change, self.bodies[function], room, stops)
                if patch is None:
                    continue
                key = tuple(patch.writes.items())
                if key in seen:
                    continue
                seen.add(key)
                running.append((change, function, patch, self._start(patch)))
            if not running:
                break
            change, function, patch, copy = running.popleft()
            wrong = self._finish(copy, patch)
            _kill(copy)
            dying.append(copy)
            while len(dying) > _IN_FLIGHT:
                reap(dying.popleft().pid)
            self.trials += 1
            yield change, function, wrong
        for copy in dying:
            reap(copy.pid)

    def _start(self, patch: Patch) -> Copy:
        copy = self.template.copy({a + self.offset: code for a, code in patch.writes.items()})
        at = self.template.registers[FIELD["rip"]] - self.offset
        if at in patch.moved:
            for n, value in enumerate(self.template.registers):
                copy.registers[n] = value
            copy.registers[FIELD["rip"]] = patch.moved[at] + self.offset
            set_registers(copy.pid, copy.registers)
        copy.resume()
        return copy

    def _finish(self, copy: Copy, patch: Patch) -> float:
        while (ended := copy.wait()) is None:
            copy.resume()
        if ended.end is not End.REACHED:
            return np.inf
        done = self.done | {
            patch.moved[a - self.offset] + self.offset
            for a in self.done
            if a - self.offset in patch.moved
        }
        return self.goal.wrong(copy.pid) if ended.address in done else np.inf


def _kill(copy: Copy) -> None:
    import os
    import signal
    from contextlib import suppress

    with suppress(ProcessLookupError):
        os.kill(copy.pid, signal.SIGKILL)


def _by_cost(batches: Sequence[tuple[int, Sequence[Change]]]) -> Iterator[tuple[int, Change]]:
    every = [(c.cost, n, function, c) for n, (function, cs) in enumerate(batches) for c in cs]
    every.sort(key=lambda e: (e[0], e[1]))
    for _, _, function, change in every:
        yield function, change


def _tier_near(body: Sequence[Coded], at: int, setting: Setting) -> Iterator[Change]:
    yield from near(body[at])
    yield from rearranged(body, at)


def _tier_far(body: Sequence[Coded], at: int, setting: Setting) -> Iterator[Change]:
    yield from far(body[at], setting)


_TIERS: tuple[Callable[[Sequence[Coded], int, Setting], Iterator[Change]], ...] = (
    _tier_near,
    _tier_far,
    inserted,
    lambda body, at, setting: farthest(body[at], setting),
    inserted_anywhere,
)
