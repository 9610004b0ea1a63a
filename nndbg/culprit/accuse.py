"""Who is to blame for a wrong output: runs the program again and follows what made it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from nndbg.compare import Status, Verdict, bits
from nndbg.culprit import loops
from nndbg.culprit.addresses import blame_address
from nndbg.culprit.detour import find_detour
from nndbg.culprit.experiment import Repair, experiment
from nndbg.culprit.follow import Clock, Goal, trace_interval
from nndbg.culprit.formula import Formula
from nndbg.culprit.found import Found
from nndbg.culprit.model import Write
from nndbg.culprit.needs import needs
from nndbg.culprit.slicing import Trace
from nndbg.culprit.watch import Watch, functions_run
from nndbg.decode import Disassembly
from nndbg.diagnose import Evidence
from nndbg.errors import GdbError, ProgramError
from nndbg.inferior import LiveSource
from nndbg.layermap import Op
from nndbg.ledger import Observation
from nndbg.places import Place, Places
from nndbg.report.model import Culprit

# Instructions are what is counted; this is for machines that are slow at running them one by one.
_SECONDS = 3.0
_EXPERIMENT_SECONDS = 5.0
# With less of them left, the way of a number that a repair explains is not followed as well.
_LEAST_SECONDS = 1.0
# How many elements before the wrong one a trace begins that cannot begin with the op.
_TURNS = 32
# Source: System V ABI, AMD64 supplement, section 3.2.1.
_PRESERVED = frozenset({"rbx", "rbp", "r12", "r13", "r14", "r15"})


def accuse(
    source: LiveSource, verdict: Verdict, observation: Observation, timeout: float = 10.0
) -> Culprit | None:
    """Return who made what `verdict`, one of an observation's, finds wrong; None for nobody.

    Runs the program again, with `source`, which it owns from then on and closes.
    """
    search = _Search(source, verdict, observation, timeout)
    try:
        return search.culprit()
    except (ProgramError, GdbError) as error:
        # What was found until then still holds.
        search.found.notes.append(f"the search was cut short: {error}")
        return search.found.culprit(verdict.subject.buffer)
    finally:
        source.close()


class _Search:
    """One search: by experiment, and where that leaves doubt by the way the number was made."""

    def __init__(
        self, source: LiveSource, verdict: Verdict, observation: Observation, timeout: float
    ) -> None:
        self.source = source
        self.verdict = verdict
        self.observation = observation
        buffer = verdict.subject.buffer
        # Of a buffer that changed behind the op's back, and of what the user's own function makes,
        # there is no formula to search by.
        is_formula = buffer in observation.expected and not observation.op.kind.source
        self.evidence: Evidence | None = observation.evidence.get(buffer) if is_formula else None
        self.timeout = timeout
        self.clock = Clock(_SECONDS)
        self._doubtful: list[Repair] = []
        self._before = 0
        self.step = verdict.subject.step
        self.code = Disassembly(source.placed.executable)
        self.found = Found(self.code)
        op = source.layer_map.op(verdict.subject.op)
        assert op is not None
        self.op: Op = op

    def culprit(self) -> Culprit | None:
        """Return who is to blame."""
        subject = self.verdict.subject
        element = self._index()
        if element is None and (
            self.evidence is not None or self.verdict.status is not Status.UNWRITTEN
        ):
            return None
        trying = Clock(_EXPERIMENT_SECONDS)
        if self._is_repaired():
            if element is not None and trying.left >= _LEAST_SECONDS:
                self.clock = trying
                self._follow(Place(subject.buffer, element))
            return self.found.culprit(
                subject.buffer if element is None else str(Place(subject.buffer, element))
            )
        self.clock = Clock(_SECONDS)
        if self.verdict.status is Status.UNWRITTEN and self.evidence is None:
            find_detour(self.source, self.code, self.found, self.op, self.step, self.timeout)
            return self.found.culprit(subject.buffer)
        if element is None:
            return None
        place = Place(subject.buffer, element)
        if self.evidence is not None:
            self._out_of_order(self.evidence)
            if self.verdict.status is Status.NONFINITE:
                self._came_wrong(place)
        self._wrong(place)
        for repair in self._doubtful:
            self._blame_repair(repair, self._before)
        return self.found.culprit(str(place))

    def _index(self) -> tuple[int, ...] | None:
        """Return the first element that is wrong."""
        if self.evidence is not None:
            bad, actual = self.evidence.bad, self.evidence.actual
            if self.verdict.status is Status.NONFINITE and not np.isfinite(actual).all():
                bad = ~np.isfinite(actual)
            if not bad.any():
                return None  # the op is right, and only what came before it is not
            return tuple(int(i) for i in np.argwhere(bad)[0])
        return self.verdict.worst.index if self.verdict.worst else None

    def _is_repaired(self) -> bool:
        """Whether a change was found that makes the op right; adds what can be changed."""
        if self.evidence is not None and self._is_out_of_order(self.evidence):
            return False
        try:
            found = experiment(
                self.source, self.code, self.verdict, self.observation, _EXPERIMENT_SECONDS
            )
        except (ProgramError, GdbError) as error:
            self.found.notes.append(f"no change could be tried: {error}")
            return False
        self.found.notes += [f"no change was tried: {note}" for note in found.notes]
        convincing = [r for r in found.repairs if r.is_convincing(found.before)]
        is_certain = any(repair.is_certain for repair in convincing)
        # One that goes round the mistake, or is right by chance, comes after all else.
        self._doubtful = [] if is_certain else [r for r in convincing if not r.wrong]
        for repair in convincing:
            if repair not in self._doubtful:
                self._blame_repair(repair, found.before)
        self._before = found.before
        for address, says in found.beside if is_certain else ():
            self.found.add(address, says)
        return is_certain

    def _blame_repair(self, repair: Repair, before: int) -> None:
        is_output = self.verdict.subject.buffer in self.op.outputs.values()
        says = repair.says(self.verdict, before, is_output)
        self.found.add(repair.change.site, says, repair.change.text)

    def _follow(self, place: Place) -> None:
        """Add how a wrong element was computed; what would have made it right is known by then."""
        if self.evidence is None or self.verdict.status is Status.UNWRITTEN:
            return
        repaired, self.found = self.found, Found(self.code)
        with suppress(ProgramError, GdbError):
            self._wrong(place)
        way, self.found = self.found, repaired
        self.found.computed = way.computed
        # Where the sum went wrong comes behind what is the likeliest to have kept it right.
        for suspect in way.suspects[:1] if way.computed is not None else ():
            self.found.insert(suspect.address, suspect.says, at=1)

    def _is_out_of_order(self, evidence: Evidence) -> bool:
        """Whether the op read other numbers than the map's order gives it."""
        for part, buffer in self.op.inputs.items():
            meant, there = evidence.inputs[part], evidence.others.get(buffer)
            if (
                there is not None
                and there.shape == meant.shape
                and not np.array_equal(bits(there), bits(meant))
            ):
                return True
        return False

    # An op that ran too early or too late

    def _out_of_order(self, evidence: Evidence) -> None:
        """An input was another when the op ran than the map's order gives it: who wrote it when?"""
        for part, buffer in self.op.inputs.items():
            meant, there = evidence.inputs[part], evidence.others.get(buffer)
            if there is None or there.shape != meant.shape or not meant.size:
                continue
            differs = np.argwhere(bits(there) != bits(meant))
            if not len(differs):
                continue
            place = Place(buffer, tuple(int(i) for i in differs[0]))
            watch = Watch(self.source, self.step, place, None, self.timeout)
            watch.follow(self.clock.left)
            at = next((n for n, a in enumerate(watch.arrivals) if self.op.name in a.ops), None)
            if at is None:
                return
            names = [name for a in watch.arrivals[: at + 1] for name in a.ops]
            early = [w for w in watch.writes if w.op in names and w.before != w.after]
            late = [w for w in watch.writes if w.op not in names and w.before != w.after]
            if early and not np.array_equal(bits(there), bits(evidence.stale.get(buffer, there))):
                self._blame_early(early[-1], place)
            elif late:
                self._blame_late(late[0], place)
            return

    def _blame_early(self, write: Write, place: Place) -> None:
        says = f"changes {place} before {self.op.name} has read it"
        for call in write.chain[:1]:
            self.found.add(call.address, f"calls what {says}")
        self.found.add(write.site.address, says)

    def _blame_late(self, write: Write, place: Place) -> None:
        """The op ran before what it reads was there: the calls part where the order is wrong."""
        self.source.start(self.step)
        own = Watch(self.source, self.step, self._first_output(), self.op.name, self.timeout)
        own.follow(self.clock.left)
        chain = next((w.chain for w in reversed(own.writes)), ())
        mine, theirs = list(reversed(chain)), list(reversed(write.chain))
        for one, other in zip(mine, theirs, strict=False):
            if one != other:
                says = f"is called before {place} is there, which {self.op.name} reads"
                self.found.add(one.address, says)
                self.found.add(other.address, f"writes {place}, and is called too late")
                return

    def _first_output(self) -> Place:
        assert self.evidence is not None
        index = tuple(int(i) for i in np.argwhere(self.evidence.bad)[0])
        return Place(self.verdict.subject.buffer, index)

    # A wrong element

    def _wrong(self, place: Place) -> None:
        is_output = place.buffer in self.op.outputs.values()
        late = "behind" in self.verdict.says and self.evidence is None
        until = None if late else self.op.name
        told = self.evidence.addresses if self.evidence is not None else {}
        watch = Watch(self.source, self.step, place, until, self.timeout, addresses=told)
        watch.follow(self.clock.left)
        behind = max(0, len(watch.arrivals) - 1)
        names = {name for a in watch.arrivals[behind:] for name in a.ops}
        own = [w for w in watch.writes if (w.op in names if names else w.op is None)]
        if self.evidence is None or not is_output:
            self._stray(watch, own, behind)
        elif not own:
            self._unwritten(watch, place, behind)
        else:
            self._written(watch, place, own, behind)

    def _stray(self, watch: Watch, own: Sequence[Write], behind: int) -> None:
        """Which store changed a buffer of which no formula is known, and who called for it?

        The buffer is none of the op's, or made by a function of the user's.
        """
        changing = [w for w in own if w.before != w.after] or list(own)
        if not changing:
            return
        write, place = changing[0], watch.place
        trace, _ = self._trace(watch, behind, write, 1)
        index = trace.last_store(watch.span.start, watch.span.stop) if len(trace) else None
        is_output = place.buffer in self.op.outputs.values()
        why = "makes wrong" if is_output else "is not to change"
        says = f"writes {place}, which {self.op.name} {why}"
        if index is None or write.op is None or self._frame_works(trace, index, watch.places):
            self.found.add(write.site.address, says)
        else:
            self._blame_store(trace, index, watch.places, ())
            self.found.add(write.site.address, says)
        for call in write.chain[:2]:
            self.found.add(call.address, f"the call that led to the write of {place}")

    def _blame_store(self, trace: Trace, index: int, places: Places, meant: Sequence[str]) -> None:
        instruction = trace.instructions[index]
        if instruction is None or instruction.store is None:
            return
        for address, says in blame_address(
            trace, index, instruction.store, places, meant, lambda place: False
        ):
            self.found.add(address, says)

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
        trace, is_whole = self._trace(watch, behind, None, 1)
        near = self._neighbour(watch, place)
        if not is_whole and len(place.index) > 1 and not place.index[-1] and near is not None:
            late, is_whole = self._trace(watch, behind, None, 1, near)
            trace = late if len(late) else trace
        if not is_whole:
            self.found.notes.append("the op is too long to be followed to its end")
        outputs = set(self.op.outputs.values())
        own: list[tuple[int, Place]] = []
        foreign: list[int] = []
        for index, start, _ in trace.stores:
            hit = watch.places.at(start)
            if hit is not None and hit.buffer == place.buffer:
                own.append((index, hit))
            elif hit is not None and hit.buffer not in outputs:
                foreign.append(index)
        if own:
            self._in_part(trace, own, watch.places, place)
            return
        self._read_only(watch, place, behind)
        if foreign:
            self._blame_store(trace, foreign[0], watch.places, list(outputs))
            store = trace.addresses[foreign[0]]
            self.found.add(store, f"writes where {place.buffer} is meant")
        says = f"the last before the boundary: nothing here writes {place.buffer}"
        for index in range(len(trace) - 1, -1, -1):
            self.found.add(trace.addresses[index], says)

    def _in_part(
        self, trace: Trace, own: Sequence[tuple[int, Place]], places: Places, place: Place
    ) -> None:
        """Others of the output were written: was it passed over, or written somewhere else?"""
        before = [(hit.index, index) for index, hit in own if hit.index < place.index]
        after = max(before)[1] if before else own[-1][0]
        right = places.counts(place.buffer)
        store = trace.addresses[after]
        if self._elsewhere(trace, own, places, place):
            return
        reasons = list(loops.ended_early(trace, after, right))
        for address, why in reasons:
            if why.startswith(loops.LIMIT):
                self.found.add(address, f"{why}: {place} is never written")
        if len(place.index) > 1 and not place.index[-1] and before:
            # The row before is complete: that its loop ended is right.
            for node in loops.branches_behind(trace, after):
                says = f"here the op goes on, and {place} is never written"
                self.found.add(trace.addresses[node], says)
        later = any(index > after and trace.addresses[index] == store for index, _ in own)
        branch = None if later else loops.skipped(trace, store, after)
        if branch is not None:
            for address, why in loops.decided(trace, branch, right):
                self.found.add(address, f"{why}: {place} is never written")
        for address, why in reasons:
            self.found.add(address, f"{why}: {place} is never written")

    def _elsewhere(
        self, trace: Trace, own: Sequence[tuple[int, Place]], places: Places, place: Place
    ) -> bool:
        """Whether what the element needs was loaded and stored elsewhere; adds who led it there."""
        assert self.evidence is not None
        wanted = needs(self.evidence, place.index)
        stores = [index for index, _ in own]
        for index, instruction in enumerate(trace.instructions):
            if instruction is None or (access := instruction.load) is None or access.base == "rsp":
                continue
            span = trace.span(index, access)
            hit = places.at(span.start)
            if hit is None or hit.buffer not in self.op.inputs.values():
                continue
            inside = [places.at(at) for at in range(span.start, span.stop, access.width or 4)]
            if not any(p is not None and wanted.covers(Place(p.buffer, p.index)) for p in inside):
                continue
            if not wanted.is_one_to_one(hit.buffer):
                continue
            store = next((n for n in stores if n > index), None)
            if store is None or loops.frame(trace, store) != loops.frame(trace, index):
                continue
            target = trace.instructions[store]
            assert target is not None
            assert target.store is not None
            landed = places.at(trace.span(store, target.store).start)
            if landed is None or (landed.index[:-1] == place.index[:-1]):
                continue
            begin, _ = loops.frame(trace, store)
            earlier = [n for n in stores if n < begin]
            for address, says in blame_address(
                trace,
                store,
                target.store,
                places,
                [place.buffer],
                lambda where: where.index[:-1] == place.index[:-1],
                earlier[-1] if earlier else None,
            ):
                self.found.add(address, f"{says}: what belongs into {place} goes to {landed}")
            return True
        return False

    def _read_only(self, watch: Watch, place: Place, behind: int) -> None:
        """Name where the element was read and then not written."""
        sites = [address for at, address in watch.read_sites if at == behind]
        if not sites:
            return
        read = self.code.before(sites[0])
        if read is None:
            return
        self.found.add(read.address, f"reads {place}, and nothing writes it")
        body = [i for i in self.code.function(read.address) if i.address > read.address]
        for instruction in body[:4]:
            self.found.add(instruction.address, f"goes on from {place}, which is not written")

    def _written(self, watch: Watch, place: Place, own: Sequence[Write], behind: int) -> None:
        evidence = self.evidence
        assert evidence is not None
        expected = float(evidence.expected.value[place.index])
        bound = float(evidence.expected.error[place.index])
        good = [n for n, w in enumerate(own) if abs(w.after - expected) <= bound]
        if good and good[-1] < len(own) - 1:
            self._spoilt(own[good[-1]], own[good[-1] + 1], place)
        times = sum(write.site.address == own[-1].site.address for write in own)
        trace, is_whole = self._trace(watch, behind, own[-1], times)
        if not is_whole and times == 1 and (near := self._neighbour(watch, place)) is not None:
            late, is_whole = self._trace(watch, behind, own[-1], times, near)
            trace = late if len(late) else trace
        store = trace.last_store(watch.span.start, watch.span.stop) if len(trace) else None
        if store is None:
            self.found.notes.append("the way to this write is too long to be followed")
            self.found.add(own[-1].site.address, f"wrote {place}")
            for call in own[-1].chain[:1]:
                self.found.add(call.address, f"the call that led to the write of {place}")
            return
        if not is_whole:
            self.found.notes.append("the last of the writes is too far to be followed")
        formula = Formula(
            self.found,
            evidence,
            self.verdict.status,
            trace,
            store,
            watch.span,
            watch.places,
            needs(evidence, place.index),
            place,
            is_whole,
        )
        formula.accuse()
        for register in sorted(formula.limits & _PRESERVED):
            self._not_saved(register)

    def _not_saved(self, register: str) -> None:
        """Name the functions that change a register which they are to preserve."""
        run = functions_run(self.source, self.code, self.step, self.op.name, self.timeout)
        for body in run:
            writes = [i for i in body if register in i.writes]
            saved = any(
                register in i.data and i.store is not None and i.address < writes[0].address
                for i in body
                if writes
            )
            if writes and not saved and self.code.executable.line_at(body[0].address):
                says = f"changes {register}, which the caller needs, and has not saved it"
                self.found.insert(writes[0].address, says)
                self.found.insert(body[0].address, f"begins what {says}")

    def _neighbour(self, watch: Watch, place: Place) -> range | None:
        """Return the bytes of an element that is written a few turns of a loop before."""
        extents = watch.places.extents(place.buffer)
        flat = int(np.ravel_multi_index(place.index, extents)) if extents else 0
        if flat < _TURNS:
            return None
        index = tuple(int(i) for i in np.unravel_index(flat - _TURNS, extents))
        start = watch.places.address(Place(place.buffer, index))
        return range(start, start + watch.places.width(place.buffer))

    def _came_wrong(self, place: Place) -> None:
        """An input that is no number before the step begins: who made it so?"""
        assert self.evidence is not None
        wanted = needs(self.evidence, place.index)
        for part, buffer in self.op.inputs.items():
            array = self.evidence.inputs[part]
            if array.dtype.kind != "f" or not self.source.layer_map.buffers[buffer].is_fixed:
                continue
            for at in np.argwhere(~np.isfinite(array)):
                source = Place(buffer, tuple(int(i) for i in at))
                if not wanted.covers(source):
                    continue
                watch = Watch(self.source, self.step, source, None, self.timeout)
                watch.follow_from_start(self.step, self.clock.left)
                if watch.writes:
                    write = watch.writes[-1]
                    self.found.add(write.site.address, f"writes {write.after} into {source}")
                    for call in write.chain[:1]:
                        self.found.add(call.address, f"the call that led to the write of {source}")
                return

    def _spoilt(self, good: Write, bad: Write, place: Place) -> None:
        says = f"changes {place} from {bad.before:.6g}, which was right, to {bad.after:.6g}"
        call = next((c for c in bad.chain if c not in good.chain), None)
        if call is not None:
            self.found.add(call.address, f"calls what {says}")
        self.found.add(bad.site.address, says)

    def _trace(
        self,
        watch: Watch,
        behind: int,
        write: Write | None,
        times: int,
        near: range | None = None,
    ) -> tuple[Trace, bool]:
        """Run again, and record the interval up to the last of so many writes."""
        self.source.start(self.step)
        goal = Goal(write.site.address, watch.span, times) if write is not None else None
        return trace_interval(
            self.source,
            self.code,
            behind,
            [self.op.name],
            self.clock.left,
            self.timeout,
            goal,
            near,
        )
