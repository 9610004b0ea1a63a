"""Who wrote a wrong output last, where its instructions cannot be followed back."""

from __future__ import annotations

import numpy as np

from nndbg.compare import Verdict
from nndbg.culprit.listing import Listed, makers
from nndbg.culprit.model import Blame, Site
from nndbg.culprit.stepped import listed_site, stepped_writes
from nndbg.culprit.watch import end_of_watch, writes_of
from nndbg.elf import Machine
from nndbg.errors import GdbError, ProgramError
from nndbg.inferior import LiveSource
from nndbg.inferior.process import Inferior
from nndbg.ledger import Observation
from nndbg.places import Place
from nndbg.report.model import Culprit, Suspect

_MOST = 5
# How much of a long function is looked at, in bytes.
_LONGEST = 2048


def accuse_writer(
    source: LiveSource, verdict: Verdict, observation: Observation, timeout: float
) -> Culprit | None:
    """Return who wrote the first wrong element last, and the calls that led there.

    On AArch64 what made the number comes first, as far as the listing shows it. None where nothing
    wrote the element, or the program cannot be run again. Runs the program again, with `source`,
    which it owns from then on and closes.
    """
    index = _first_wrong(verdict, observation)
    if index is None:
        return None
    place = Place(verdict.subject.buffer, index)
    try:
        found = last_writes(source, place, verdict.subject.step, verdict.subject.op, timeout)
        own = [write for write in found.writes if write.op == verdict.subject.op]
        if not own:
            return None
        made = _made(source.inferior, own[-1].site)
    except (ProgramError, GdbError):
        return None
    finally:
        source.close()
    last = own[-1]
    calls = [(call, f"calls what writes {place}") for call in last.chain]
    sites = [*made, (last.site, f"writes {place} last"), *calls]
    suspects = [
        Suspect(where.address, where.function, where.file, where.line, where.instruction, why)
        for where, why in sites[:_MOST]
    ]
    written = f"`{last.site.instruction}` at {last.site.place} wrote {place} last"
    note = f"{written}; only {Machine.X86_64} programs on this machine are followed back further"
    return Culprit(str(place), tuple(suspects), (note, *found.notes))


def _made(inferior: Inferior, store: Site) -> list[tuple[Site, str]]:
    """Return what made the number that `store` wrote, by the listing of its function."""
    executable = inferior.executable
    function = executable.function_at(store.address)
    if executable.machine is not Machine.AARCH64 or function is None:
        return []
    start = max(function.address, store.address - _LONGEST)
    listing = [Listed(*line) for line in inferior.listing(start, store.address + 1)]
    if not listing or listing[-1].address != store.address:
        return []
    return [(listed_site(executable, line), says) for line, says in makers(listing)]


def last_writes(
    source: LiveSource,
    place: Place,
    step: int,
    op: str | None,
    timeout: float,
    debug_registers: bool = True,
) -> Blame:
    """Return who wrote an element before `op` was done, by what means its machine has.

    Without an `op` it is the first of the step that has the buffer as an output. Raises UsageError
    where there is no such op or element.
    """
    if source.executable.machine is Machine.X86_64:
        return writes_of(source, place, step, op, timeout, debug_registers)
    return stepped_writes(source, place, step, end_of_watch(source, place, step, op), timeout)


def _first_wrong(verdict: Verdict, observation: Observation) -> tuple[int, ...] | None:
    buffer = verdict.subject.buffer
    evidence = observation.evidence.get(buffer) if buffer in observation.expected else None
    if evidence is not None and evidence.bad.any():
        return tuple(int(i) for i in np.argwhere(evidence.bad)[0])
    return verdict.worst.index if verdict.worst is not None else None
