"""What `import nndbg` offers: open a program, or check it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from os import PathLike
from pathlib import Path

from nndbg.compare import Mode
from nndbg.elf import read_executable
from nndbg.errors import UsageError
from nndbg.hunt import check_steps
from nndbg.inferior import LiveSource
from nndbg.layermap import MAIN_PHASE, load_map
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
    timeout: float = DEFAULT_TIMEOUT,
) -> Session:
    """Return a session of `program` under GDB; nothing runs before the first call on it.

    `map` is the layer map, or None for the one in the executable; `phase` the kind of step to
    follow; `timeout` how many seconds the program may take from one boundary to the next. Raises
    UsageError or MapError.
    """
    if Mode.TRAJECTORY in modes:
        raise UsageError("a session judges op by op: follow a trajectory with check().")
    placed = load_map(read_executable(Path(program)), None if map is None else Path(map), phase)
    return Session(LiveSource(placed, arguments, timeout), modes)


def check(
    program: StrPath = "./mnist",
    *,
    steps: range = range(3),
    map: StrPath | None = None,
    phase: str = MAIN_PHASE,
    arguments: Sequence[str] = (),
    modes: Collection[Mode] = (Mode.LOCAL,),
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
        timeout=timeout,
    ) as session:
        return follow_steps(session, steps) if side_by_side else check_steps(session, steps)
