"""Runs a program to an interval between two boundaries and records what happens in it."""

from __future__ import annotations

import time

from nndbg.capture import Capture
from nndbg.culprit.decode import Disassembly
from nndbg.culprit.places import Places
from nndbg.culprit.slicing import Trace
from nndbg.culprit.watch import Arrival, walk
from nndbg.errors import ProgramError
from nndbg.inferior import LiveSource
from nndbg.inferior.stepper import follow

# What one trace may cost, so that a check still answers in seconds.
_MOST_INSTRUCTIONS = 60_000


def trace_interval(
    source: LiveSource,
    capture: Capture,
    code: Disassembly,
    behind: int,
    until: tuple[int, ...],
    seconds: float,
    store: int | None = None,
    span: range = range(0),
    times: int = 1,
) -> Trace:
    """Record the instructions behind the boundary of that number, up to one of `until` (as linked).

    `source` stands at `capture`, where the step begins; `behind` counts the boundaries that it
    passes after that. Ends early once the instruction `store` has written into `span` so many
    `times`. Raises ProgramError where the program ends on the way.
    """
    del capture
    if behind:
        passed = 0
        for event in walk(source, 10.0):
            if isinstance(event, Arrival):
                passed += 1
                if passed == behind:
                    break
        else:
            raise ProgramError("the program ended before it came to where it was to be followed.")
    offset = source.inferior.load_offset
    instruction = code.at(store) if store is not None else None
    access = instruction.store if instruction is not None else None
    left = times

    def is_enough(registers: dict[str, int]) -> bool:
        nonlocal left
        assert access is not None
        begin = access.address({**registers, "rip": offset, "none": 0})
        if begin < span.stop and span.start < begin + access.size:
            left -= 1
        return left <= 0

    steps = follow(
        source.inferior,
        {address + offset for address in until},
        _MOST_INSTRUCTIONS,
        seconds,
        None if access is None or store is None else store + offset,
        is_enough,
    )
    return Trace(steps, code, offset)


class Clock:
    """What is left of the time that a search may take."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, not less than a little."""
        return max(0.2, self._deadline - time.monotonic())


__all__ = ["Clock", "Places", "trace_interval"]
