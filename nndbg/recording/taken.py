"""Takes down one step of a session that stands somewhere, and brings it back there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from nndbg.errors import GdbError, ProgramError, UsageError
from nndbg.recording.tee import Tee
from nndbg.recording.writer import Recorder
from nndbg.session import Session


def record_step(session: Session, step: int, path: Path) -> bool:
    """Run `step` again, with all its ops, into a recording at `path`, and go back to this stop.

    Where the program fails in the step, that is recorded, and is no error. Returns true. Raises
    UsageError where the session repairs, has no stop to come back to, or the file cannot be
    written, and ProgramError where the program does not come by the stop again.
    """
    if session.heals:
        raise UsageError("what is repaired is not recorded: stop repairing first.")
    here = session.here
    with (
        Recorder(path, session.layer_map, session.executable) as recorder,
        session.tapped(lambda source: Tee(source, recorder)),
        # A failure is in the recording.
        suppress(ProgramError, GdbError),
    ):
        session.start(step)
        for _ in session.finish_step():
            pass
    if session.is_between_stops or session.here != here:
        session.rewind(here)
    return True
