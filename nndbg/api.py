"""What `import nndbg` offers: open a program, or check it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from os import PathLike
from pathlib import Path

from nndbg.bisection import bisect_steps
from nndbg.compare import Mode
from nndbg.elf import read_executable
from nndbg.errors import UsageError
from nndbg.finding import ALL_AUDITS, Audit
from nndbg.hunt import check_steps
from nndbg.inferior import LiveSource
from nndbg.layermap import MAIN_PHASE, load_map
from nndbg.memory import keep_freed_memory
from nndbg.report import Report
from nndbg.session import Session
from nndbg.trajectory import follow_steps

StrPath = str | PathLike[str]

DEFAULT_TIMEOUT = 30.0


def open(
    program: StrPath = "./mnist",
    *,
    map: StrPath | None = None,
    phase: str = MAIN_PHASE,
    arguments: Sequence[str] = (),
    modes: Collection[Mode] = (Mode.LOCAL,),
    audits: Collection[Audit] = ALL_AUDITS,
    timeout: float = DEFAULT_TIMEOUT,
) -> Session:
    """Return a session of `program` under GDB; nothing runs before the first call on it.

    `map` is the layer map, or None for the one in the executable; `phase` the kind of step to
    follow; `audits` what to look into besides the numbers; `timeout` how many seconds the program
    may take from one boundary to the next. Raises UsageError or MapError.
    """
    keep_freed_memory()
    placed = load_map(read_executable(Path(program)), None if map is None else Path(map), phase)
    return Session(LiveSource(placed, arguments, timeout, audits=audits), modes, audits)


def check(
    program: StrPath = "./mnist",
    *,
    steps: range = range(3),
    map: StrPath | None = None,
    phase: str = MAIN_PHASE,
    arguments: Sequence[str] = (),
    modes: Collection[Mode] = (Mode.LOCAL,),
    audits: Collection[Audit] = ALL_AUDITS,
    timeout: float = DEFAULT_TIMEOUT,
) -> Report:
    """Check every op of `steps` and return the report, true where all agrees.

    With the mode TRAJECTORY, which goes alone, the reference trains beside the program. Raises
    UsageError or MapError before anything runs; a program that fails is in the report.
    """
    side_by_side = Mode.TRAJECTORY in modes
    if side_by_side and len(modes) > 1:
        raise UsageError("a trajectory goes alone: give the mode TRAJECTORY and no other.")
    with open(
        program,
        map=map,
        phase=phase,
        arguments=arguments,
        modes=(Mode.LOCAL,) if side_by_side else modes,
        audits=audits,
        timeout=timeout,
    ) as session:
        return follow_steps(session, steps) if side_by_side else check_steps(session, steps)


def bisect(
    program: StrPath = "./mnist",
    *,
    steps: range,
    map: StrPath | None = None,
    phase: str = MAIN_PHASE,
    arguments: Sequence[str] = (),
    modes: Collection[Mode] = (Mode.LOCAL,),
    timeout: float = DEFAULT_TIMEOUT,
) -> Report:
    """Find a wrong step of `steps` after a right one, and return its report; see bisect_steps.

    Raises UsageError or MapError before anything runs; a program that fails is in the report.
    """
    with open(
        program,
        map=map,
        phase=phase,
        arguments=arguments,
        modes=modes,
        audits=ALL_AUDITS - {Audit.POISON},
        timeout=timeout,
    ) as session:
        return bisect_steps(session, steps)
