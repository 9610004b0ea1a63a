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

from nndbg.culprit.amendments.coding import Change
from nndbg.culprit.amendments.patch import Patch, patch_for
from nndbg.culprit.code import Code
from nndbg.culprit.goal import Goal
from nndbg.inferior.memory import ProcessMemory
from nndbg.inferior.ptrace import FIELD, reap, set_registers
from nndbg.inferior.template import TRAP, Copy, End, Template, Watchdog

# Copies that run at the same time: some wait to be scheduled while others are judged.
_IN_FLIGHT = 3
_MOST_HITS = 20_000


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
        self._offset = offset
        self._stops, self._done = frozenset(stops), frozenset(done)
        self._linked_stops = frozenset(stop - offset for stop in stops)
        self._goal = goal
        self._watchdog = Watchdog()
        room = template.room
        self._room = range(room.start - offset, room.stop - offset)
        self._seen: set[tuple[tuple[int, bytes], ...]] = set()
        for stop in self._stops:
            template.memory.write(stop, TRAP)

    def limit(self, seconds: float) -> None:
        """Let no run take more processor time."""
        self._watchdog.limit = seconds

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
        body = self._code.body(change.address)
        return patch_for(change, body, self._room, self._linked_stops)

    def judged(self, patch: Patch) -> float:
        """Return how many elements are wrong after a run with a patch."""
        copy = self._start(patch)
        try:
            return self._finish(copy, patch)
        finally:
            self._kill(copy)
            reap(copy.pid)

    def covered(self, patch: Patch | None = None) -> tuple[list[int], bool]:
        """Return the instructions that run, by their first time, and whether the op got done.

        Every instruction of the program is a trap that is taken away when it is met. With a patch
        those that it moved count as where they were.
        """
        patch = patch or Patch({})
        copy = self.template.copy()
        memory = ProcessMemory(copy.pid)
        moved = {new: old for old, new in patch.moved.items()}
        own = {a: code for start, code in patch.writes.items() for a in (start,)}
        found: dict[int, None] = {}
        at = copy.registers[FIELD["rip"]]
        if at - self._offset in patch.moved:
            at = patch.moved[at - self._offset] + self._offset
            copy.registers[FIELD["rip"]] = at
            set_registers(copy.pid, copy.registers)
        self._watchdog.watch(copy.pid)
        ended = None
        try:
            for section in self._code.executable.code:
                memory.write(section.start + self._offset, TRAP * len(section))
            hidden = dict(self._written(patch))
            if patch.moved:
                begin = min(patch.moved.values()) + self._offset
                end = begin + len(own.get(self._room.start, b""))
                memory.write(
                    self._room.start + self._offset, TRAP * (end - self._room.start - self._offset)
                )
            while len(found) < _MOST_HITS:
                linked = at - self._offset
                size = self._code.size(hidden, linked)
                if not size:
                    break
                found[moved.get(linked, linked)] = None
                memory.write(at, self._code.bytes_at(hidden, linked, size))
                copy.resume()
                while (ended := copy.wait()) is None:
                    copy.resume()
                if ended.end is not End.REACHED:
                    break
                at = ended.address
                if moved.get(at - self._offset, at - self._offset) in self._linked_stops:
                    break
                copy.registers[FIELD["rip"]] = at
                set_registers(copy.pid, copy.registers)
        finally:
            memory.close()
            self._kill(copy)
            reap(copy.pid)
        reached = ended is not None and ended.end is End.REACHED
        linked = moved.get(at - self._offset, at - self._offset)
        return list(found), reached and linked + self._offset in self._done

    def _written(self, patch: Patch) -> Iterator[tuple[int, int]]:
        for start, code in patch.writes.items():
            for number, byte in enumerate(code):
                yield start + number, byte

    def _start(self, patch: Patch) -> Copy:
        at = self.template.registers[FIELD["rip"]] - self._offset
        copy = self.template.copy(
            {address + self._offset: code for address, code in patch.writes.items()},
            patch.moved[at] + self._offset if at in patch.moved else None,
        )
        self._watchdog.watch(copy.pid)
        copy.resume()
        return copy

    def _finish(self, copy: Copy, patch: Patch) -> float:
        while (ended := copy.wait()) is None:
            copy.resume()
        if ended.end is not End.REACHED:
            return np.inf
        back = {new: old for old, new in patch.moved.items()}
        linked = ended.address - self._offset
        is_done = back.get(linked, linked) + self._offset in self._done
        return self._goal.wrong(copy.pid) if is_done else np.inf

    def _kill(self, copy: Copy) -> None:
        self._watchdog.forget(copy.pid)
        with suppress(ProcessLookupError):
            os.kill(copy.pid, signal.SIGKILL)
