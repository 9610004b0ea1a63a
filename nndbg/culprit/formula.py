"""Compares what an element was made of with what its formula needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from nndbg.compare import Status
from nndbg.culprit import loops
from nndbg.culprit.addresses import blame_address, moved_since, strides
from nndbg.culprit.found import Found
from nndbg.culprit.intermediate import follow_steps
from nndbg.culprit.needs import Needs
from nndbg.culprit.partial import Parting, follow_sum
from nndbg.culprit.slicing import Slice, Trace, value_slice
from nndbg.culprit.terms import terms_of
from nndbg.diagnose import Evidence
from nndbg.places import Place, Places

Load = tuple[int, Place]
# How many missing elements are tried before it is taken that those missing change nothing.
_MOST_TRIED = 12
# The registers in which a function returns; source: System V ABI, AMD64 supplement, 3.2.3.
_RETURNED = frozenset({"rax", "rdx", "zmm0", "flags"})


class Formula:
    """One wrong element, the instructions that made it, and what they should have been made of.

    `is_whole` says whether the trace goes on to the last write of the element.
    """

    def __init__(
        self,
        found: Found,
        evidence: Evidence,
        status: Status,
        trace: Trace,
        store: int,
        span: range,
        places: Places,
        wanted: Needs,
        place: Place,
        is_whole: bool,
    ) -> None:
        self.found = found
        self.evidence = evidence
        self.status = status
        self.trace = trace
        self.store = store
        self.span = span
        self.places = places
        self.needs = wanted
        self.place = place
        self.is_whole = is_whole
        self.slice: Slice = value_slice(trace, store, span.start, span.stop)
        self.right: list[Load] = []
        self.foreign: list[Load] = []
        self.old: list[Load] = []
        self.strange: list[int] = []
        # Registers that held a loop's limit since before the op began.
        self.limits: set[str] = set()
        self._sort_leaves()

    def accuse(self) -> None:
        """Add the candidates, the likeliest first."""
        for index, at in self.old[:2]:
            self._add(index, f"takes {at} as it was before the op")
        self._overlapping_store()
        self._clobbered()
        self._upper_lanes_cleared()
        parting = self._parting()
        stale = self._stale() or (parting is not None and self._kept(parting))
        if self.foreign and not stale:
            self._foreign()
        if parting is not None and parting.is_lost:
            self._part(parting)
        if self.is_whole:
            if parting is None or not parting.is_whole:
                self._missing()
            self._choice()
        if parting is not None:
            self._part(parting)
        self._arithmetic()

    def _add(self, index: int, says: str) -> None:
        self.found.add(self.trace.addresses[index], says)

    # What was loaded

    def _sort_leaves(self) -> None:
        trusted = self._trusted()
        outputs, inputs = self.needs.op.outputs.values(), self.needs.op.inputs.values()
        for leaf in self.slice.leaves:
            at = leaf.address
            while at < leaf.address + leaf.size:
                hit = self.places.at(at)
                if hit is None:
                    at += 4
                    if leaf.index in trusted and self._is_variable(leaf.address):
                        self.strange.append(leaf.index)
                    continue
                at += self.places.width(hit.buffer) - hit.offset
                whole = Place(hit.buffer, hit.index)
                if self.needs.covers(whole):
                    self.right.append((leaf.index, whole))
                elif leaf.index not in trusted:
                    continue
                elif hit.buffer in outputs and hit.buffer not in inputs:
                    same = leaf.address in self.span
                    (self.old if same else self.foreign).append((leaf.index, whole))
                else:
                    self.foreign.append((leaf.index, whole))

    def _trusted(self) -> set[int]:
        """Return the instructions whose way to the element was followed lane by lane."""
        makers: dict[int, set[int]] = defaultdict(set)
        for maker, users in self.slice.feeds.items():
            for user in users:
                makers[user].add(maker)
        pending, found = [self.store], set()
        while pending:
            node = pending.pop()
            if node not in found and node not in self.slice.loose:
                found.add(node)
                pending += makers[node]
        return found

    def _is_variable(self, address: int) -> bool:
        """Whether an array of the program lies there that the map does not know."""
        symbol = self.trace.code.executable.symbol_at(address - self.trace.offset)
        return symbol is None or symbol.size > self.places.width(self.place.buffer) * 2

    # Loads of what the formula does not need

    def _stale(self) -> bool:
        """Whether a sum that belongs to another element was taken along; adds who did."""
        inputs = self.needs.op.inputs.values()
        strangers = [load for load in self.foreign if load[1].buffer in inputs]
        if not self.right or not strangers or strangers[0][0] >= self.right[0][0]:
            return False
        begin, stranger = strangers[0]
        border = self._other_element(begin, self.right[0][0])
        if border is None:
            return False
        self._not_cleared(begin, stranger, border)
        return True

    def _kept(self, parting: Parting) -> bool:
        """Whether the lane went on with a sum that belongs to another element; adds who did."""
        if parting.index is None or not parting.is_stale:
            return False
        if not self.foreign:
            self._part(parting)
            self._cleared_beside(parting.index)
            return True
        begin, stranger = self.foreign[0]
        border = self._other_element(begin, parting.index)
        if border is None:
            return False
        self._not_cleared(begin, stranger, border)
        for node in self.slice.ordered:
            if border <= node < parting.index:
                self._add(node, f"begins a part of {self.place}, and another part is not cleared")
                break
        return True

    def _not_cleared(self, begin: int, stranger: Place, border: int) -> None:
        cleared = [n for n in self.slice.ordered if n < begin and self._begins(n)]
        for node in cleared[-1:]:
            says = f"begins the sum, and not again before {self.place}: {stranger} is still in it"
            self._add(node, says)
        for node in self.slice.ordered:
            if node >= border and any(
                maker < border and node in users for maker, users in self.slice.feeds.items()
            ):
                self._add(node, f"adds to a sum that still holds {stranger}: it is not cleared")
                self._cleared_beside(node)
                for before in range(node - 1, max(node - 4, border), -1):
                    self._add(before, "between the last element and this one")
                break

    def _cleared_beside(self, node: int) -> None:
        """Add who sets the registers beside the one that is added to: there it is missing."""
        adds = self.trace.instructions[node]
        assert adds is not None
        own = _numbers(adds.writes)
        begin, _ = loops.frame(self.trace, node)
        summing = {
            name
            for other in self.trace.instructions[begin:]
            if other is not None and other.mnemonic == adds.mnemonic
            for name in other.writes
        }
        beside: dict[int, int] = {}
        for index in range(begin, node):
            instruction = self.trace.instructions[index]
            if instruction is not None and (instruction.is_zeroing or not instruction.is_float):
                beside |= dict.fromkeys(_numbers(instruction.writes & summing), index)
        for number in sorted(beside, key=lambda n: (abs(n - own[0]), n))[:2] if own else ():
            self._add(beside[number], "begins the sum beside the one that is not cleared")

    def _other_element(self, begin: int, end: int) -> int | None:
        """Return the last store between the two that wrote other elements of the op's outputs."""
        outputs = set(self.needs.op.outputs.values())
        for index, first, behind in reversed(self.trace.stores):
            if not begin < index < end:
                continue
            hit = self.places.at(first)
            covers = first < self.span.stop and self.span.start < behind
            if hit is not None and hit.buffer in outputs and not covers:
                return index
        return None

    def _begins(self, node: int) -> bool:
        instruction = self.trace.instructions[node]
        return instruction is not None and (
            instruction.is_zeroing or (instruction.immediate == 0 and not instruction.data)
        )

    def _foreign(self) -> None:
        index, stranger = self.foreign[0]
        if stranger.buffer in self.needs.op.outputs.values() and (
            stranger.buffer not in self.needs.op.inputs.values()
        ):
            self._add(index, f"takes {stranger} into {self.place}")
        else:
            self._blame_load(index, stranger)

    def _blame_load(self, index: int, stranger: Place) -> None:
        instruction = self.trace.instructions[index]
        access = instruction.load if instruction is not None else None
        if access is None:
            return
        same = [
            load
            for load in self.right
            if self.trace.addresses[load[0]] == self.trace.addresses[index]
        ]
        earlier = sorted({at for at, _ in same if at < index})
        since = earlier[-1] if earlier else None
        if self._overrun(index, earlier, stranger):
            return
        output = strides(self.places, self.place)
        got = self._got(stranger, len(earlier))
        buffers = list(dict.fromkeys(self.needs.op.inputs.values()))
        for address, says in blame_address(
            self.trace, index, access, self.places, buffers, self.needs.covers, since, output
        ):
            self.found.add(address, f"{says}: {got}")
            if "points to" in says or "begins here" in says:
                self._call_behind(address, index)
        self._add(index, f"loads {stranger}, which {self.place} does not need")

    def _got(self, stranger: Place, turn: int) -> str:
        """Return in words what was loaded instead of what, in which turn of the loop."""
        have = {place.buffer for _, place in self.right}
        for part, fixed in self.needs.parts.items():
            buffer = self.needs.op.inputs[part]
            meant = buffer == stranger.buffer or (
                stranger.buffer not in self.needs.op.inputs.values() and buffer not in have
            )
            free = [axis for axis, at in enumerate(fixed) if at is None]
            if not meant or len(free) > 1:
                continue
            index = tuple(turn if at is None else at for at in fixed)
            if all(i < n for i, n in zip(index, self.places.extents(buffer), strict=True)):
                when = f"in turn {turn} " if free else ""
                return f"{when}{self.place} got {stranger}, and needs {Place(buffer, index)}"
        return f"{self.place} got {stranger}"

    def _call_behind(self, address: int, index: int) -> None:
        """Add the call that took the pointer set at `address` to the load."""
        function = self.trace.code.executable.function_at(address)
        call = loops.caller(self.trace, index)
        while call is not None:
            if self.trace.code.executable.function_at(self.trace.addresses[call]) == function:
                self._add(call, "the call that takes it there")
                return
            call = loops.caller(self.trace, call)

    def _overrun(self, index: int, earlier: list[int], stranger: Place) -> bool:
        """Whether a load that moved on as evenly as before was one too many; adds who let it."""
        if len(earlier) < 2:
            return False
        access = self.trace.instructions[index]
        assert access is not None
        assert access.load is not None
        *_, before, last = [self.trace.span(n, access.load).start for n in earlier]
        if self.trace.span(index, access.load).start - last != last - before:
            return False
        for node in range(index - 1, earlier[-1], -1):
            instruction = self.trace.instructions[node]
            if instruction is not None and instruction.is_branch:
                self._add(node, f"lets the loop go on: {self.place} got {stranger}")
                right = set(self.places.extents(stranger.buffer))
                for address, why in loops.decided(self.trace, node, right):
                    self.found.add(address, f"{why}: {self.place} got {stranger}")
                break
        self._add(index, f"loads {stranger}, which {self.place} does not need")
        return True

    def _overlapping_store(self) -> None:
        """Add a store that is wider than the step to its next one: it spoils its neighbour."""
        for node in (self.store, *self.slice.ordered):
            instruction = self.trace.instructions[node]
            if instruction is None or (access := instruction.store) is None:
                continue
            if (
                access.base in ("rsp", "rbp")
                and self.places.at(self.trace.span(node, access).start) is None
            ):
                continue
            begins = [
                first
                for index, first, _ in self.trace.stores
                if self.trace.addresses[index] == instruction.address
            ][:4]
            gaps = {b - a for a, b in pairwise(begins)}
            if len(gaps) == 1 and 0 < next(iter(gaps)) < access.size:
                self._add(node, f"stores {access.size} bytes and moves on by {next(iter(gaps))}")

    def _clobbered(self) -> None:
        """Add who takes a register across a call that changes it."""
        executable = self.trace.code.executable
        makers: dict[int, set[int]] = defaultdict(set)
        for maker, users in self.slice.feeds.items():
            for user in users:
                makers[user].add(maker)
        for node in self.slice.ordered:
            if not self._is_here(node):
                continue
            instruction = self.trace.instructions[node]
            assert instruction is not None
            for maker in makers[node]:
                made = self.trace.instructions[maker]
                assert made is not None
                kept = set(instruction.data) & made.writes - _RETURNED
                function = executable.function_at(made.address)
                if not kept or function == executable.function_at(instruction.address):
                    continue
                begin, _ = loops.frame(self.trace, node)
                inner, _ = loops.frame(self.trace, maker)
                if inner > begin and self._set_before(next(iter(kept)), begin, inner):
                    name = function.name if function else "a call"
                    names = dict(zip(instruction.operands, instruction.names, strict=True))
                    register = names.get(next(iter(kept)), next(iter(kept)))
                    self._add(node, f"takes {register}, which {name} has changed since it was set")
                    return

    def _upper_lanes_cleared(self) -> None:
        """Add what cleared the upper lanes of all registers while the element was in one."""
        for node in self.slice.ordered:
            instruction = self.trace.instructions[node]
            if instruction is not None and instruction.mnemonic in ("vzeroupper", "vzeroall"):
                self._add(node, f"clears the lane that {self.place} is in")

    def _set_before(self, register: str, begin: int, end: int) -> bool:
        """Whether the function that stored the element set a register in this part of the trace."""
        return any(
            instruction is not None and register in instruction.writes and self._is_here(node)
            for node, instruction in enumerate(self.trace.instructions[begin:end], start=begin)
        )

    # What was not loaded

    def _missing(self) -> None:
        """Add why something that the formula needs was left out."""
        have = {place for _, place in self.right}
        for part, fixed in self.needs.parts.items():
            buffer = self.needs.op.inputs[part]
            if self.evidence.inputs[part].dtype.kind != "f":
                continue
            lacking = self._lacking(part, fixed, have)
            if lacking is None:
                continue
            if not any(place.buffer == buffer for place in have):
                # What came in a register from before the trace may have been just that.
                if not self.slice.live:
                    self._left_out(buffer)
                continue
            loads = [index for index, place in self.right if place.buffer == buffer]
            extents = self.evidence.inputs[part].shape
            right = {n for n, f in zip(extents, fixed, strict=True) if f is None}
            for address, why in loops.ended_early(self.trace, max(loads), right):
                self.found.add(address, f"{why}: {self.place} lacks {lacking}")
            self.limits |= loops.from_before(self.trace, max(loads))

    def _left_out(self, buffer: str) -> None:
        """Nothing of a whole buffer went in: something else did in its place, or nothing."""
        for index in self.strange[:1]:
            instruction = self.trace.instructions[index]
            if instruction is not None and instruction.load is not None:
                for address, says in blame_address(
                    self.trace, index, instruction.load, self.places, (), self.needs.covers
                ):
                    self.found.add(address, f"{says}, and {self.place} needs {buffer}")
        for node in self.slice.ordered:
            if self._is_here(node) and self._begins(node):
                self._add(node, f"puts 0 where {self.place} needs {buffer}")
        for index in sorted({n for n, _ in self.right}):
            if not self._is_here(index):
                continue
            for user in sorted(self.slice.feeds.get(index, ())):
                self._add(user, f"goes on without {buffer}, which {self.place} needs")
            self._add(index, f"goes on without {buffer}, which {self.place} needs")

    def _lacking(self, part: str, fixed: tuple[int | None, ...], have: set[Place]) -> Place | None:
        """Return an element that the formula needs, that counts and that was never loaded."""
        buffer = self.needs.op.inputs[part]
        shape = self.evidence.inputs[part].shape
        axes = [range(n) if f is None else [f] for n, f in zip(shape, fixed, strict=True)]
        absent = [
            Place(buffer, at)
            for index in np.ndindex(*(len(axis) for axis in axes))
            if Place(buffer, at := tuple(int(a[i]) for a, i in zip(axes, index, strict=True)))
            not in have
        ]
        tried = sorted({int(n) for n in np.linspace(0, len(absent) - 1, _MOST_TRIED)})
        return next((absent[n] for n in tried if absent and self._counts(part, absent[n])), None)

    def _counts(self, part: str, place: Place) -> bool:
        """Whether the element changes the result: a term that is zero may be skipped."""
        with np.errstate(all="ignore"):
            value, bound = self.needs.value(self.evidence, part, place)
            return abs(value - self.needs.unchanged(self.evidence)) > bound

    def _choice(self) -> None:
        """An integer that should have decided was never read: another one was, in its place."""
        for part, fixed in self.needs.parts.items():
            array = self.evidence.inputs[part]
            if array.dtype.kind not in "iu" or any(f is None for f in fixed):
                continue
            buffer = self.needs.op.inputs[part]
            if any(place.buffer == buffer for _, place in self.right):
                continue
            loads = [(index, hit) for index, hit in self._reads(buffer) if index < self.store]
            if not loads or any(self.needs.covers(hit) for _, hit in loads):
                continue
            index, hit = loads[-1]
            instruction = self.trace.instructions[index]
            assert instruction is not None
            assert instruction.load is not None
            for node in reversed(moved_since(self.trace, index)):
                self._add(node, f"moves on in the loop, and the address of {hit} does not")
            for address, says in blame_address(
                self.trace, index, instruction.load, self.places, (buffer,), self.needs.covers
            ):
                self.found.add(address, f"{says}: {self.place} was decided by {hit}")

    def _reads(self, buffer: str) -> Iterable[Load]:
        for index, instruction in enumerate(self.trace.instructions):
            if instruction is None or (access := instruction.load) is None:
                continue
            hit = self.places.at(self.trace.span(index, access).start)
            if hit is not None and hit.buffer == buffer:
                yield index, Place(hit.buffer, hit.index)

    # What was calculated

    def _parting(self) -> Parting | None:
        """Take note of where the running value of the lane parts from the formula."""
        terms = terms_of(self.evidence, self.needs, self.places)
        way, element = (self.trace, self.slice), str(self.place)
        if terms is not None:
            found = follow_sum(*way, terms, self.needs, element)
        else:
            found = follow_steps(*way, self.evidence, self.needs, self.places, element)
        if found is not None:
            self.found.computed = found.computed
        return found

    def _part(self, parting: Parting) -> None:
        if parting.index is not None:
            self._add(parting.index, parting.computed.says)

    def _arithmetic(self) -> None:
        """Name what calculated the element, the last first; what made infinity, the first first."""
        trace = self.trace
        nodes = [n for n in reversed(self.slice.ordered) if trace.instructions[n] is not None]
        here = [n for n in nodes if self._is_here(n)]
        floats = [n for n in here if trace.instructions[n].is_float]  # type: ignore[union-attr]
        if self.status is Status.NONFINITE:
            first = min((index for index, _ in self.right), default=None)
            for node in reversed(here):
                if first is None or node >= first:
                    self._add(node, f"went into {self.place}, which is no number")
        for node in floats[:1]:
            self._add(node, f"the last that calculated {self.place}")
        self._add(self.store, f"stores {self.place}")
        for node in [*floats[1:], *here, *nodes]:
            self._add(node, f"calculated a part of {self.place}")

    def _is_here(self, node: int) -> bool:
        """Whether an instruction belongs to the function that stored the element."""
        executable = self.trace.code.executable
        return executable.function_at(self.trace.addresses[node]) == executable.function_at(
            self.trace.addresses[self.store]
        )


def _numbers(registers: Iterable[str]) -> list[int]:
    """Return the numbers of those that are vector registers."""
    return [int(name[3:]) for name in registers if name.startswith("zmm")]
