"""Watches an element where there are neither debug registers nor a decoder: GDB steps and looks."""

from __future__ import annotations

import time

from nndbg.culprit.listing import Listed
from nndbg.culprit.model import Blame, Site, Write
from nndbg.culprit.watch import Arrival, walk
from nndbg.elf import Executable
from nndbg.errors import ProgramError
from nndbg.inferior import LiveSource
from nndbg.inferior.process import Inferior
from nndbg.places import Place, Places

# Both the size of every instruction of AArch64 and how far before its return address a call is.
_INSTRUCTION = 4
_SECONDS = 60.0
_MOST_FRAMES = 8


def stepped_writes(
    source: LiveSource, place: Place, step: int, until: str, timeout: float
) -> Blame:
    """Return who changed an element in the interval of the op `until`, on AArch64.

    The interval begins at the boundary before that op's. GDB notices changes only: an element that
    the op is to write without reading it is filled with ones first. Raises UsageError for an
    element that the step does not have.
    """
    before = _boundaries_before(source, step, until, timeout)
    capture = source.start(step)
    places, inferior = Places(source.layer_map, capture), source.inferior
    address, width = places.address(place), places.width(place.buffer)
    passed = 0
    for event in walk(source, timeout) if before else ():
        passed += isinstance(event, Arrival)
        if passed == before:
            break

    def value() -> float | int:
        return places.value(place.buffer, bytes(inferior.memory.read(address, width)))

    writes: list[Write] = []
    notes: list[str] = []
    last = value()
    if _is_only_written(source, place, until):
        inferior.memory.write(address, b"\xff" * width)
    else:
        notes.append("a write of the same value again is not seen")
    inferior.watch_by_stepping(address, width)
    deadline = time.monotonic() + _SECONDS
    try:
        for event in walk(source, min(timeout, _SECONDS)):
            if isinstance(event, Arrival):
                if event.begins_step or until in event.ops:
                    break
                continue
            now = value()
            writes.append(_write(inferior, event.address, until, last, now))
            last = now
            if time.monotonic() > deadline:
                notes.append("cut short: there is too much to follow before the op is done")
                break
    except ProgramError:
        notes.append("cut short: stepping through the op takes too long")
    return Blame(
        element=str(place),
        step=step,
        op=until,
        writes=tuple(writes),
        reads=0,
        means=f"GDB stepping from the boundary before {until} on",
        value=last,
        notes=tuple(notes),
    )


def _is_only_written(source: LiveSource, place: Place, until: str) -> bool:
    op = source.layer_map.op(until)
    return (
        op is not None
        and place.buffer in op.outputs.values()
        and place.buffer not in op.inputs.values()
    )


def _boundaries_before(source: LiveSource, step: int, until: str, timeout: float) -> int:
    """Return how many boundaries the step comes by before `until` is done."""
    source.start(step)
    passed = 0
    for event in walk(source, timeout):
        if isinstance(event, Arrival):
            if until in event.ops:
                return passed
            if event.begins_step:
                break
            passed += 1
    raise ProgramError(f"{until} is not complete in step {step}.")


def _write(
    inferior: Inferior, behind: int, op: str, before: float | int, after: float | int
) -> Write:
    """Return the write of the instruction before `behind`; no store of AArch64 is a branch."""
    here = _site(inferior, behind - _INSTRUCTION)
    callers = inferior.return_addresses(_MOST_FRAMES)[1:]
    chain = (_site(inferior, back - _INSTRUCTION) for back in callers)
    known = tuple(call for call in chain if _is_ours(inferior.executable, call))
    return Write(here, op, before, after, register="", lane=None, chain=known)


def _is_ours(executable: Executable, call: Site) -> bool:
    """Whether a call is in the program's own source; in the C library no network is trained."""
    return call.file is not None or not executable.has_lines


def listed_site(executable: Executable, line: Listed) -> Site:
    """Return where an instruction is found."""
    function, source = executable.function_at(line.address), executable.line_at(line.address)
    return Site(
        address=line.address,
        function=function.name if function else "?",
        file=source.file if source else None,
        line=source.line if source else None,
        instruction=line.text,
    )


def _site(inferior: Inferior, address: int) -> Site:
    return listed_site(inferior.executable, Listed(address, inferior.disassembled(address)))
