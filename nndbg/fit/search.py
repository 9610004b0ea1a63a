"""Fits a map to a run: which of the things that it may mean agree with what the program did."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

from nndbg.fit.document import Document
from nndbg.fit.model import Changed, Chosen, Fit, Table, Tell, tell_nobody
from nndbg.fit.trials import AGREES, Run, Trials, moved_to
from nndbg.fit.variants import Variant, matrices, turned, variants
from nndbg.layermap import MAIN_PHASE, Op, parse_map
from nndbg.ledger import judge_record

_SHAPE = re.compile(r"shape\s*=\s*\[([^\],]+),([^\],]+)\]")


# For how long other boundaries are looked for, of which there are as many as ops.
SECONDS = 20.0


def fit_map(
    document: Document,
    runs: Iterable[Run],
    origin: str,
    scripts: Path | None,
    seconds: float = SECONDS,
    tell: Tell = tell_nobody,
) -> Fit:
    """Return the map that fits the runs of its phases best.

    Where the ops that do not agree at their own boundaries are complete is looked for so many
    `seconds`; what that leaves out is told.
    """
    by_phase = {run.phase: run for run in runs}
    return _Search(document, by_phase, origin, scripts, seconds, tell).fit()


class _Search:
    def __init__(
        self,
        document: Document,
        runs: Mapping[str, Run],
        origin: str,
        scripts: Path | None,
        seconds: float,
        tell: Tell,
    ) -> None:
        self.document = document
        self.seconds = seconds
        self.tell = tell
        self.runs = runs
        self.origin = origin
        self.scripts = scripts
        self.tables = document.ops
        self.groups = list(_groups(self.tables))
        # What each op can be, with the matrices as the map has them and the other way round.
        self.found: list[dict[int, Chosen]] = []
        # The op at whose boundary another one is taken to be complete.
        self.places: dict[int, str] = {}
        # The ops for which there was no time to try every boundary.
        self.hurried: set[int] = set()
        self.reached = {phase: run.reached() for phase, run in runs.items()}

    def fit(self) -> Fit:
        flips = [frozenset[str](), frozenset(n for g in self.groups for n in g if self.flips(n))]
        found = [self.choose(flip) for flip in flips[: 2 if flips[1] else 1]]
        self.found = found
        straight = found[0]
        changes, open_ = [], []
        flipped: set[str] = set()
        for group in self.groups if len(found) > 1 else ():
            ops = [i for i, table in enumerate(self.tables) if matrices(table) & group]
            as_is, other = (sum(self.weight(i) for i in ops if i in one) for one in found)
            names = ", ".join(sorted(group & flips[1]))
            if other > as_is:
                flipped |= group & flips[1]
                count = sum(i in found[1] for i in ops)
                changes.append(f"{names}: stored [out, in], by {count} of {len(ops)} ops")
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

    def weight(self, index: int) -> float:
        """Return what an op's word counts on how a matrix is stored: most, if it multiplies by it.

        A gradient with its dimensions exchanged is a mistake that people make.
        """
        return 2.5 if "W" in self.tables[index].get("in", {}) else 1

    def is_flipped(self, index: int, flipped: Iterable[str]) -> bool:
        return bool(_buffers(self.tables[index]) & set(flipped))

    def told(
        self,
        chosen: Mapping[int, Chosen | None],
        left_out: set[int],
        flipped: frozenset[str],
        changes: list[str],
        open_: list[str],
    ) -> Fit:
        """Return the fit in words and as a text."""
        disagree: list[str] = []
        hints: dict[str, str] = {}
        tables: dict[int, Table] = {}
        for index, table in enumerate(self.tables):
            name, one = table["name"], chosen.get(index)
            if index in left_out and "when" in table:
                tables[index] = turned(table, flipped)
                continue
            if index in left_out:
                phase = self.phase(index)
                why = "never complete" if phase in self.runs else f"phase {phase} was not run"
                changes.append(f"{name}: {why}, so it is left out")
                continue
            if one is None:
                disagree.append(name)
                if index in self.hurried:
                    hints[name] = "there was no time to try every boundary: correct `done`"
                if any(index in one for one in self.found):
                    hints[name] = "it would if it were stored the other way round than the weights"
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
        settled = {i for i, one in chosen.items() if one is not None and not one.others}
        gone = {i for i in left_out if "when" not in self.tables[i]}
        text = self.document.rewritten(order, tables, gone, self.shapes(flipped), settled)
        agree = len(self.tables) - len(left_out) - len(disagree)
        cleared = {(c.phase, c.buffer): c for c in self.unowned(text, ()) if c.is_cleared}
        for c in cleared.values():
            text += c.text(self.tables)
            changes.append(f"clear_{c.buffer}: added, as {c.buffer} is set to 0 with {c.op}")
        unowned = tuple(dict.fromkeys(c.says for c in self.unowned(text, cleared.values())))
        return Fit(
            text=text,
            changes=tuple(changes),
            open_=tuple(open_),
            disagree=tuple(disagree),
            hints=hints,
            unowned=unowned,
            agree=agree,
            steps=self.steps(),
        )

    def in_places(self, phase: str) -> list[int]:
        return [index for index in self.places if self.phase(index) == phase]

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
            at = {tables[i]["name"]: self.places[i] for i in self.in_places(phase)}
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

    def unowned(self, text: str, cleared: Iterable[Changed]) -> Iterator[Changed]:
        """Yield what changes although no op of the map does that."""
        beside = {f"clear_{one.buffer}": one.op for one in cleared}
        for phase, run in self.runs.items():
            if "\n[[ops]]" not in text:
                return
            layer_map = parse_map(text, self.origin, phase, self.scripts)
            known = {op.name for op in layer_map.ops}
            added = {name: op for name, op in beside.items() if name in known}
            added |= {self.tables[i]["name"]: self.places[i] for i in self.in_places(phase)}
            for record in run.records if known else ():
                moved = moved_to(record, added, known)
                if moved.end is not None:
                    # Which phases the run noticed went by what the map said before the fit.
                    every = frozenset(layer_map.phases)
                    moved = replace(moved, end=replace(moved.end, others=every))
                for observation in judge_record(layer_map, moved, ()):
                    for verdict in observation.verdicts:
                        name = verdict.subject.buffer
                        flat = observation.capture.flat.get(name)
                        is_zero = flat is not None and not flat.any()
                        op = observation.op.name
                        yield Changed(phase, op, name, is_zero, verdict.says)

    def choose(self, flipped: frozenset[str]) -> dict[int, Chosen]:
        """Return, for each op that can agree, what it is then, with some matrices turned."""
        trials = Trials(self.document.head(self.shapes(flipped)), self.origin, self.scripts)
        found: dict[int, list[Variant]] = {}
        rounds = [
            [*variants(turned(table, flipped), self.tables)] if self.is_reached(i) else []
            for i, table in enumerate(self.tables)
        ]
        most = max(map(len, rounds), default=0)
        for number in range(most):
            self.tell(f"trying ops{', matrices turned' * bool(flipped)}", number, most)
            tried = {i: each[number] for i, each in enumerate(rounds) if number < len(each)}
            for index in self.agreeing(trials, tried, flipped):
                found.setdefault(index, []).append(tried[index])
        return {
            index: Chosen(
                agreeing[0].table,
                agreeing[0].says,
                tuple(other.says for other in agreeing[1:]),
            )
            for index, agreeing in found.items()
        }

    def agreeing(
        self, trials: Trials, tried: Mapping[int, Variant], flipped: frozenset[str]
    ) -> Iterator[int]:
        """Yield the ops that agree where each is what is tried."""
        tables = {index: variant.table for index, variant in tried.items()}
        for phase, run in self.runs.items():
            if not tables.keys() & set(self.in_phase(phase)):
                continue
            ops = self.ops(trials, phase, tables, flipped)
            results = trials.judge(run, list(ops.values()))
            yield from (i for i, op in ops.items() if i in tried and results.get(op.name) == AGREES)

    def ops(
        self, trials: Trials, phase: str, tables: Mapping[int, Table], flipped: frozenset[str]
    ) -> dict[int, Op]:
        """Return the ops of a phase in the order of the run, as `tables` or else the map has them.

        One that cannot be meant so is as the map has it: what it leaves is what others take.
        """
        found: dict[int, Op] = {}
        for index in sorted(self.in_phase(phase), key=self.when):
            own = turned(self.tables[index], flipped)
            for table in (tables.get(index, own), own) if self.is_reached(index) else ():
                op = trials.op(self.document.op_text(index, table), phase)
                if op is not None:
                    found[index] = op
                    break
        return found

    def place(
        self, chosen: dict[int, Chosen | None], left_out: set[int], flipped: frozenset[str]
    ) -> None:
        """Look for another boundary for the ops that do not agree at their own."""
        trials = Trials(self.document.head(self.shapes(flipped)), self.origin, self.scripts)
        known = {i: one.table for i, one in chosen.items() if one is not None}
        wanted = [i for i in range(len(self.tables)) if i not in left_out and i not in known]
        deadline = time.monotonic() + self.seconds
        for number, index in enumerate(wanted):
            self.tell("trying boundaries", number, len(wanted))
            table = self.tables[index]
            for variant, at in product(
                variants(turned(table, flipped), self.tables), self.in_phase(self.phase(index))
            ):
                if time.monotonic() > deadline:
                    self.hurried.add(index)
                    break
                if (
                    at != index
                    and at not in left_out
                    and self.fits(trials, index, at, {**known, index: variant.table}, flipped)
                ):
                    other = self.tables[at]
                    says = "; ".join(filter(None, [f"complete with {other['name']}", variant.says]))
                    chosen[index] = Chosen({**variant.table, "done": other["done"]}, says, ())
                    self.places[index] = other["name"]
                    break

    def fits(
        self,
        trials: Trials,
        index: int,
        at: int,
        tables: Mapping[int, Table],
        flipped: frozenset[str],
    ) -> bool:
        """Whether an op agrees at the boundary of another; the first step is tried before all."""
        phase, name = self.phase(index), self.tables[index]["name"]
        ops = self.ops(trials, phase, tables, flipped)
        if index not in ops:
            return False
        places = {i: place for place, i in enumerate(ops)}
        moved = sorted(ops, key=lambda i: places[at] + 0.5 if i == index else places[i])
        ordered = [ops[i] for i in moved]
        run = self.runs[phase]
        return all(
            trials.judge(some, ordered, {name: self.tables[at]["name"]}).get(name) == AGREES
            for some in (Run(phase, run.records[:1]), run)
        )

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
