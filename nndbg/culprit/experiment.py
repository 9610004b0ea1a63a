"""Finds the instruction whose smallest change makes an op right, by trying.

The reference is an oracle for every element of the op's outputs, and a run of the op in a copy of
the program takes less than a millisecond: so changes are not argued about, they are made.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from iced_x86 import Instruction

from nndbg.compare import Verdict
from nndbg.culprit.amendments.coding import Change
from nndbg.culprit.amendments.patch import Patch
from nndbg.culprit.amendments.repeats import together
from nndbg.culprit.amendments.tiers import TIERS
from nndbg.culprit.beside import beside
from nndbg.culprit.code import Code, settings
from nndbg.culprit.stage import Stage, prepare
from nndbg.culprit.trials import Trials
from nndbg.decode import Disassembly
from nndbg.diagnose import Evidence
from nndbg.inferior import LiveSource
from nndbg.ledger import Observation

_LEAST, _TIMES, _UNKNOWN = 0.012, 5.0, 0.06
# What is added to the cost of a change that leaves out more of what ran than this.
_MOST_LOST = 3
_BYPASS = 4.0
# Code that other ops ran through before, and came out right.
_EXONERATED = 0.7
_MOST_LOOKED_AT = 24
# A change that is right by chance: not with other numbers.
_CHANCE = 3.0
_PASSED_OVER = "; but code that ran before is passed over"
_NOT_OTHERS = "; but not with other numbers in the inputs"
# What part of the wrong elements may be left.
_NEXT_TO_NOTHING = 10
# Instructions around a repair that are tried more closely before it is believed.
_RIVALS = 2
_RIVAL_SECONDS = 0.5
# Repairs of which it is told what stands beside them.
_NEIGHBOURED = 3
# How much further fetched than the best a repair may be to be looked for.
_FURTHER = 0.6


@dataclass(frozen=True)
class Repair:
    """A change with which the op has `wrong` wrong elements; `cost` is how far it is fetched.

    `doubt` says that it goes round code that ran before, or does not hold for other numbers.
    """

    change: Change
    wrong: float
    cost: float
    doubt: str = ""

    @property
    def is_certain(self) -> bool:
        """Whether it makes the op right, and neither by a detour nor by chance."""
        return not self.wrong and not self.doubt

    def is_convincing(self, before: int) -> bool:
        """Whether it leaves next to nothing wrong of so many elements."""
        return self.wrong * _NEXT_TO_NOTHING <= before

    def says(self, verdict: Verdict, before: int, is_output: bool) -> str:
        """Return in a sentence what the change does to the buffer that a verdict is about.

        `before` elements of the op are wrong without it; `is_output` says whose the buffer is.
        """
        buffer = verdict.subject.buffer
        if self.wrong:
            came_of_it = f"{self.wrong:.0f} instead of {before} elements are wrong"
        elif is_output:
            came_of_it = f"all {verdict.checked} elements of {buffer} agree"
        else:
            came_of_it = f"{buffer} stays as it was"
        return f"{self.change.says}, {came_of_it}{self.doubt}"


@dataclass(frozen=True)
class Found:
    """What came of an experiment: repairs, the best first, of an op with so many wrong elements.

    `beside` are instructions that have to do with the best, and what they have.
    """

    repairs: tuple[Repair, ...]
    before: int
    executed: frozenset[int]
    trials: int
    seconds: float
    notes: tuple[str, ...] = ()
    beside: tuple[tuple[int, str], ...] = ()


def experiment(
    source: LiveSource,
    code: Disassembly,
    verdict: Verdict,
    observation: Observation,
    seconds: float,
) -> Found:
    """Run the program to the op, and try changes of its code for so many seconds.

    Raises ProgramError where the program cannot be copied.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        stage = prepare(source, code, verdict, observation, stack)
        if isinstance(stage, str):
            return Found((), 0, frozenset(), 0, time.monotonic() - started, (stage,))
        if not stage.before:
            said = f"{verdict.subject.op} came out right when it was run again"
            return Found((), 0, frozenset(), 0, time.monotonic() - started, (said,))
        search = _Search(stage, verdict, observation, started + seconds)
        repairs = search.run()
        return Found(
            tuple(repairs),
            stage.before,
            frozenset(search.executed),
            stage.trials.count,
            time.monotonic() - started,
            tuple(search.notes),
            tuple(search.beside(repairs)),
        )


