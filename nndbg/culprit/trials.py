"""Runs changed copies of an op and judges what they come to, several at a time."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from iced_x86 import Decoder

from nndbg.culprit.amendments.coding import Change
from nndbg.culprit.amendments.patch import UNCHANGED, Patch, patch_for_all
from nndbg.culprit.code import Code
from nndbg.culprit.goal import Goal
from nndbg.inferior.memory import ProcessMemory
from nndbg.inferior.ptrace import FIELD, reap, set_registers
from nndbg.inferior.template import TRAP, Copy, End, Ended, Template, Watchdog

# Copies that run at the same time: some wait to be scheduled while others are judged.
_IN_FLIGHT = 3
_MOST_HITS = 20_000
# Traps cost processor time, too.
_COVERAGE_SECONDS = 1.0
_LONGEST = 15


@dataclass(frozen=True)
class Outcome:
    """What came of a change: so many wrong elements, infinitely many where it came to no end."""

    change: Change
    patch: Patch
    wrong: float


class Trials:
    """The runs of one op from a template; addresses as loaded, those of code as linked.

    `stops` are where a run ends, `done` those of them where the op is complete.
    """

    def __init__(
        self,
        template: Template,
        code: Code,
        offset: int,
        stops: Collection[int],
        done: Collection[int],
        goal: Goal,
    ) -> None:
        self.template = template
        self.count = 0
        self._code = code
        self.offset = offset
        self._stops, self._done = frozenset(stops), frozenset(done)
        self._linked_stops = frozenset(stop - offset for stop in stops)
        self._goal = goal
        self._watchdog = Watchdog()
        self._limit = 1.0
        room = template.room
        self._room = range(room.start - offset, room.stop - offset)
        self._seen: set[tuple[tuple[int, bytes], ...]] = set()
        for stop in self._stops:
            template.memory.write(stop, TRAP)

    def limit(self, seconds: float) -> None:
        """Let no run take more processor time."""
        self._limit = seconds

    def close(self) -> None:
        """End the watch over the copies."""
        self._watchdog.close()

    def outcomes(self, changes: Iterable[Change], deadline: float) -> Iterator[Outcome]:
        """Try changes until the deadline, each once."""
        running: deque[tuple[Change, Patch, Copy]] = deque()
        dying: deque[Copy] = deque()
        source = iter(changes)
        try:
            while True:
                while len(running) < _IN_FLIGHT and time.monotonic() < deadline:
                    change = next(source, None)
                    if change is None:
                        break
                    patch = self.patch(change)
                    if patch is None or (key := tuple(patch.writes.items())) in self._seen:
                        continue
                    self._seen.add(key)
                    running.append((change, patch, self._start(patch)))
                if not running:
                    return
                change, patch, copy = running.popleft()
                wrong = self._finish(copy, patch)
                self._kill(copy)
                dying.append(copy)
                while len(dying) > _IN_FLIGHT:
                    reap(dying.popleft().pid)
                self.count += 1
                yield Outcome(change, patch, wrong)
        finally:
            for _, _, copy in running:
                self._kill(copy)
                dying.append(copy)
            for copy in dying:
                reap(copy.pid)

    def patch(self, change: Change) -> Patch | None:
        """Return how a change is brought into the code."""
        parts = [(part, self._code.body(part.address)) for part in change.parts]
        return patch_for_all(parts, self._room, self._linked_stops)

    def judged(self, patch: Patch) -> float:
        """Return how many elements are wrong after a run with a patch."""
        copy = self._start(patch)
        try:
            return self._finish(copy, patch)
        finally:
            self._kill(copy)
            reap(copy.pid)

    def covered(self, patch: Patch = UNCHANGED) -> list[int]:
        """Return the instructions that run, by their first time.

        Every instruction of the program is a trap that is taken away when it is met. Of a patch
        those that it moved count as where they were.
        """
        copy = self._copy(patch)
        self._watchdog.watch(copy.pid, _COVERAGE_SECONDS)
        memory = ProcessMemory(copy.pid)
        back = {new: old for old, new in patch.moved.items()}
        found: dict[int, None] = {}
        try:
            hidden = _Hidden(memory, self._stretches(patch))
            at = copy.registers[FIELD["rip"]]
            while len(found) < _MOST_HITS and hidden.show(at):
                linked = at - self.offset
                found[back.get(linked, linked)] = None
                ended = self._ended(copy)
                at = ended.address
                if ended.end is not End.REACHED or self._stop(at, patch) is not None:
                    break
                copy.registers[FIELD["rip"]] = at
                set_registers(copy.pid, copy.registers)
        except ProcessLookupError:
            # The watchdog was faster.
            return list(found)
        finally:
            memory.close()
            self._kill(copy)
            reap(copy.pid)
        return list(found)

    def _stretches(self, patch: Patch) -> Iterator[range]:
        """Yield where code lies, as loaded, that of a patch included."""
        for section in self._code.executable.code:
            yield range(section.start + self.offset, section.stop + self.offset)
        for start, code in patch.writes.items():
            if start in self._room:
                yield range(start + self.offset, start + self.offset + len(code))

    def _copy(self, patch: Patch) -> Copy:
        at = self.template.registers[FIELD["rip"]] - self.offset
        return self.template.copy(
            {address + self.offset: code for address, code in patch.writes.items()},
            patch.moved[at] + self.offset if at in patch.moved else None,
        )

    def _start(self, patch: Patch) -> Copy:
        copy = self._copy(patch)
        self._watchdog.watch(copy.pid, self._limit)
        copy.resume()
        return copy

    def _ended(self, copy: Copy) -> Ended:
        copy.resume()
        while (ended := copy.wait()) is None:
            copy.resume()
        return ended

    def _stop(self, address: int, patch: Patch) -> int | None:
        """Return which of the stops an address is, wherever a patch has moved it."""
        back = {new: old for old, new in patch.moved.items()}
        linked = address - self.offset
        stop = back.get(linked, linked) + self.offset
        return stop if stop in self._stops else None

    def _finish(self, copy: Copy, patch: Patch) -> float:
        while (ended := copy.wait()) is None:
            copy.resume()
        if ended.end is not End.REACHED or self._stop(ended.address, patch) not in self._done:
            return np.inf
        return self._goal.wrong(copy.pid)

    def _kill(self, copy: Copy) -> None:
        self._watchdog.forget(copy.pid)
        with suppress(ProcessLookupError):
            os.kill(copy.pid, signal.SIGKILL)


class _Hidden:
    """Code of a process behind traps, to be shown instruction by instruction."""

    def __init__(self, memory: ProcessMemory, stretches: Iterable[range]) -> None:
        self._memory = memory
        self._code = {
            stretch: bytes(memory.read(stretch.start, len(stretch))) for stretch in stretches
        }
        for stretch in self._code:
            memory.write(stretch.start, TRAP * len(stretch))

    def show(self, address: int) -> bool:
        """Take the traps of the instruction at an address away; whether there is one."""
        for stretch, code in self._code.items():
            if address in stretch:
                at = address - stretch.start
                instruction = Decoder(64, code[at : at + _LONGEST], ip=address).decode()
                if instruction.is_invalid:
                    return False
                self._memory.write(address, code[at : at + instruction.len])
                return True
        return False
