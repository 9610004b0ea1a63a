"""Follows every buffer through one step: what it held when, and which changes nobody owns up to.

A change belongs to the op in whose interval it is seen, from the stop before to the one where the
op is complete. Whether it is allowed depends on who owns the buffer, the ops that have it as an
output:

- a buffer that no op owns is set from outside of the map (a batch that is loaded, a learning rate
  that decays), up to and with the first op that reads it;
- an op that is still to be complete may have begun early, or its buffer may have been cleared for
  it: whether that was so shows when the op is judged;
- once all its owners are complete, nothing may change a buffer.

A view is its buffer: who writes the one writes the other. So is a buffer that no op writes by its
own name where it lies in the memory of one that is written. Two that are both written and only lie
in the same memory are two: the one holds what its ops left there until they say otherwise, whatever
becomes of the memory, and that another's op writes there is no stray change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nndbg.capture import Capture, Flat
from nndbg.compare import bits
from nndbg.layermap import LayerMap, Op
from nndbg.sharing import Sharing

_STEP_BEGINS = -1
_GLANCE = 64
_WORD = 8


@dataclass(frozen=True, eq=False)
class Stray:
    """A change of `buffer` in the interval of the op of index `op`, which does not own it.

    Where `is_padding`, the bytes changed lie between the end of the buffer and what comes next.
    """

    op: int
    buffer: str
    after: Flat
    before: Flat
    is_padding: bool = False


@dataclass(frozen=True, eq=False)
class _Version:
    """What a buffer held once the op of index `writer` was complete."""

    writer: int
    flat: Flat


class History:
    """The buffers of one step, version by version."""

    def __init__(self, layer_map: LayerMap, ops: Sequence[Op], begin: Capture) -> None:
        self._map = layer_map
        self._ops = ops
        self.begin = begin
        self.last = begin
        self.done: dict[int, Capture] = {}
        self.entered: dict[int, Capture] = {}
        self._versions = {name: [_Version(_STEP_BEGINS, flat)] for name, flat in begin.flat.items()}
        self._suspects: dict[int, list[Stray]] = {}
        carried = layer_map.carried(ops)
        # What only a register leads to may be given back once it has been read.
        self._scratch = frozenset(
            b.name
            for b in layer_map.buffers.values()
            if b.is_scratch or (b.held is not None and b.name not in carried)
        )
        self._carried = carried - self._scratch
        self._sharing = Sharing(layer_map)
        self._settings: dict[int, list[Stray]] = {}
        self._healed: list[tuple[int, Capture]] = []
        self._owners: dict[str, list[int]] = {}
        self._readers: dict[str, list[int]] = {}
        for index, op in enumerate(ops):
            for name in layer_map.with_kin(op.outputs.values()):
                self._owners.setdefault(name, []).append(index)
            for name in layer_map.with_kin(op.reads):
                self._readers.setdefault(name, []).append(index)
        # What no op of the step names may change at any time, and is not even compared.
        self._used = self._owners.keys() | self._readers.keys()

    def note(self, index: int, capture: Capture) -> list[Stray]:
        """Take the capture of a completed op; returns the changes that no op may have made."""
        self._take_healed(capture)
        outputs = frozenset(self._ops[index].outputs.values())
        for name, flat in capture.found.items():
            if name not in self.last.flat or self._is_elsewhere(name, capture):
                self._add(name, index - 1, flat)
        for name in outputs & capture.flat.keys() - capture.found.keys():
            if name not in self.last.flat or self._is_elsewhere(name, capture):
                self._add(name, index - 1, _unknown(capture.flat[name]))
        written = self._written(outputs, capture)
        for name in written & capture.flat.keys():
            self._add(name, index, capture.flat[name])
        strays: list[Stray] = []
        # Ops that were complete at the same stop were captured at once.
        if capture.flat is not self.last.flat:
            for name, flat in capture.flat.items():
                if name not in outputs:
                    strays += self._seen(index, name, flat, capture, outputs)
            strays += _overruns(index, self.last, capture)
        self.entered[index] = self.last
        self.done[index] = capture
        self.last = capture
        return strays

    def heal(self, index: int, capture: Capture) -> None:
        """Take what an op was made to leave: no op changed it, and those behind it go on with it.

        Other ops that were complete at the same stop had run before it was written.
        """
        self._healed.append((index, capture))

    def before(self, index: int, name: str) -> Flat | None:
        """Return what the ops before `index` in the map left in the buffer, None where nothing."""
        versions = self._versions.get(name, [])
        return next((v.flat for v in reversed(versions) if v.writer < index), None)

    def makers(self, index: int) -> dict[str, str]:
        """Return, for each buffer that an op before `index` in the map owns, the last such op."""
        made = {name: [o for o in owners if o < index] for name, owners in self._owners.items()}
        return {name: self._ops[owners[-1]].name for name, owners in made.items() if owners}

    def changers(self, index: int) -> dict[str, str]:
        """Return, by buffer, the ops after `index` in the map that were complete before it ran."""
        order = list(self.done)
        early = [o for o in order[: order.index(index)] if o > index]
        return {
            **self._overwritten(order[: order.index(index)]),
            **{name: self._ops[o].name for o in early for name in self._ops[o].outputs.values()},
        }

    def settle(self, owner: int, agrees: bool) -> list[Stray]:
        """Return the changes that the judgement of `owner` shows not to have been its own."""
        suspects = self._suspects.pop(owner, [])
        return [] if agrees else suspects

    def take_back(self, index: int) -> list[Stray]:
        """Take what was set in the interval of `index`, for it to read, as having come after it.

        Returns those changes; they are the op's own if it agrees with what was there before.
        """
        strays = self._settings.pop(index, [])
        for stray in strays:
            self._versions[stray.buffer] = [
                _Version(index, version.flat) if version.flat is stray.after else version
                for version in self._versions[stray.buffer]
            ]
        return strays

    def between_steps(self, begin: Capture) -> list[Stray]:
        """Return what changed from the last op's end to the next step's beginning.

        Only what the next step goes on with counts, and only where ops own it: buffers that some
        op writes and the first op to use them reads. What ops of another phase write may have
        changed where a step of that one has begun meanwhile.
        """
        self._take_healed(begin)
        index = len(self._ops) - 1
        carried = self._carried - self._map.written_in(begin.others)
        return [
            Stray(index, name, begin.flat[name], flat)
            for name, flat in self.last.flat.items()
            if name in begin.flat
            and name in carried
            and not _is_another(name, self.last, begin)
            and not _same_bits(flat, begin.flat[name])
        ]

    def _take_healed(self, capture: Capture) -> None:
        """Let what was healed count, once the program has gone on to `capture`."""
        if capture.flat is self.last.flat:
            return
        for index, healed in self._healed:
            for name, flat in healed.flat.items():
                last = self.last.flat.get(name)
                if last is None or not _same_bits(last, flat):
                    self._add(name, index, flat)
            self.last = healed
        self._healed.clear()

    def _seen(
        self, index: int, name: str, flat: Flat, capture: Capture, outputs: frozenset[str]
    ) -> Iterable[Stray]:
        """Take what a buffer holds that the op of `index` does not own."""
        last = self.last.flat.get(name)
        if last is None or _is_another(name, self.last, capture):
            # Another array under the same name, set up for this op.
            if name not in self._written(outputs, capture) and name not in capture.found:
                self._add(name, index - 1, flat)
            return ()
        if name not in self._used or flat is last or _same_bits(last, flat):
            return ()
        if name in self._scratch and not self._is_live(name):
            return ()
        others = outputs if self._is_live(name) else outputs | self._owners.keys()
        rest = self._sharing.without(name, flat, last, others - {name}, outputs, capture)
        if rest is not flat and _same_bits(last, rest):
            return ()
        if name in self._written(outputs, capture):
            # What it shares with an output is taken already.
            is_used = name in self._owners or any(r in self.done for r in self._readers[name])
            return (Stray(index, name, rest, last),) if is_used else ()
        return self._changed(index, Stray(index, name, rest, last))

    def _written(self, outputs: frozenset[str], capture: Capture) -> frozenset[str]:
        """Return the buffers that an op has written with these: what shares their numbers too."""
        kin = self._map.with_kin(outputs)
        return kin.union(
            other
            for name in kin
            for other in self._sharing.others(name, capture)
            if other not in self._owners
        )

    def _is_live(self, name: str) -> bool:
        """Whether an op has written the buffer in this step that another is still to read.

        Of what no op writes, whether one has read it.
        """
        readers = self._readers.get(name, [])
        begun = self._owners.get(name, readers)
        return any(o in self.done for o in begun) and any(r not in self.done for r in readers)

    def _overwritten(self, order: Sequence[int]) -> dict[str, str]:
        """Return, by buffer, the op that was complete last of those that wrote over its memory."""
        return {
            shared: self._ops[o].name
            for o in order
            for name in self._ops[o].outputs.values()
            for shared in self._sharing.others(name, self.done[o])
        }

    def _is_elsewhere(self, name: str, capture: Capture) -> bool:
        return self.last.addresses[name] != capture.addresses[name]

    def _changed(self, index: int, stray: Stray) -> Iterator[Stray]:
        name = stray.buffer
        owners = self._owners.get(name)
        if owners is None:
            readers = self._readers.get(name, [])
            if any(reader in self.done for reader in readers):
                yield stray
            elif index in readers:
                self._settings.setdefault(index, []).append(stray)
            self._add(name, index - 1, stray.after)
            return
        pending = next((owner for owner in owners if owner not in self.done), None)
        if pending is None:
            yield stray
            self._add(name, index, stray.after)
        else:
            self._suspects.setdefault(pending, []).append(stray)
            self._add(name, pending, stray.after)

    def _add(self, name: str, writer: int, flat: Flat) -> None:
        self._versions.setdefault(name, []).append(_Version(writer, flat))


def _unknown(like: Flat) -> Flat:
    """Return what stands for numbers that nobody has seen: it differs from `like` in every bit."""
    inverted: Flat = np.invert(bits(like)).view(like.dtype)
    return inverted


def _overruns(index: int, last: Capture, capture: Capture) -> Iterator[Stray]:
    for name, after in capture.padding.items():
        before = last.padding.get(name)
        if before is not None and after is not before and not np.array_equal(before, after):
            yield Stray(index, name, after, before, is_padding=True)


def _is_another(name: str, last: Capture, capture: Capture) -> bool:
    """Return whether a pointer was moved, or an array has another size."""
    return (
        last.flat[name].size != capture.flat[name].size
        or last.addresses[name] != capture.addresses[name]
    )


def _same_bits(a: Flat, b: Flat) -> bool:
    """Whether two arrays of one type hold the same bytes; most that do not differ at once."""
    if not np.array_equal(bits(a[:_GLANCE]), bits(b[:_GLANCE])):
        return False
    if a.nbytes % _WORD or b.nbytes % _WORD:
        return bool(np.array_equal(bits(a), bits(b)))
    return bool(np.array_equal(a.view(np.uint64), b.view(np.uint64)))
