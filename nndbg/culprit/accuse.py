"""Who is to blame for a wrong output: what ran is compared with what the formula needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nndbg.compare import Status, Verdict
from nndbg.culprit import loops
from nndbg.culprit.addresses import blame_address
from nndbg.culprit.decode import Disassembly
from nndbg.culprit.follow import Clock, trace_interval
from nndbg.culprit.model import Write, site
from nndbg.culprit.needs import Needs, needs
from nndbg.culprit.places import Place, Places
from nndbg.culprit.slicing import Slice, Trace, value_slice
from nndbg.culprit.watch import Arrival, Watch, walk
from nndbg.diagnose import Evidence
from nndbg.errors import GdbError, ProgramError
from nndbg.inferior import LiveSource
from nndbg.layermap import Op
from nndbg.report.model import Culprit, Suspect

_MOST_CANDIDATES = 5
_SECONDS = 4.0


@dataclass
class _Found:
    """Candidates in the order in which they were found, one for each line."""

    code: Disassembly
    suspects: list[Suspect] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, address: int, says: str) -> None:
        instruction = self.code.at(address)
        if instruction is None:
            return
        where = site(self.code, instruction)
        if where.file is None and self.suspects:
            return
        if any((s.file, s.line) == (where.file, where.line) for s in self.suspects if s.file):
            return
        self.suspects.append(
            Suspect(where.address, where.function, where.file, where.line, where.instruction, says)
        )

    def culprit(self, element: str) -> Culprit | None:
        if not self.suspects:
            return None
        return Culprit(element, tuple(self.suspects[:_MOST_CANDIDATES]), tuple(self.notes))


def accuse(
    source: LiveSource, verdict: Verdict, evidence: Evidence | None, timeout: float = 10.0
) -> Culprit | None:
    """Return who made what `verdict` finds wrong, None where nobody can be named.

    Runs the program again, with `source`, which it owns from then on and closes.
    """
    try:
        return _Search(source, verdict, evidence, timeout).culprit()
    except (ProgramError, GdbError):
        return None
    finally:
        source.close()


class _Search:
    """One search: the program's run once under watch and once step by step."""

    def __init__(
        self, source: LiveSource, verdict: Verdict, evidence: Evidence | None, timeout: float
    ) -> None:
        self.source = source
        self.verdict = verdict
        self.evidence = evidence
        self.timeout = timeout
        self.clock = Clock(_SECONDS)
        self.step = verdict.subject.step
        self.code = Disassembly(source.placed.executable)
        self.found = _Found(self.code)
        op = source.layer_map.op(verdict.subject.op)
        assert op is not None
        self.op: Op = op

    def culprit(self) -> Culprit | None:
        """Return who is to blame."""
        subject = self.verdict.subject
        if self.verdict.status is Status.UNWRITTEN and self.evidence is None:
            self._never_reached()
            return self.found.culprit(subject.buffer)
        index = self._index()
        if index is None:
            return None
        place = Place(subject.buffer, index)
        self._wrong(place)
        return self.found.culprit(str(place))

    def _index(self) -> tuple[int, ...] | None:
        """Return the first element that is wrong."""
        if self.evidence is not None:
            bad = self.evidence.bad
            actual = self.evidence.actual
            if self.verdict.status is Status.NONFINITE and not np.isfinite(actual).all():
                bad = ~np.isfinite(actual)
            return tuple(int(i) for i in np.argwhere(bad)[0])
        return self.verdict.worst.index if self.verdict.worst else None

    # An op whose boundary was never reached

    def _never_reached(self) -> None:
        """Find the instruction that led past the boundary."""
        capture = self.source.start(self.step)
        order = [op.name for op in self.source.layer_map.ops]
        before = order[: order.index(self.op.name)]
        behind, passed = 0, 0
        for event in walk(self.source, self.timeout):
            if isinstance(event, Arrival):
                if event.begins_step:
                    break
                passed += 1
                if any(name in before for name in event.ops):
                    behind = passed
        boundaries = self.source.placed.done[self.op.name]
        others = {
            address
            for name, addresses in self.source.placed.done.items()
            if name != self.op.name
            for address in addresses
        }
        capture = self.source.start(self.step)
        until = (*others, *self.source.placed.step)
        trace = trace_interval(self.source, capture, self.code, behind, until, self.clock.left)
        self._passes_by(trace, boundaries)

    def _passes_by(self, trace: Trace, boundaries: Iterable[int]) -> None:
        for boundary in boundaries:
            body = self.code.function(boundary)
            inside = range(body[0].address, body[-1].end) if body else range(0)
            for index, instruction in enumerate(trace.instructions):
                if instruction is None or instruction.address not in inside:
                    continue
                following = trace.addresses[index + 1] if index + 1 < len(trace) else None
                leaves = instruction.is_return or (
                    (instruction.is_jump or instruction.is_branch)
                    and following is not None
                    and not (instruction.address < following <= boundary)
                )
                if instruction.address < boundary and leaves:
                    says = f"leaves {self.op.name} out: its boundary lies behind it"
                    self.found.add(instruction.address, says)
        for index in range(len(trace) - 1, -1, -1):
            instruction = trace.instructions[index]
            if instruction is not None and self.code.executable.line_at(instruction.address):
                self.found.add(instruction.address, f"ran instead of {self.op.name}")

    # A wrong element

    def _wrong(self, place: Place) -> None:
        is_output = place.buffer in self.op.outputs.values()
        late = "behind" in self.verdict.says and not is_output
        until = None if late else self.op.name
        watch = Watch(self.source, self.step, place, until, self.timeout)
        watch.follow(self.clock.left)
        behind = _behind(watch.arrivals, until)
        names = {name for a in watch.arrivals[behind:] for name in a.ops}
        own = [w for w in watch.writes if (w.op in names if names else w.op is None)]
        if self.evidence is None or not is_output:
            self._stray(watch, own, behind)
        elif not own:
            self._unwritten(watch, place, behind)
        else:
            self._written(watch, place, own, behind)

    def _stray(self, watch: Watch, own: Sequence[Write], behind: int) -> None:
        """A buffer that is none of the op's was changed: by which store, called by whom?"""
        changing = [w for w in own if w.before != w.after] or list(own)
        if not changing:
            return
        write = changing[0]
        place = watch.place
        trace = self._trace(watch, behind, write, 1)
        stores_op = False
        index = None
        if trace is not None:
            index = trace.last_store(watch.span.start, watch.span.stop)
            if index is not None:
                stores_op = self._frame_works(trace, index, watch.places)
        here = f"writes {place}, which {self.op.name} is not to change"
        if stores_op or not write.chain or trace is None or index is None:
            self.found.add(write.site.address, here)
        else:
            access = trace.instructions[index]
            assert access is not None
            assert access.store is not None
            if write.op is not None:
                for address, says in blame_address(trace, index, access.store, watch.places, set()):
                    self.found.add(address, says)
            self.found.add(write.site.address, here)
        for call in write.chain[:2]:
            self.found.add(call.address, f"the call that led to the write of {place}")

    def _frame_works(self, trace: Trace, index: int, places: Places) -> bool:
        """Whether the call that stored at `index` also wrote the op's own outputs."""
        begin, end = loops.frame(trace, index)
        outputs = set(self.op.outputs.values())
        return any(
            begin <= at <= end and (hit := places.at(start)) is not None and hit.buffer in outputs
            for at, start, _ in trace.stores
        )

    def _unwritten(self, watch: Watch, place: Place, behind: int) -> None:
        """Nothing wrote the element: did the op run, did it write elsewhere, did it end early?"""
        trace = self._trace(watch, behind, None, 1)
        if trace is None:
            return
        outputs = set(self.op.outputs.values())
        inputs = set(self.op.inputs.values())
        own: list[int] = []
        foreign: list[int] = []
        for index, start, _ in trace.stores:
            hit = watch.places.at(start)
            if hit is None:
                continue
            if hit.buffer == place.buffer:
                own.append(index)
            elif hit.buffer not in outputs:
                foreign.append(index)
        del inputs
        if own:
            self._ended_early(trace, own[-1], watch.places, f"{place} is never written")
            return
        if foreign:
            store = trace.instructions[foreign[0]]
            assert store is not None
            assert store.store is not None
            for address, says in blame_address(
                trace, foreign[0], store.store, watch.places, outputs
            ):
                self.found.add(address, says)
            self.found.add(store.address, f"writes where {place.buffer} is meant")
        self._last_before(trace, place)

    def _last_before(self, trace: Trace, place: Place) -> None:
        """Name what ran right before the boundary: what is missing is missing there."""
        names = {place.buffer, *self.op.outputs.values()}
        says = f"the last before the boundary: nothing here writes {' or '.join(sorted(names))}"
        for index in range(len(trace) - 1, -1, -1):
            instruction = trace.instructions[index]
            if instruction is not None and self.code.executable.line_at(instruction.address):
                self.found.add(instruction.address, says)

    def _written(self, watch: Watch, place: Place, own: Sequence[Write], behind: int) -> None:
        evidence = self.evidence
        assert evidence is not None
        expected = float(evidence.expected.value[place.index])
        bound = float(evidence.expected.error[place.index])
        good = [n for n, w in enumerate(own) if abs(w.after - expected) <= bound]
        if good and good[-1] < len(own) - 1:
            self._spoilt(own[good[-1]], own[good[-1] + 1], place)
        trace = self._trace(watch, behind, own[-1], _count(own))
        store = trace.last_store(watch.span.start, watch.span.stop) if trace is not None else None
        if trace is None or store is None:
            self.found.notes.append("the way to this write is too long to be followed")
            self.found.add(own[-1].site.address, f"wrote {place}")
            for call in own[-1].chain[:1]:
                self.found.add(call.address, f"the call that led to the write of {place}")
            return
        _Formula(
            self, trace, store, watch.places, place, needs(evidence, place.index), watch.span
        )()

    def _spoilt(self, good: Write, bad: Write, place: Place) -> None:
        says = f"changes {place} from {bad.before:.6g}, which was right, to {bad.after:.6g}"
        if good.chain != bad.chain and bad.chain:
            call = next(c for c in bad.chain if c not in good.chain)
            self.found.add(call.address, f"calls what {says}")
        self.found.add(bad.site.address, says)

    def _trace(self, watch: Watch, behind: int, write: Write | None, times: int) -> Trace | None:
        """Run again, and record the interval up to the last of so many writes."""
        capture = self.source.start(self.step)
        until = () if self.op.name not in self.source.placed.done else self._boundaries()
        trace = trace_interval(
            self.source,
            capture,
            self.code,
            behind,
            until,
            self.clock.left,
            write.site.address if write is not None else None,
            watch.span,
            times,
        )
        if not trace.steps.is_whole and write is None:
            self.found.notes.append("the op is too long to be followed to its end")
        return trace if len(trace) else None

    def _boundaries(self) -> tuple[int, ...]:
        return (*self.source.placed.done[self.op.name], *self.source.placed.step)

    def _ended_early(self, trace: Trace, after: int, places: Places, says: str) -> None:
        """Name the branch that ended a loop, and where its limit came from."""
        for address, why in loops.ended_early(trace, after, self._extents(places)):
            self.found.add(address, f"{why}: {says}")

    def _extents(self, places: Places) -> set[int]:
        """Return the numbers that a limit of the op may rightly be."""
        found: set[int] = set()
        for name in (*self.op.inputs.values(), *self.op.outputs.values()):
            found |= places.counts(name)
        return found


