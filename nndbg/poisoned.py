"""Runs a step again with poison, and tells what comes out otherwise than without."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from nndbg.capture import Capture, Flat
from nndbg.compare import Verdict, bits
from nndbg.errors import ProgramError
from nndbg.finding import Audit, Finding, Level
from nndbg.layermap import LayerMap
from nndbg.ledger import Observation
from nndbg.poison import findings
from nndbg.session import Session

# What each op left in its outputs, by op and buffer.
Outputs = Mapping[tuple[str, str], Flat]


def outputs(layer_map: LayerMap, observations: Iterable[Observation]) -> Outputs:
    """Return copies of what the ops of a step made, to compare with when it is run again."""
    return {
        (o.op.name, name): o.capture.shaped(layer_map.buffers[name]).copy()
        for o in observations
        if o.expected
        for name in o.op.outputs.values()
    }


def run_poisoned(
    session: Session,
    step: int,
    verdicts: Iterable[Verdict],
    made: Outputs,
    error: str | None,
) -> tuple[Finding, ...]:
    """Start `session` again, with poison, at `step`, and return what the poison tells.

    `verdicts` are those of the run without, and stay the ones that count: what was right there is
    only worth a note. `made` is what the ops left in that run; where they leave the same again,
    nothing is judged. `error` is what ended that run early. Raises GdbError.
    """
    try:
        session.start(step, poison=True)
    except ProgramError as problem:
        return _stopped(session, step, problem) if error is None else ()
    record = session.record_step()
    stopped: tuple[Finding, ...] = ()
    if record.failure is not None and error is None:
        stopped = _stopped(session, step, record.failure)
    if all(_is_same(session.layer_map, capture, made) for capture in record.done):
        return stopped
    clean = {
        (v.subject.op, v.subject.buffer): v.status
        for v in sorted(verdicts, key=lambda verdict: verdict.status.is_wrong)
        if v.subject.step == step
    }
    # What comes after the step's last complete op is none of the poison's business.
    with np.errstate(all="ignore"):
        observations = tuple(session.judge(replace(record, end=None)))
        found = findings(session.layer_map, observations, clean)
    return (*found, *stopped)


def _is_same(layer_map: LayerMap, capture: Capture, made: Outputs) -> bool:
    op = layer_map.op(capture.op or "")
    if capture.unwritten or op is None:
        return False
    for name in op.outputs.values():
        before = made.get((op.name, name))
        now = capture.shaped(layer_map.buffers[name])
        if before is None or not np.array_equal(bits(before), bits(now)):
            return False
    return True


def _stopped(session: Session, step: int, error: ProgramError) -> tuple[Finding, ...]:
    """Return the note that the program did not get through; it did without poison."""
    assert session.capture is not None
    says = f"with NaNs in what is still to be written, {error}"
    op = session.capture.op or session.layer_map.ops[0].name
    return (Finding(step, op, Audit.POISON, Level.NOTE, says),)
