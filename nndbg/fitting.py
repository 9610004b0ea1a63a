"""Fits a layer map to a program: runs a few steps of each phase, and tries what they can mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nndbg.elf import read_executable
from nndbg.errors import ProgramError
from nndbg.fit import Fit, Run, Tell, fit_map, read_document, tell_nobody
from nndbg.inferior import LiveSource
from nndbg.layermap import load_map
from nndbg.session import Session

# A gradient that is added to is zero in the first step, and so no different from one that is not.
STEPS = 3


def fit_program(
    program: Path,
    map_file: Path,
    arguments: Sequence[str] = (),
    timeout: float = 30.0,
    steps: int = STEPS,
    tell: Tell = tell_nobody,
) -> Fit:
    """Return the map at `map_file` as it fits the first `steps` of each phase of `program`.

    `tell` hears how far it has come. Raises MapError where the map cannot be read, ProgramError
    where no phase could be run.
    """
    runs = run_phases(program, map_file, arguments, timeout, steps, tell)
    document = read_document(map_file.read_text(encoding="utf-8"))
    return fit_map(document, runs, str(map_file), map_file.parent, tell=tell)


def run_phases(
    program: Path,
    map_file: Path,
    arguments: Sequence[str] = (),
    timeout: float = 30.0,
    steps: int = STEPS,
    tell: Tell = tell_nobody,
) -> list[Run]:
    """Return the first steps of each phase that the program comes to, as they were captured."""
    executable = read_executable(program)
    runs: list[Run] = []
    problem = ProgramError(f"{map_file}: it has no op to fit.")
    phases = load_map(executable, map_file).layer_map.phases
    for number, phase in enumerate(phases):
        tell(f"running phase {phase}", number, len(phases))
        placed = load_map(executable, map_file, phase)
        if not placed.layer_map.ops:
            continue
        records = []
        with Session(LiveSource(placed, arguments, timeout)) as session:
            try:
                for step in range(steps):
                    session.go_to(step)
                    records.append(session.record_step())
                    if records[-1].failure is not None or session.has_ended:
                        break
            except ProgramError as error:
                problem = error
        if records:
            runs.append(Run(phase, tuple(records)))
    if not runs:
        raise problem
    return runs