class _Formula:
    """Compares what went into an element with what its formula needs."""

    def __init__(
        self,
        search: _Search,
        trace: Trace,
        store: int,
        places: Places,
        place: Place,
        wanted: Needs,
        span: range,
    ) -> None:
        self.search = search
        self.trace = trace
        self.store = store
        self.places = places
        self.place = place
        self.needs = wanted
        self.slice: Slice = value_slice(trace, store, span.start, span.stop)

    def __call__(self) -> None:
        """Add the candidates to the search, the likeliest first."""
        right, foreign, old = self._leaves()
        add = self.search.found.add
        address = self.trace.addresses
        if old:
            for index, at in old[:2]:
                add(address[index], f"takes {at} as it was before the op into the sum")
        stale = self._stale(right, foreign)
        for index, says in stale:
            add(address[index], says)
        if foreign and not stale:
            self._foreign(right, foreign)
        if right and self._misses(right):
            last = max(index for index, _ in right)
            self.search._ended_early(
                self.trace, last, self.places, f"{self.place} lacks {self._first_missing(right)}"
            )
        self._arithmetic()

    def _leaves(
        self,
    ) -> tuple[list[tuple[int, Place]], list[tuple[int, Place]], list[tuple[int, Place]]]:
        """Return the loads of what the formula needs, of what it does not, and of old outputs."""
        right: list[tuple[int, Place]] = []
        foreign: list[tuple[int, Place]] = []
        old: list[tuple[int, Place]] = []
        trusted = self._trusted()
        for leaf in self.slice.leaves:
            at = leaf.address
            while at < leaf.address + leaf.size:
                hit = self.places.at(at)
                if hit is None:
                    at += 4
                    continue
                width = self.places.width(hit.buffer)
                at += width - hit.offset
                whole = Place(hit.buffer, hit.index)
                if self.needs.covers(whole):
                    right.append((leaf.index, whole))
                elif leaf.index not in trusted or not self._is_data(leaf.index):
                    continue
                elif hit.buffer in self.needs.op.outputs.values() and (
                    hit.buffer not in self.needs.op.inputs.values()
                ):
                    old.append((leaf.index, whole))
                else:
                    foreign.append((leaf.index, whole))
        return right, foreign, old

    def _trusted(self) -> set[int]:
        """Return the nodes whose way to the element was followed lane by lane."""
        makers: dict[int, set[int]] = {}
        for maker, users in self.slice.feeds.items():
            for user in users:
                makers.setdefault(user, set()).add(maker)
        pending, found = [self.store], set()
        while pending:
            node = pending.pop()
            if node in found or node in self.slice.loose:
                continue
            found.add(node)
            pending += makers.get(node, ())
        return found

    def _is_data(self, index: int) -> bool:
        return self.trace.instructions[index] is not None

    def _stale(
        self, right: list[tuple[int, Place]], foreign: list[tuple[int, Place]]
    ) -> list[tuple[int, str]]:
        """Return where a sum that belongs to another element is taken along."""
        if not right or not foreign:
            return []
        first_right = right[0][0]
        strangers = [index for index, _ in foreign if index < first_right]
        if not strangers:
            return []
        outputs = set(self.needs.op.outputs.values())
        own = [
            index
            for index, start, _ in self.trace.stores
            if strangers[0] < index < first_right
            and (hit := self.places.at(start)) is not None
            and hit.buffer in outputs
        ]
        if not own:
            return []
        border = own[-1]
        found: list[tuple[int, str]] = []
        stranger = foreign[0][1]
        cleared = [n for n in self.slice.ordered if n < strangers[0] and self._starts(n)]
        for node in cleared[-1:]:
            says = f"begins the sum, and not again before {self.place}: {stranger} is still in it"
            found.append((node, says))
        for node in self.slice.ordered:
            if node >= border and any(
                maker < border and node in users for maker, users in self.slice.feeds.items()
            ):
                says = f"adds to a sum that still holds {stranger}: it is not cleared"
                found.append((node, says))
                for before in range(node - 1, max(node - 4, border), -1):
                    found.append((before, "between the last element and this one"))
                break
        return found

    def _starts(self, node: int) -> bool:
        instruction = self.trace.instructions[node]
        return instruction is not None and (
            instruction.is_zeroing or (instruction.immediate == 0 and not instruction.data)
        )

    def _foreign(self, right: list[tuple[int, Place]], foreign: list[tuple[int, Place]]) -> None:
        index, stranger = foreign[0]
        instruction = self.trace.instructions[index]
        assert instruction is not None
        access = instruction.load
        if access is None:
            return
        buffers = set(self.needs.op.inputs.values())
        earlier = [
            at
            for at, _ in right
            if at < index and self.trace.addresses[at] == self.trace.addresses[index]
        ]
        since = earlier[-1] if earlier else None
        for address, says in blame_address(self.trace, index, access, self.places, buffers, since):
            self.search.found.add(address, f"{says}: {self.place} got {stranger}")
        self.search.found.add(
            self.trace.addresses[index], f"loads {stranger}, which {self.place} does not need"
        )

    def _misses(self, right: list[tuple[int, Place]]) -> bool:
        return self._first_missing(right) is not None

    def _first_missing(self, right: list[tuple[int, Place]]) -> Place | None:
        """Return the first element that the formula needs, that counts and was never loaded."""
        evidence = self.search.evidence
        assert evidence is not None
        have = {place for _, place in right}
        for part, fixed in self.needs.parts.items():
            array = evidence.inputs[part]
            if array.dtype.kind != "f":
                continue
            axes = [range(n) if f is None else [f] for n, f in zip(array.shape, fixed, strict=True)]
            for index in np.ndindex(*(len(a) for a in axes)):
                at = tuple(int(a[i]) for a, i in zip(axes, index, strict=True))
                place = Place(self.needs.op.inputs[part], at)
                if place not in have and self._counts(part, at):
                    return place
        return None

    def _counts(self, part: str, at: tuple[int, ...]) -> bool:
        """Whether the element changes the result: a term that is zero may be skipped."""
        evidence = self.search.evidence
        assert evidence is not None
        changed = evidence.inputs[part].copy()
        changed[at] = changed[at] + 1 if changed[at] else 1
        value = evidence.compute(**{part: changed}).value[self.place.index]
        return bool(
            abs(value - evidence.expected.value[self.place.index])
            > evidence.expected.error[self.place.index]
        )

    def _arithmetic(self) -> None:
        """Name what calculated the element, the last first."""
        add = self.search.found.add
        trace = self.trace
        nodes = [n for n in reversed(self.slice.ordered) if trace.instructions[n] is not None]
        floats = [n for n in nodes if trace.instructions[n].is_float]  # type: ignore[union-attr]
        for node in floats[:1]:
            add(trace.addresses[node], f"the last that calculated {self.place}")
        add(trace.addresses[self.store], f"stores {self.place}")
        for node in [*floats[1:], *nodes]:
            add(trace.addresses[node], f"calculated a part of {self.place}")


def _behind(arrivals: Sequence[Arrival], until: str | None) -> int:
    """Return how many boundaries come before the interval of `until`."""
    return max(0, len(arrivals) - 1) if arrivals else 0


def _count(own: Sequence[Write]) -> int:
    """Return how often the last write's instruction wrote the element."""
    return sum(write.site.address == own[-1].site.address for write in own)
