"""What `import nndbg` offers: open a program, check it, ask who wrote a number."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from os import PathLike
from pathlib import Path

from nndbg.compare import Mode
from nndbg.culprit import Blame, parse_place, writes_of
from nndbg.elf import read_executable
from nndbg.hunt import check_steps
from nndbg.inferior import LiveSource
from nndbg.layermap import MAIN_PHASE, load_map
from nndbg.report import Report
from nndbg.session import Session

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

    Raises UsageError or MapError before anything runs; a program that fails is in the report.
    """
    with open(
        program, map=map, phase=phase, arguments=arguments, modes=modes, timeout=timeout
    ) as session:
        return check_steps(session, steps)


def blame(
    program: StrPath,
    element: str,
    *,
    step: int = 0,
    op: str | None = None,
    map: StrPath | None = None,
    phase: str = MAIN_PHASE,
    arguments: Sequence[str] = (),
    timeout: float = DEFAULT_TIMEOUT,
    debug_registers: bool = True,
) -> Blame:
    """Return who wrote `element`, such as `z1[3,17]`, in `step` until `op` was done.

    Without an `op` it is the first that has the buffer as an output. Where `debug_registers` is
    false, or the machine has none, the program's stores are watched by breakpoints. Raises
    UsageError or MapError, ProgramError and GdbError.
    """
    placed = load_map(read_executable(Path(program)), None if map is None else Path(map), phase)
    source = LiveSource(placed, arguments, timeout)
    with closing(source):
        place = parse_place(element, placed.layer_map)
        return writes_of(source, place, step, op, timeout, debug_registers)
