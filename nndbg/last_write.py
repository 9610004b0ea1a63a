"""Goes back to before the last write of an element: watches it in this step, or in earlier ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nndbg.elf import Machine
from nndbg.errors import GdbError, NndbgError, ProgramError, UsageError
from nndbg.inferior import LiveSource
from nndbg.ledger import Observation
from nndbg.places import Place, Places, parse_place
from nndbg.session import Session
from nndbg.trail import Stop

if TYPE_CHECKING:
    from nndbg.culprit import Write

# How many steps are searched for the write.
_STEPS = 3


@dataclass(frozen=True, eq=False)
class LastWrite:
    """The last write of an element before a stop, in `step`; the session is at the stop before it.

    `observations` are the ops of that step which are judged by then.
    """

    element: str
    step: int
    write: Write
    observations: tuple[Observation, ...]


def back_to_write(
    session: Session, element: str, timeout: float = 30.0, debug_registers: bool = True
) -> LastWrite:
    """Go back to the last stop before `element`, such as `z1[3,17]`, got the value it has here.

    The next op from there writes it. Three steps are searched, this one first. Where no write is
    found the session stays where it is; where the program has run on from its last stop, that is
    where it stands then. `timeout` and `debug_registers` are as for `blame`. Raises UsageError for
    an element that is not there or was not written, and ProgramError as `Session.back` does.
    """
    source = session.source
    if not isinstance(source, LiveSource):
        raise UsageError("a write can only be searched for in a program that runs under GDB.")
    if source.executable.machine is not Machine.X86_64:
        raise UsageError(
            f"this program is built for {source.executable.machine}, of which nndbg decodes no "
            "instructions: `nndbg blame` tells who wrote the element in one op."
        )
    here, capture = session.here, session.capture
    assert capture is not None
    place = parse_place(element, session.layer_map)
    if place.buffer not in capture.flat:
        raise UsageError(f"{place.buffer} is constant, or its pointer is null: nothing writes it.")
    Places(session.layer_map, capture).address(place)
    try:
        step, write, ops = _search(source, place, here, capture.op, timeout, debug_registers)
        _confirm(place, write, session[place.buffer][place.index])
        target = session.stop_before(step, *ops)
    except NndbgError:
        if session.capture is not None:
            session.rewind(here)
        raise
    return LastWrite(str(place), step, write, session.rewind(target))


def _search(
    source: LiveSource,
    place: Place,
    here: Stop,
    op: str | None,
    timeout: float,
    debug_registers: bool,
) -> tuple[int, Write, tuple[str, ...]]:
    """Return the last write before a stop where `op` is complete, its step, and where it ends.

    That is the boundary of these ops; none where it is the beginning of the next step.
    """
    latest = here.step if op is not None else here.step - 1
    if latest < 0:
        raise UsageError("step 0 begins here, and no stop comes before it.")
    earliest = max(0, latest - _STEPS + 1)
    for step in range(latest, earliest - 1, -1):
        until = op if step == here.step else None
        try:
            found = _last(source, place, step, until, timeout, debug_registers)
        except GdbError:
            if not debug_registers:
                raise
            debug_registers = False
            found = _last(source, place, step, until, timeout, debug_registers)
        if found is not None:
            return step, *found
    searched = f"step {latest}" if latest == earliest else f"steps {earliest} to {latest}"
    raise UsageError(f"no instruction wrote {place} in {searched}: go to an earlier step first.")


def _last(
    source: LiveSource,
    place: Place,
    step: int,
    until: str | None,
    timeout: float,
    debug_registers: bool,
) -> tuple[Write, tuple[str, ...]] | None:
    """Return the last write in `step` until an op is done, or until the next step begins."""
    from nndbg.culprit.watch import Watch  # noqa: PLC0415 - the screen is up sooner without

    watch = Watch(source, step, place, until, timeout, debug_registers)
    watch.follow()
    last = watch.arrivals[-1] if watch.arrivals else None
    if last is None or not (last.begins_step if until is None else until in last.ops):
        end = f"{until} was complete" if until else "the next one began"
        raise ProgramError(f"{place} could not be followed through step {step} until {end}.")
    if not watch.writes:
        return None
    write = watch.writes[-1]
    if write.op is None:
        return write, ()
    places = [arrival.ops for arrival in watch.arrivals if write.op in arrival.ops]
    if len(places) > 1:
        raise UsageError(
            f"{place} was written last at {write.site.place}, before a boundary of {write.op} that "
            f"step {step} passes {len(places)} times: it cannot be told before which of them."
        )
    return write, places[0]


def _confirm(place: Place, write: Write, value: float | int) -> None:
    """Raise ProgramError where the element holds something else than what was written last."""
    if value != write.after and not (math.isnan(value) and math.isnan(write.after)):
        raise ProgramError(
            f"{place} holds {value:.9g}, and {write.after:.9g} was written last, at "
            f"{write.site.place}. What came after was no instruction of the program, as when a "
            "system call writes it; or the program is not deterministic."
        )
