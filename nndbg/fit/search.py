"""Fits a map to a run: which of the things that it may mean agree with what the program did."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from nndbg.fit.document import Document, value_text
from nndbg.fit.trials import AGREES, Run, Trials, moved_to
from nndbg.fit.variants import Variant, matrices, turned, variants
from nndbg.layermap import MAIN_PHASE, Op, parse_map
from nndbg.ledger import judge_record

Table = Mapping[str, Any]

_SHAPE = re.compile(r"shape\s*=\s*\[([^\],]+),([^\],]+)\]")


@dataclass(frozen=True)
class Fit:
    """The text of a map that fits a run as well as could be found, and what was found.

    `changes` is what is different in it, `open_` what a run could not settle, `disagree` the ops
    that nothing makes agree, `unowned` what changes although no op does that; `agree` is how many
    ops agree, in `steps`.
    """

    text: str
    changes: tuple[str, ...]
    open_: tuple[str, ...]
    disagree: tuple[str, ...]
    unowned: tuple[str, ...]
    agree: int
    steps: str

    def told(self) -> Iterator[str]:
        """Yield what was found in words: what changed, what is open, and what it comes to."""
        yield from self.changes
        yield from (f"not settled: {one}" for one in self.open_)
        yield from (f"{name}: nothing that was tried agrees" for name in self.disagree)
        yield from (f"no op owns this: {one}" for one in self.unowned)
        count = self.agree + len(self.disagree)
        yield f"{self.agree} of {count} ops agree with steps {self.steps}"

    @property
    def is_whole(self) -> bool:
        """Whether every op of the map agrees with the run, and does all that changes."""
        return not self.disagree and not self.unowned


@dataclass(frozen=True)
class _Chosen:
    """What an op is taken to be: the first variant that agrees, and how others that do differ."""

    table: Table
    says: str
    others: tuple[str, ...]


@dataclass(frozen=True)
class _Changed:
    """A buffer that changes with an op that does not own it; `is_cleared` where it becomes 0."""

    phase: str
    op: str
    buffer: str
    is_cleared: bool
    says: str

    def text(self, tables: Sequence[Table]) -> str:
        """Return an op that does it, complete where the other is."""
        beside = next(
            t for t in tables if t["name"] == self.op and t.get("phase", MAIN_PHASE) == self.phase
        )
        table = {"name": f"clear_{self.buffer}", "phase": self.phase, "kind": "fill"}
        table |= {"out": self.buffer}
        table |= {key: beside[key] for key in ("done", "nth", "call", "when") if key in beside}
        lines = [f"{key} = {value_text(value)}" for key, value in table.items()]
        return "\n".join(["[[ops]]  # fit: added", *lines, "", ""])


def fit_map(document: Document, runs: Iterable[Run], origin: str, scripts: Path | None) -> Fit:
    """Return the map that fits the runs of its phases best."""
    return _Search(document, {run.phase: run for run in runs}, origin, scripts).fit()


class _Search:
    def __init__(
        self, document: Document, runs: Mapping[str, Run], origin: str, scripts: Path | None
    ) -> None:
        self.document = document
        self.runs = runs
        self.origin = origin
        self.scripts = scripts
        self.tables = document.ops
        self.groups = list(_groups(self.tables))
        # The op at whose boundary another one is taken to be complete.
        self.places: dict[int, str] = {}
        self.reached = {phase: run.reached() for phase, run in runs.items()}

    def fit(self) -> Fit:
        flips = [frozenset[str](), frozenset(n for g in self.groups for n in g if self.flips(n))]
        found = [self.choose(flip) for flip in flips[: 2 if flips[1] else 1]]
        straight = found[0]
        changes, open_ = [], []
        flipped: set[str] = set()
        for group in self.groups if len(found) > 1 else ():
            ops = [i for i, table in enumerate(self.tables) if matrices(table) & group]
            as_is, other = (sum(i in one for i in ops) for one in found)
            names = ", ".join(sorted(group & flips[1]))
            if other > as_is:
                flipped |= group & flips[1]
                changes.append(f"{names}: stored [out, in], by {other} of {len(ops)} ops")
            elif other == as_is and other:
                open_.append(f"{names}: [in, out] and [out, in] agree alike")
        chosen = {
            index: found[1][index] if self.is_flipped(index, flipped) else straight.get(index)
            for index in range(len(self.tables))
            if index in (found[1] if self.is_flipped(index, flipped) else straight)
        }
        left_out = {i for i in range(len(self.tables)) if not self.is_reached(i)}
        self.place(chosen, left_out, frozenset(flipped))
        return self.told(chosen, left_out, frozenset(flipped), changes, open_)

    def is_flipped(self, index: int, flipped: Iterable[str]) -> bool:
        return bool(_buffers(self.tables[index]) & set(flipped))

    def told(
        self,
        chosen: Mapping[int, _Chosen | None],
        left_out: set[int],
        flipped: frozenset[str],
        changes: list[str],
        open_: list[str],
    ) -> Fit:
        """Return the fit in words and as a text."""
        disagree: list[str] = []
        tables: dict[int, Table] = {}
        for index, table in enumerate(self.tables):
            name, one = table["name"], chosen.get(index)
            if index in left_out:
                phase = self.phase(index)
                why = "never complete" if phase in self.runs else f"phase {phase} was not run"
                changes.append(f"{name}: {why}, so it is left out")
                continue
            if one is None:
                disagree.append(name)
                tables[index] = turned(table, flipped)
                continue
            tables[index] = one.table
            if one.says:
                changes.append(f"{name}: {one.says}")
            open_ += [f"{name}: or it {other}; both agree" for other in one.others]
        order = list(range(len(self.tables)))
        kept = {i: table for i, table in tables.items() if chosen.get(i) is not None}
        if not self.stands(kept, flipped):
            order = self.order(left_out)
        changes += self.moves(order, left_out)
        text = self.document.rewritten(order, tables, left_out, self.shapes(flipped))
        agree = len(self.tables) - len(left_out) - len(disagree)
        cleared = {(c.phase, c.buffer): c for c in self.unowned(text, ()) if c.is_cleared}
        for c in cleared.values():
            text += c.text(self.tables)
            changes.append(f"clear_{c.buffer}: added, as {c.buffer} is set to 0 with {c.op}")
        unowned = tuple(dict.fromkeys(c.says for c in self.unowned(text, cleared.values())))
        return Fit(
            text, tuple(changes), tuple(open_), tuple(disagree), unowned, agree, self.steps()
        )

    def steps(self) -> str:
        """Return which steps were run, as the longest run of a phase has them."""
        most = max(len(run.records) for run in self.runs.values())
        return f"0-{most - 1}"

    def stands(self, tables: Mapping[int, Table], flipped: frozenset[str]) -> bool:
        """Whether the ops agree in the order of the map as they do in that of the program."""
        trials = Trials(self.document.head(self.shapes(flipped)), self.origin, self.scripts)
        for phase, run in self.runs.items():
            indices = [i for i in self.in_phase(phase) if i in tables]
            ops = [trials.op(self.document.op_text(i, tables[i]), phase) for i in indices]
            known = [op for op in ops if op is not None]
            at = {tables[i]["name"]: str(self.places[i]) for i in indices if i in self.places}
            results = trials.judge(run, known, at)
            if not all(results.get(op.name) == AGREES for op in known):
                return False
        return True

    def moves(self, order: Sequence[int], left_out: set[int]) -> list[str]:
        """Return which ops the program completes earlier than the map has them."""
        names = [self.tables[i]["name"] for i in order]
        return [
            f"{names[place]}: complete before {names[place + 1]}, so it stands before it"
            for place, (a, b) in enumerate(pairwise(order))
            if a > b and not {a, b} & left_out
        ]

    def unowned(self, text: str, cleared: Iterable[_Changed]) -> Iterator[_Changed]:
        """Yield what changes although no op of the map does that."""
        beside = {f"clear_{one.buffer}": one.op for one in cleared}
        for phase, run in self.runs.items():
            if "\n[[ops]]" not in text:
                return
            layer_map = parse_map(text, self.origin, phase, self.scripts)
            known = {op.name for op in layer_map.ops}
            added = {name: op for name, op in beside.items() if name in known}
            for record in run.records if known else ():
                moved = moved_to(record, added, known)
                for observation in judge_record(layer_map, moved, ()):
                    for verdict in observation.verdicts:
                        name = verdict.subject.buffer
                        flat = observation.capture.flat.get(name)
                        is_zero = flat is not None and not flat.any()
                        op = observation.op.name
                        yield _Changed(phase, op, name, is_zero, verdict.says)

    def choose(self, flipped: frozenset[str]) -> dict[int, _Chosen]:
        """Return, for each op that can agree, what it is then, with some matrices turned."""
        trials = Trials(self.document.head(self.shapes(flipped)), self.origin, self.scripts)
        found: dict[int, list[Variant]] = {}
        rounds = [
            [*variants(turned(table, flipped), self.tables)] if self.is_reached(i) else []
            for i, table in enumerate(self.tables)
        ]
        for number in range(max(map(len, rounds), default=0)):
            one = {i: each[number] for i, each in enumerate(rounds) if number < len(each)}
            for index in self.agreeing(trials, one):
                found.setdefault(index, []).append(one[index])
        return {
            index: _Chosen(
                agreeing[0].table,
                agreeing[0].says,
                tuple(other.says for other in agreeing[1:]),
            )
            for index, agreeing in found.items()
        }

    def agreeing(self, trials: Trials, tried: Mapping[int, Variant]) -> Iterator[int]:
        """Yield the ops that agree where each is what is tried."""
        for phase, run in self.runs.items():
            ops: dict[int, Op] = {}
            for index in sorted(self.in_phase(phase), key=self.when):
                table = tried[index].table if index in tried else None
                op = trials.op(self.document.op_text(index, table), phase) if table else None
                if op is not None:
                    ops[index] = op
            results = trials.judge(run, list(ops.values()))
            yield from (i for i, op in ops.items() if results.get(op.name) == AGREES)

    def place(
        self, chosen: dict[int, _Chosen | None], left_out: set[int], flipped: frozenset[str]
    ) -> None:
        """Look for another boundary for the ops that do not agree at their own."""
        trials = Trials(self.document.head(self.shapes(flipped)), self.origin, self.scripts)
        for index, table in enumerate(self.tables):
            if index in left_out or chosen.get(index) is not None:
                continue
            phase = self.phase(index)
            run = self.runs[phase]
            for variant in variants(turned(table, flipped), self.tables):
                op = trials.op(self.document.op_text(index, variant.table), phase)
                for at in self.in_phase(phase) if op is not None else ():
                    other = self.tables[at]["name"]
                    if at == index or at in left_out or op is None:
                        continue
                    if trials.judge(run, [op], {op.name: other}).get(op.name) == AGREES:
                        done = self.tables[at]["done"]
                        says = "; ".join(filter(None, [f"complete with {other}", variant.says]))
                        chosen[index] = _Chosen({**variant.table, "done": done}, says, ())
                        self.places[index] = other
                        break
                if chosen.get(index) is not None:
                    break

    def order(self, left_out: set[int]) -> list[int]:
        """Return the ops in the order of their phases, and in that in which they are complete."""
        indices = range(len(self.tables))
        slots: dict[str, list[int]] = {}
        for index in indices:
            slots.setdefault(self.phase(index), []).append(index)
        ordered: dict[int, int] = {}
        for phase, places in slots.items():
            reached = [i for i in places if i not in left_out]
            in_time = iter(sorted(reached, key=self.when) if phase in self.runs else reached)
            for place in places:
                ordered[place] = place if place in left_out else next(in_time)
        return [ordered[index] for index in indices]

    def when(self, index: int) -> tuple[int, int]:
        place = self.reached.get(self.phase(index), {}).get(self.tables[index]["name"], 0)
        return place, index

    def phase(self, index: int) -> str:
        return str(self.tables[index].get("phase", MAIN_PHASE))

    def in_phase(self, phase: str) -> list[int]:
        return [i for i in range(len(self.tables)) if self.phase(i) == phase]

    def is_reached(self, index: int) -> bool:
        return self.tables[index]["name"] in self.reached.get(self.phase(index), {})

    def flips(self, name: str) -> bool:
        """Whether the line of a buffer says its shape, so that it can be turned."""
        return name in self.shapes(frozenset({name}))

    def shapes(self, flipped: frozenset[str]) -> dict[str, str]:
        """Return the lines of some buffers with their two sizes the other way round."""
        lines = self.document.text.splitlines()
        found = {}
        for name in flipped:
            at = self.document.lines.get(("buffers", name))
            line = lines[at - 1] if at is not None else ""
            changed, count = _SHAPE.subn(
                lambda m: f"shape = [{m[2].strip()}, {m[1].strip()}]", line.split("#")[0].rstrip()
            )
            if count:
                found[name] = f"{changed.ljust(66)}  # fit: stored [out, in]"
        return found


def _groups(tables: Sequence[Table]) -> Iterator[frozenset[str]]:
    """Yield the matrices that are stored the same way: an update takes them element by element."""
    known = {name for table in tables for name in matrices(table)}
    groups = [{name} for name in sorted(known)]
    for table in tables:
        if "sgd" not in table["kind"] and "adam" not in table["kind"]:
            continue
        joined = _buffers(table)
        met = [g for g in groups if g & joined]
        if met:
            groups = [g for g in groups if not g & joined]
            groups.append(set().union(*met) | {b for b in joined if _is_matrix(b, tables)})
    yield from (frozenset(group) for group in groups)


def _is_matrix(name: str, tables: Sequence[Table]) -> bool:
    """Whether a buffer of an update has the shape of its parameter, and is no single number."""
    for table in tables:
        inputs = table.get("in", {}) if isinstance(table.get("in"), Mapping) else {}
        if any(inputs.get(part) == name for part in ("param", "grad", "velocity", "m", "v")):
            return True
    return False


def _buffers(table: Table) -> set[str]:
    found: set[str] = set()
    for key in ("in", "out"):
        value = table.get(key, {})
        names = value.values() if isinstance(value, Mapping) else [value]
        found |= {str(name).removesuffix(".T") for name in names}
    return found
