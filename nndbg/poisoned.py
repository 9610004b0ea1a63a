"""Runs a step again with poison, and tells what comes out otherwise than without."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nndbg.compare import Verdict
from nndbg.errors import ProgramError
from nndbg.finding import Audit, Finding, Level
from nndbg.ledger import Observation
from nndbg.poison import findings
from nndbg.session import Session


def run_poisoned(
    session: Session, step: int, verdicts: Iterable[Verdict], error: str | None
) -> tuple[Finding, ...]:
    """Start `session` again, with poison, at `step`, and return what the poison tells.

    `verdicts` are those of the run without, and stay the ones that count: what was right there is
    only worth a note. `error` is what ended that run early. Raises GdbError.
    """
    clean = {
        (v.subject.op, v.subject.buffer): v.status
        for v in sorted(verdicts, key=lambda verdict: verdict.status.is_wrong)
        if v.subject.step == step
    }
    observations: list[Observation] = []
    stopped: tuple[Finding, ...] = ()
    with np.errstate(all="ignore"):
        try:
            session.start(step, poison=True)
            observations.extend(session.finish_step())
        except ProgramError as problem:
            observations += session.abandon_step()
            stopped = _stopped(session, step, problem) if error is None else ()
    return (*findings(session.layer_map, observations, clean), *stopped)


def _stopped(session: Session, step: int, error: ProgramError) -> tuple[Finding, ...]:
    """Return the note that the program did not get through; it did without poison."""
    assert session.capture is not None
    says = f"with NaNs in what is still to be written, {error}"
    op = session.capture.op or session.layer_map.ops[0].name
    return (Finding(step, op, Audit.POISON, Level.NOTE, says),)
