"""The stretch of a step in which an op runs, held ready to be run again and again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nndbg.capture import Capture
from nndbg.inferior import LiveSource
from nndbg.inferior.memory import ProcessMemory
from nndbg.inferior.ptrace import FIELD, Registers, end, set_registers
from nndbg.inferior.template import TRAP, End, Ended, Template, take_over

_SECONDS = 4.0


@dataclass(frozen=True)
class Mark:
    """A boundary that was passed: the ops that are complete there, and a template that stands."""

    ops: tuple[str, ...]
    template: Template


class Interval:
    """A program taken over at the beginning of a step; `close` ends it and all its copies.

    Addresses are as loaded but for those that say that they are as linked.
    """

    def __init__(self, source: LiveSource, step: int) -> None:
        self.capture: Capture = source.start(step)
        self.placed = source.placed
        self.offset = source.inferior.load_offset
        self._marks: list[Mark] = []
        self.ended: Ended | None = None
        self.took = 0.0
        done = self.placed.done
        self._ops_at: dict[int, tuple[str, ...]] = {}
        for name, addresses in done.items():
            if name not in self.capture.skipped:
                for address in addresses:
                    at = address + self.offset
                    self._ops_at[at] = (*self._ops_at.get(at, ()), name)
        self._steps = {address + self.offset for address in self.placed.step}
        near = next(iter(self._steps))
        self._program, self._base = take_over(source.inferior, near)
        self._memory = ProcessMemory(self._program.pid)
        self._original = {
            at: bytes(self._memory.read(at, 1)) for at in self._steps | self._ops_at.keys()
        }

    def close(self) -> None:
        """Kill the program and everything that was made of it."""
        for mark in self._marks:
            mark.template.close()
        self._memory.close()
        end(self._program.pid)

    def arrivals(self) -> Iterator[tuple[str, ...] | None]:
        """Run from boundary to boundary; yields the ops that are complete there.

        None stands for the next step. Ends where the program ends, crashes or takes too long. At
        each boundary that is passed a template stays behind.
        """
        deadline = time.monotonic() + _SECONDS
        self._leave(())
        while True:
            self._step_over()
            began = time.perf_counter()
            ended = self._program.poll(max(0.0, deadline - time.monotonic()))
            self.took = time.perf_counter() - began
            if ended.end is not End.REACHED or ended.address not in self._original:
                self.ended = ended
                return
            self._program.registers[FIELD["rip"]] = ended.address
            set_registers(self._program.pid, self._program.registers)
            for at, byte in self._original.items():
                self._memory.write(at, byte)
            is_step = ended.address in self._steps
            yield None if is_step else self._ops_at[ended.address]
            if is_step:
                return
            self._leave(self._ops_at[ended.address])

    def _leave(self, ops: tuple[str, ...]) -> None:
        template = Template(self._program.pid, self._program.registers, self._base)
        copy = template.copy()
        template.settle()
        template.memory.close()
        self._marks.append(
            Mark(ops, Template(copy.pid, Registers(*template.registers), self._base))
        )

    def _step_over(self) -> None:
        self._program.step()
        for at in self._original:
            self._memory.write(at, TRAP)

    @property
    def pid(self) -> int:
        """The program, where it stands."""
        return self._program.pid

    @property
    def marks(self) -> Sequence[Mark]:
        """The boundaries that were passed: the beginning of the step first."""
        return self._marks
