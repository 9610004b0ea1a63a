"""What `import nndbg` offers: open a program, check it, ask who wrote a number."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import replace
from os import PathLike
from pathlib import Path

from nndbg.bisection import bisect_steps
from nndbg.compare import Mode, Verdict
from nndbg.culprit import Blame, accuse, accuse_writer, last_writes, parse_place
from nndbg.elf import read_executable
from nndbg.errors import UsageError
from nndbg.finding import ALL_AUDITS, Audit
from nndbg.healing import heal_steps
from nndbg.hunt import Accuse, check_steps
from nndbg.inferior import LiveSource
from nndbg.layermap import MAIN_PHASE, load_map
from nndbg.ledger import Observation
from nndbg.memory import keep_freed_memory
from nndbg.recording import RecordedSource
from nndbg.report import Culprit, Report
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
    remote: str | None = None,
) -> Session:
    """Return a session of `program` under GDB; nothing runs before the first call on it.

    `map` is the layer map, or None for the one in the executable; `phase` the kind of step to
    follow; `audits` what to look into besides the numbers; `timeout` how many seconds the program
    may take from one boundary to the next; `remote` the HOST:PORT of a GDB server that has the
    program. Raises UsageError or MapError.
    """
    if Mode.TRAJECTORY in modes:
        raise UsageError("a session judges op by op: follow a trajectory with check().")
    keep_freed_memory()
    placed = load_map(read_executable(Path(program)), None if map is None else Path(map), phase)
    return Session(
        LiveSource(placed, arguments, timeout, audits=audits, remote=remote), modes, audits
    )


def replay(recording: StrPath, *, modes: Collection[Mode] = (Mode.LOCAL,)) -> Session:
    """Return a session of a recorded run, which needs neither GDB nor the program.

    It begins at any step that the file holds. Raises UsageError when it is no recording that can be
    read.
    """
    return Session(RecordedSource(Path(recording)), modes, ALL_AUDITS - {Audit.POISON})


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
    remote: str | None = None,
    culprit: bool = True,
    heal: Sequence[str] = (),
) -> Report:
    """Check every op of `steps` and return the report, true where all agrees.

    The program is run again to find who made the first wrong number, unless `culprit` is false.
    `heal` names ops that are repaired where they are complete, or is ("auto",) to find out which
    have to be; see heal_steps. With the mode TRAJECTORY, which goes alone, the reference trains
    beside the program. Raises UsageError or MapError before anything runs; a program that fails is
    in the report.
    """
    side_by_side = Mode.TRAJECTORY in modes
    if side_by_side and len(modes) > 1:
        raise UsageError("a trajectory goes alone: give the mode TRAJECTORY and no other.")
    if side_by_side and heal:
        raise UsageError("a trajectory is not healed: leave out one of the two.")
    with open(
        program,
        map=map,
        phase=phase,
        arguments=arguments,
        modes=(Mode.LOCAL,) if side_by_side else modes,
        audits=audits,
        timeout=timeout,
        remote=remote,
    ) as session:
        if side_by_side:
            return follow_steps(session, steps)
        accused = None
        if culprit:
            accused = accuser(
                session, map=map, phase=phase, arguments=arguments, timeout=timeout, remote=remote
            )
        if heal:
            return heal_steps(session, steps, heal, accuse=accused)
        return with_limits(session, check_steps(session, steps, accuse=accused))


def with_limits(session: Session, report: Report) -> Report:
    """Return a report that says what could not be looked into in this program."""
    left_out = session.source.left_out if isinstance(session.source, LiveSource) else ""
    return replace(report, says=f"{report.says} {left_out}".strip()) if left_out else report


def bisect(
    program: StrPath = "./mnist",
    *,
    steps: range,
    map: StrPath | None = None,
    phase: str = MAIN_PHASE,
    arguments: Sequence[str] = (),
    modes: Collection[Mode] = (Mode.LOCAL,),
    timeout: float = DEFAULT_TIMEOUT,
    remote: str | None = None,
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
        remote=remote,
    ) as session:
        return bisect_steps(session, steps)


def accuser(
    session: Session,
    *,
    map: StrPath | None = None,
    phase: str = MAIN_PHASE,
    arguments: Sequence[str] = (),
    timeout: float = DEFAULT_TIMEOUT,
    remote: str | None = None,
) -> Accuse:
    """Return what finds the culprit of a wrong output, by running the session's program again."""

    def search(verdict: Verdict, observation: Observation) -> Culprit | None:
        if session.executable is None:
            return None
        placed = load_map(session.executable, None if map is None else Path(map), phase)
        source = LiveSource(placed, arguments, timeout, remote=remote)
        search_with = accuse if source.is_followed else accuse_writer
        return search_with(source, verdict, observation, timeout)

    return search


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
    remote: str | None = None,
    debug_registers: bool = True,
) -> Blame:
    """Return who wrote `element`, such as `z1[3,17]`, in `step` until `op` was done.

    Without an `op` it is the first that has the buffer as an output. Where `debug_registers` is
    false, or the machine has none, the program's stores are watched by breakpoints. Raises
    UsageError or MapError, ProgramError and GdbError.
    """
    placed = load_map(read_executable(Path(program)), None if map is None else Path(map), phase)
    source = LiveSource(placed, arguments, timeout, remote=remote)
    with closing(source):
        place = parse_place(element, placed.layer_map)
        return last_writes(source, place, step, op, timeout, debug_registers)
