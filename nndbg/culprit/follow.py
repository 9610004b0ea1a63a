"""Runs a program to an interval between two boundaries and records what happens in it."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from nndbg.culprit.slicing import Trace
from nndbg.culprit.watch import Arrival, walk
from nndbg.decode import Disassembly
from nndbg.errors import ProgramError
from nndbg.inferior import LiveSource
from nndbg.inferior.stepper import NOTHING, Look, follow

# What one trace may cost, so that a check still answers in seconds.
_MOST_INSTRUCTIONS = 40_000


@dataclass(frozen=True)
class Goal:
    """Ends a trace: once the instruction `store` (as linked) wrote into `span` so many `times`."""

    store: int
    span: range
    times: int


def trace_interval(
    source: LiveSource,
    code: Disassembly,
    behind: int,
    until: Collection[str],
    seconds: float,
    timeout: float,
    goal: Goal | None = None,
    near: range | None = None,
) -> tuple[Trace, bool]:
    """Record the instructions behind the boundary of that number, up to where `until` is complete.

    `until` are ops, of which one is enough, and a step's end always is. `source` stands where a
    step begins; `behind` counts the boundaries that come after that. With `near` it begins only
    where something writes there, of 1, 2, 4 or 8 bytes, and is empty where nothing does. Returns
    the trace, and whether it got to its goal. Raises ProgramError where the program ends on the
    way.
    """
    passed = 0
    for event in walk(source, timeout) if behind else ():
        passed += isinstance(event, Arrival)
        if passed == behind:
            break
    if passed < behind:
        raise ProgramError("the program ended before it came to where it was to be followed.")
    if near is not None:
        number = source.inferior.watch_access(near.start, len(near))
        for event in walk(source, timeout):
            if isinstance(event, Arrival):
                return Trace(NOTHING, code, 0), False
            if _has_written(source, code, event.address):
                break
        source.inferior.delete(number)
    offset = source.inferior.load_offset
    instruction = code.at(goal.store) if goal is not None else None
    access = instruction.store if instruction is not None else None
    left = goal.times if goal is not None else 0

    def is_enough(registers: dict[str, int]) -> bool:
        nonlocal left
        assert access is not None
        assert goal is not None
        begin = access.address({**registers, "rip": offset, "none": 0})
        # A string instruction goes on from here.
        if begin < goal.span.stop and goal.span.start < begin + access.size:
            left -= 1
        return left <= 0

    def is_over(registers: dict[str, int]) -> bool:
        ops, begins_step = source.passed(registers["rip"] - offset, registers)
        return begins_step or any(op in until for op in ops)

    def look(at: int) -> Look | None:
        return _look(code, at - offset)

    steps = follow(
        source.inferior,
        {address + offset for address in source.boundaries},
        _MOST_INSTRUCTIONS,
        seconds,
        goal.store + offset if goal is not None and access is not None else None,
        is_enough,
        is_over,
        look,
    )
    trace = Trace(steps, code, offset, is_late=near is not None)
    return trace, steps.is_whole or (goal is not None and left <= 0)


def _look(code: Disassembly, address: int) -> Look | None:
    """Return the vector register and the mask that the instruction there has, if it has any."""
    instruction = code.at(address)
    if instruction is None:
        return None
    vectors = [name for name in instruction.writes if name.startswith("zmm")]
    vector = int(vectors[0].removeprefix("zmm")) if len(vectors) == 1 else None
    mask = int(instruction.mask.removeprefix("k")) if instruction.mask else None
    return Look(vector, mask) if (vector, mask) != (None, None) else None


def _has_written(source: LiveSource, code: Disassembly, address: int) -> bool:
    """Whether what ran before `address` writes memory: reads trigger the watchpoint as well."""
    found = code.before(address)
    return found is not None and found.store is not None


class Clock:
    """What is left of the time that a search may take."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, not less than a little."""
        return max(0.3, self._deadline - time.monotonic())
