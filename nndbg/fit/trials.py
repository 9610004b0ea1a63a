"""What a run showed, and how ops that a map may have agree with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nndbg.compare import Mode, Status
from nndbg.errors import MapError, ProgramError
from nndbg.layermap import LayerMap, Op, parse_map
from nndbg.ledger import StepRecord, judge_record


@dataclass(frozen=True, eq=False)
class Run:
    """The steps of one phase as they were captured."""

    phase: str
    records: tuple[StepRecord, ...]

    def reached(self) -> dict[str, int]:
        """Return the ops that were complete in any step, with their place in the first such."""
        found: dict[str, int] = {}
        for record in self.records:
            for place, capture in enumerate(record.done):
                found.setdefault(str(capture.op), place)
        return found


@dataclass(frozen=True)
class Result:
    """Whether an op agreed in every step; `says` is the first thing that was wrong."""

    agrees: bool
    says: str = ""


class Trials:
    """Tries ops against runs; `head` is the text of a map without its ops."""

    def __init__(self, head: str, origin: str, scripts: Path | None) -> None:
        self._head = head
        self._origin = origin
        self._scripts = scripts
        # The map of a phase with any one of its ops.
        self._maps: dict[str, LayerMap] = {}
        self._ops: dict[tuple[str, str], Op | None] = {}

    def op(self, text: str, phase: str) -> Op | None:
        """Return the op that a [[ops]] table describes, None where it cannot be meant."""
        if (text, phase) not in self._ops:
            self._ops[text, phase] = None
            with suppress(MapError):
                layer_map = parse_map(self._head + text, self._origin, phase, self._scripts)
                self._maps.setdefault(phase, layer_map)
                self._ops[text, phase] = layer_map.ops[0]
        return self._ops[text, phase]

    def judge(
        self, run: Run, ops: Sequence[Op], done: Mapping[str, str] | None = None
    ) -> dict[str, Result]:
        """Return how each of `ops`, in the order of a map, agrees with a run.

        Each is judged with the inputs that the program had, so what one is does not change what is
        said of another. `done` names, for an op, the one at whose boundary it is taken to be.
        """
        if not ops:
            return {}
        layer_map = self._maps[run.phase]
        layer_map = replace(layer_map, phase=replace(layer_map.phase, ops=tuple(ops)))
        found: dict[str, Result] = {}
        for record in run.records:
            moved = moved_to(record, done or {}, {op.name for op in ops})
            with suppress(ProgramError), np.errstate(all="ignore"):
                for observation in judge_record(layer_map, moved, (Mode.LOCAL,), writes=False):
                    wrong = next(
                        (v for v in observation.verdicts if v.status is not Status.AGREE), None
                    )
                    name = observation.op.name
                    known = found.get(name, Result(True))
                    if wrong is not None and known.agrees:
                        known = Result(False, f"{wrong.status} in step {observation.step}")
                    found[name] = known
        return found


AGREES = Result(True)


def moved_to(record: StepRecord, done: Mapping[str, str], ops: Collection[str]) -> StepRecord:
    """Return a step as if some ops were complete where others are, of these ops alone."""
    captures = []
    for capture in record.done:
        if capture.op in ops and capture.op not in done:
            captures.append(capture)
        captures += [replace(capture, op=op) for op, at in done.items() if at == capture.op]
    return replace(record, done=tuple(captures))
