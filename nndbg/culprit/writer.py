"""Who wrote a wrong output last, where its instructions cannot be followed back."""

from __future__ import annotations

import numpy as np

from nndbg.compare import Verdict
from nndbg.culprit.model import Blame
from nndbg.culprit.stepped import stepped_writes
from nndbg.culprit.watch import end_of_watch, writes_of
from nndbg.diagnose import Evidence
from nndbg.elf import Machine
from nndbg.errors import GdbError, ProgramError
from nndbg.inferior import LiveSource
from nndbg.places import Place
from nndbg.report.model import Culprit, Suspect

_MOST_CALLS = 4


def accuse_writer(
    source: LiveSource, verdict: Verdict, evidence: Evidence | None, timeout: float
) -> Culprit | None:
    """Return who wrote the first wrong element last, then the calls that led there.

    None where nothing wrote it, or the program cannot be run again. Runs the program again, with
    `source`, which it owns from then on and closes.
    """
    index = _first_wrong(verdict, evidence)
    if index is None:
        return None
    place = Place(verdict.subject.buffer, index)
    try:
        found = last_writes(source, place, verdict.subject.step, verdict.subject.op, timeout)
    except (ProgramError, GdbError):
        return None
    finally:
        source.close()
    own = [write for write in found.writes if write.op == verdict.subject.op]
    if not own:
        return None
    last = own[-1]
    says = f"writes {place} last: {last.before:.9g} becomes {last.after:.9g}"
    sites = [(last.site, says)] + [(call, f"calls what writes {place}") for call in last.chain]
    suspects = [
        Suspect(where.address, where.function, where.file, where.line, where.instruction, why)
        for where, why in sites[: 1 + _MOST_CALLS]
    ]
    note = (
        "who wrote the number last; only x86-64 programs on this machine are followed back further"
    )
    return Culprit(str(place), tuple(suspects), (note, *found.notes))


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


def _first_wrong(verdict: Verdict, evidence: Evidence | None) -> tuple[int, ...] | None:
    if evidence is not None and evidence.bad.any():
        return tuple(int(i) for i in np.argwhere(evidence.bad)[0])
    return verdict.worst.index if verdict.worst is not None else None
