"""Which boundaries the program passes where it stops: the n-th time, the call that is meant."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from nndbg.layermap import Boundary, PlacedMap
from nndbg.layermap.boundary import Word

Registers = Mapping[str, int]
_WORD = 8


@dataclass(frozen=True)
class _Call:
    """A call that has not returned: where it goes back to, and its words, by their texts."""

    back: int
    words: Mapping[str, int]


@dataclass(frozen=True)
class Sight:
    """How to look at the program where it stands; addresses as loaded.

    `registers` are its general registers, `word` is a 64-bit word of its memory, and `span` the
    bytes of a buffer. What is linked to an address is loaded `offset` behind it.
    """

    registers: Callable[[], Registers]
    word: Callable[[int], int]
    span: Callable[[str], range]
    offset: int


class Passages:
    """Follows one run from stop to stop: tell it each with `come`."""

    def __init__(self, placed: PlacedMap, sight: Sight) -> None:
        self._placed = placed
        self._sight = sight
        phase = placed.layer_map.phase
        self._step = phase.step
        self._done = {op.name: op.done for op in phase.ops}
        self._enter = {op.name: op.enter for op in phase.ops if op.enter is not None}
        self._at: dict[int, list[Boundary]] = defaultdict(list)
        self._entries: dict[int, list[Boundary]] = defaultdict(list)
        # Where functions are left that begin with a loop: that it goes on is no call.
        self._exits: dict[int, set[Boundary]] = defaultdict(set)
        self._others = {other.name: other.step for other in placed.layer_map.others}
        places = [(phase.step, placed.step)]
        places += [(boundary, placed.others[name]) for name, boundary in self._others.items()]
        places += [(boundary, placed.done[op]) for op, boundary in self._done.items()]
        places += [(boundary, placed.enter[op]) for op, boundary in self._enter.items()]
        places += [(held, placed.held[name]) for name, (held, _) in self._held().items()]
        for boundary, addresses in places:
            each = _each_time(boundary)
            for address in addresses:
                if each not in self._at[address]:
                    self._at[address].append(each)
            for address in placed.exits.get(boundary.text, ()):
                self._exits[address].add(each)
            entry = placed.entries.get(boundary.text)
            if entry is not None and each not in self._entries[entry]:
                self._entries[entry].append(each)
        self._holding = {_each_time(boundary) for boundary, _ in self._held().values()}
        self._calls: dict[tuple[Boundary, int], _Call] = {}
        self._here: dict[Boundary, Registers] = {}
        self._counts: Counter[tuple[str, Boundary]] = Counter()
        # What the words of a boundary were each time that the program came by, meant or not.
        self._came: dict[Boundary, list[str]] = defaultdict(list)
        self._address = 0

    def _held(self) -> Mapping[str, tuple[Boundary, Word]]:
        buffers = self._placed.layer_map.buffers.values()
        return {b.name: b.held for b in buffers if b.held is not None and b.view is None}

    def new_step(self) -> None:
        """Count from here."""
        self._counts.clear()
        self._came.clear()

    def come(self, address: int, registers: Registers | None = None) -> None:
        """Take note that the program has come to `address`, as linked.

        `registers` are what it has there, as loaded; asked for where they are not given.
        """
        self._address = address
        self._here = {}
        boundaries, begun = self._at.get(address, ()), self._entries.get(address, ())
        ended = self._exits.get(address, ())
        if not begun and not ended and not any(self._wants_registers(b) for b in boundaries):
            self._here = {boundary: {} for boundary in boundaries}
            return
        known = self._sight.registers() if registers is None else registers
        for boundary in ended:
            self._returning(boundary, address, known["rsp"])
        for boundary in begun:
            if boundary.text in self._placed.looped and (boundary, known["rsp"]) in self._calls:
                continue
            words: Mapping[str, int] = self._words(boundary, known)
            back = self._sight.word(known["rsp"]) - self._sight.offset
            self._calls[boundary, known["rsp"]] = _Call(back, words)
        for boundary in boundaries:
            if boundary.text in self._placed.exits:
                key = boundary, known["rsp"]
                if key in self._calls:
                    continue
                self._calls[key] = _Call(self._sight.word(known["rsp"]) - self._sight.offset, {})
            if self._is_followed(boundary):
                call = self._returning(boundary, address, known["rsp"])
                if call is None:
                    continue
                words = call.words
            else:
                words = self._words(boundary, known)
            if boundary.call:
                self._came[boundary].append(self._told(boundary, words))
            if all(self._is_meant(word, words[word.text], meant) for word, meant in boundary.call):
                self._here[boundary] = known

    @property
    def begins_step(self) -> bool:
        """Whether a step begins here."""
        return self._address in self._placed.step and _each_time(self._step) in self._here

    def others(self) -> frozenset[str]:
        """Return the other phases of which a step begins here."""
        return frozenset(
            name
            for name, boundary in self._others.items()
            if self._address in self._placed.others[name] and _each_time(boundary) in self._here
        )

    def done(self) -> tuple[str, ...]:
        """Return the ops that are complete here; to be asked once a stop."""
        return self._count("done", self._done, self._placed.done)

    def begun(self) -> tuple[str, ...]:
        """Return the ops that begin here; to be asked once a stop, in the step that they are of."""
        return self._count("enter", self._enter, self._placed.enter)

    def addresses(self) -> dict[str, int]:
        """Return where the buffers begin of which the program holds the address here, as loaded."""
        held = self._held()
        boundaries = {name: boundary for name, (boundary, _) in held.items()}
        return {
            name: self._value(held[name][1], self._here[_each_time(boundaries[name])])
            for name in self._count("at", boundaries, self._placed.held)
        }

    def missed(self, op: str, step: int) -> str:
        """Return why an op that should have been complete in the step was not; "" if that is plain.

        It is where its boundary says which time it means.
        """
        boundary = self._done[op]
        if boundary.is_plain:
            return ""
        each = _each_time(boundary)
        came = self._came[each]
        if not boundary.call:
            count = self._counts["done", each]
            return f"{boundary} was never passed: it was passed {_times(count)} in step {step}"
        text = f"{boundary} was never passed: {boundary.text} was passed {_times(len(came))}"
        return f"{text} in step {step}{', with ' if came else ''}{', '.join(came)}"

    def _count(
        self, role: str, boundaries: Mapping[str, Boundary], places: Mapping[str, Iterable[int]]
    ) -> tuple[str, ...]:
        here = {
            name: each
            for name, boundary in boundaries.items()
            if self._address in places[name] and (each := _each_time(boundary)) in self._here
        }
        for each in set(here.values()):
            self._counts[role, each] += 1
        return tuple(
            name
            for name, each in here.items()
            if boundaries[name].nth in (None, self._counts[role, each])
        )

    def _wants_registers(self, boundary: Boundary) -> bool:
        return (
            bool(boundary.call)
            or boundary in self._holding
            or boundary.text in self._placed.exits
            or self._is_followed(boundary)
        )

    def _is_followed(self, boundary: Boundary) -> bool:
        return boundary.text in self._placed.entries

    def _returning(self, boundary: Boundary, address: int, stack: int) -> _Call | None:
        """Return the call that ends here, with this stack or, behind the call, with more of it."""
        if boundary.text not in self._placed.behind:
            return self._calls.pop((boundary, stack), None)
        ended = [
            key
            for key, call in self._calls.items()
            if key[0] == boundary and call.back == address and key[1] < stack
        ]
        return self._calls.pop(max(ended, key=lambda key: key[1])) if ended else None

    def _words(self, boundary: Boundary, registers: Registers) -> dict[str, int]:
        return {word.text: self._value(word, registers) for word, _ in boundary.call}

    def _value(self, word: Word, registers: Registers) -> int:
        value = (registers[word.register] + word.offset) % (1 << 64)
        if word.is_in_memory:
            return self._sight.word(value)
        return value % (1 << 8 * word.size)

    def _is_meant(self, word: Word, value: int, meant: str | int) -> bool:
        if isinstance(meant, str):
            return value in self._sight.span(meant)
        return value == meant % (1 << 8 * word.size)

    def _told(self, boundary: Boundary, words: Mapping[str, int]) -> str:
        return " ".join(
            f"{word}={self._name(words[word.text], meant)}" for word, meant in boundary.call
        )

    def _name(self, value: int, meant: str | int) -> str:
        if not isinstance(meant, str):
            return str(value)
        buffers = self._placed.layer_map.buffers
        holder = next((name for name in buffers if value in self._sight.span(name)), None)
        return holder or f"{value:#x}"


def _each_time(boundary: Boundary) -> Boundary:
    return replace(boundary, nth=None)


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")