class _Search:
    def __init__(
        self, stage: Stage, verdict: Verdict, observation: Observation, deadline: float
    ) -> None:
        self._stage = stage
        self._trials: Trials = stage.trials
        self._code: Code = stage.code
        self._deadline = deadline
        self.notes: list[str] = []
        self._looked_at = 0
        self._trials.limit(max(_LEAST, _TIMES * stage.took) if stage.took else _UNKNOWN)
        self.executed = self._trials.covered()
        self._ran = set(self.executed)
        self._before = stage.exonerated()
        self._settings = settings(
            self._code,
            stage.placed,
            observation.op,
            observation.capture.sizes,
            self.executed,
            self._stage.fixed,
            _ratio(observation.evidence.get(verdict.subject.buffer)),
            stage.pointers(),
        )
        self._places = list(self._amendable())

    def run(self) -> list[Repair]:
        """Return the repairs that were found, the best first."""
        self._full: dict[int, Repair] = {}
        self._partial: list[Repair] = []
        for number in range(len(TIERS) + 1):
            changes = self._tier(number, self._places)
            if self._best < (changes[0].cost if changes else np.inf):
                soon = min(self._deadline, time.monotonic() + _RIVAL_SECONDS)
                self._try(self._tier(number, self._rivals()), soon)
                break
            self._try(changes, self._deadline)
            if time.monotonic() > self._deadline:
                break
        self._partial.sort(key=lambda r: (r.wrong, r.cost))
        return [*self._ordered(), *self._partial]

    def beside(self, repairs: Sequence[Repair]) -> Iterator[tuple[int, str]]:
        """Yield the instructions that have to do with the best repairs, and what they have."""
        for repair in repairs[:_NEIGHBOURED]:
            if not repair.wrong:
                yield from beside(repair.change, self._code, self._ran)

    def _ordered(self) -> list[Repair]:
        """Return the full repairs, the likeliest first.

        What is missing may be missing in several places in a row: the middle is nearest to all.
        """
        same: dict[tuple[int, str], list[Repair]] = {}
        for repair in self._full.values():
            change = repair.change
            alone = (change.address, "") if change.count else (0, change.text)
            same.setdefault(alone, []).append(repair)
        off: dict[int, float] = {}
        for repairs in same.values():
            repairs.sort(key=lambda r: r.change.address)
            for number, repair in enumerate(repairs):
                off[repair.change.address] = abs(number - (len(repairs) - 1) / 2)
        return sorted(
            self._full.values(),
            key=lambda r: (
                r.cost,
                off[r.change.address],
                0 if r.change.count else r.change.address,
            ),
        )

    @property
    def _best(self) -> float:
        return min((repair.cost for repair in self._full.values()), default=np.inf)

    def _try(self, changes: list[Change], deadline: float) -> None:
        """Try changes, the likeliest first, until they are further fetched than what was found."""
        for outcome in self._trials.outcomes(changes, deadline):
            change = outcome.change
            if change.cost > self._best + _FURTHER:
                break
            if outcome.wrong * 2 < self._stage.before and outcome.wrong:
                self._partial.append(Repair(change, outcome.wrong, change.cost))
            known = self._full.get(change.address)
            if (
                not outcome.wrong
                and (known is None or change.cost < known.cost)
                and self._looked_at < _MOST_LOOKED_AT
            ):
                self._looked_at += 1
                repair = self._looked_into(change, outcome.patch)
                if repair is not None and (known is None or repair.cost < known.cost):
                    self._full[change.address] = repair

    def _rivals(self) -> list[tuple[int, int, bool]]:
        """Return the places around the likeliest repairs."""
        likely = {r.change.address for r in self._full.values() if r.cost < self._best + 1}
        sites = [
            (start, at) for start, at, _ in self._places if self._code.body(start)[at].ip in likely
        ]
        return [
            place
            for place in self._places
            if any(place[0] == start and abs(place[1] - at) <= _RIVALS for start, at in sites)
        ]

    def _amendable(self) -> Iterator[tuple[int, int, bool]]:
        """Yield functions and places in them, the last that ran first."""
        for address in reversed(self.executed):
            body = self._code.body(address)
            if not body or not self._code.is_own(address) or address in self._stage.fixed:
                continue
            at = next((n for n, i in enumerate(body) if i.ip == address), None)
            if at is not None:
                yield body[0].ip, at, address in self._before

    def _tier(self, number: int, places: Sequence[tuple[int, int, bool]]) -> list[Change]:
        """Return what may be changed, the likeliest first; code that served others comes later."""
        lines: dict[object, list[tuple[Instruction, list[Change]]]] = {}
        for start, at, served in places:
            if 0 <= number - served < len(TIERS):
                tier, body = TIERS[number - served], self._code.body(start)
                line = self._code.executable.line_at(body[at].ip)
                made = lines.setdefault((line.file, line.line) if line else body[at].ip, [])
                made.append((body[at], list(tier(body, at, self._settings[start]))))
        changes = [change for made in lines.values() for change in together(made)]
        return sorted(changes, key=lambda change: change.cost)

    def _looked_into(self, change: Change, patch: Patch) -> Repair | None:
        """Return a full repair and how far it is fetched; None if it breaks what was right."""
        cost = change.cost
        addresses = {part.address for part in change.parts}
        if addresses & self._before:
            if not self._stage.keeps_earlier(patch):
                return None
            cost += _EXONERATED
        lost = self._ran - set(self._trials.covered(patch))
        for part in change.parts:
            body = self._code.body(part.address)
            at = next(n for n, i in enumerate(body) if i.ip == part.address)
            lost -= {i.ip for i in body[at : at + part.count]}
        is_detour, is_chance = len(lost) > _MOST_LOST, not self._stage.holds(patch)
        cost += _BYPASS * is_detour + _CHANCE * is_chance
        doubt = _PASSED_OVER if is_detour else _NOT_OTHERS if is_chance else ""
        return Repair(change, 0, cost, doubt)


def _ratio(evidence: Evidence | None) -> float:
    """Return how many times larger what is wrong ought to be, NaN where nothing says so."""
    if evidence is None or evidence.bad.shape != evidence.expected.shape:
        return math.nan
    with np.errstate(all="ignore"):
        ratios = evidence.expected.value[evidence.bad] / evidence.actual[evidence.bad]
    finite = ratios[np.isfinite(ratios)]
    return float(np.median(finite)) if len(finite) else math.nan
