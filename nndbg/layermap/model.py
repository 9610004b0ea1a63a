"""What a layer map says, as frozen objects that know nothing of TOML or of an executable."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nndbg.layermap.boundary import Boundary, Word
from nndbg.own import Own
from nndbg.reference import KINDS, Kind
from nndbg.reference.kinds import Parameter

# What a map writes behind the name of a buffer that is stored the other way round.
TRANSPOSE = ".T"
DTYPES: Mapping[str, np.dtype[Any]] = {
    "f32": np.dtype("<f4"),
    "f64": np.dtype("<f8"),
    "i8": np.dtype("<i1"),
    "i16": np.dtype("<i2"),
    "i32": np.dtype("<i4"),
    "i64": np.dtype("<i8"),
    "u8": np.dtype("<u1"),
    "u16": np.dtype("<u2"),
    "u32": np.dtype("<u4"),
    "u64": np.dtype("<u8"),
}


# The key of the op that judges what the user's function of a whole step makes and no op writes.
WHOLE: tuple[str | int, ...] = ("reference",)


@dataclass(frozen=True)
class Size:
    """A named extent. Where `symbol` is given it is read at every stop and is at most `largest`."""

    name: str
    largest: int | None
    symbol: str | None = None
    dtype: str = "i64"

    @property
    def is_fixed(self) -> bool:
        """Whether the map itself states the number."""
        return self.symbol is None


@dataclass(frozen=True)
class Buffer:
    """A named array in the program's memory, rows contiguous; `shape` names sizes or gives numbers.

    It begins at `symbol`, or, where `is_pointer`, at the address that the variable `symbol` holds,
    or, where it is `held`, at the address that the program has in a word whenever it passes a
    boundary. A `view` is a part of another buffer: its name, and how many bytes into it. A constant
    buffer is never written while steps run, and a scratch one means nothing but from the op that
    writes it to the last that reads it.
    """

    name: str
    dtype: str
    shape: tuple[str | int, ...]
    symbol: str
    is_pointer: bool = False
    is_constant: bool = False
    held: tuple[Boundary, Word] | None = None
    view: tuple[str, int] | None = None
    is_scratch: bool = False

    @property
    def is_fixed(self) -> bool:
        """Whether it lies at one place as long as the program runs."""
        return not self.is_pointer and self.held is None

    def extents(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape in numbers."""
        return tuple([axis if isinstance(axis, int) else sizes[axis] for axis in self.shape])

    def elements(self, sizes: Mapping[str, int]) -> int:
        """Return how many elements it has."""
        return math.prod(self.extents(sizes))

    def __str__(self) -> str:
        return f"{self.name} [{', '.join(map(str, self.shape))}] {self.dtype}"


@dataclass(frozen=True)
class Seek:
    """Where the program stops by itself once its step counter equals the variable `target`."""

    boundary: Boundary
    target: str


@dataclass(frozen=True)
class Condition:
    """Holds while the program's integer variable `symbol` has one of the values."""

    symbol: str
    values: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Op:
    """One operation of the step: which buffer takes which part, and where it is complete.

    `key` is its place in the map's text. Where `when` is given, a step has the op only if the
    condition holds as the step begins. `enter` is where the op begins, None where the map does not
    say.
    """

    key: tuple[str | int, ...]
    name: str
    kind: Kind
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    done: Boundary
    parameters: Mapping[str, Parameter]
    when: Condition | None = None
    enter: Boundary | None = None

    @property
    def reads(self) -> frozenset[str]:
        """The buffers whose numbers it takes."""
        return frozenset(self.inputs[part.name] for part in self.kind.inputs if part.is_read)


@dataclass(frozen=True)
class Phase:
    """A kind of step: where one begins, how it is counted and sought, and its ops in order.

    `own` is the user's reference of it, None where there is none.
    """

    key: tuple[str | int, ...]
    name: str
    step: Boundary
    counter: str | None
    seek: Seek | None
    ops: tuple[Op, ...]
    own: Own | None = None


@dataclass(frozen=True)
class LayerMap:
    """A map as one of its phases sees it; `origin` is how errors name it, `lines` finds keys.

    `text` is the TOML that it was read from.
    """

    text: str
    origin: str
    name: str
    phase: Phase
    phases: Mapping[str, Phase]
    sizes: Mapping[str, Size]
    buffers: Mapping[str, Buffer]
    lines: Mapping[tuple[str | int, ...], int]

    def at(self, *key: str | int) -> str:
        """Return `origin:line` of the nearest place in the text to `key`, to open an error with."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.lines:
                return f"{self.origin}:{self.lines[key[:length]]}"
        return f"{self.origin}:1"

    @property
    def ops(self) -> tuple[Op, ...]:
        """The ops of the phase, in the order in which a step runs them."""
        return self.phase.ops

    @cached_property
    def kin(self) -> Mapping[str, frozenset[str]]:
        """For each buffer, those that share its numbers: what it is a view of, and its views."""
        largest = {size.name: size.largest or 1 for size in self.sizes.values()}
        spans: dict[str, tuple[str, range]] = {}
        for buffer in self.buffers.values():
            base, begin = buffer.view or (buffer.name, 0)
            size = buffer.elements(largest) * DTYPES[buffer.dtype].itemsize
            spans[buffer.name] = base, range(begin, begin + size)
        return {
            name: frozenset(
                other
                for other, (its_base, its_span) in spans.items()
                if other != name
                and base == its_base
                and max(span.start, its_span.start) < min(span.stop, its_span.stop)
            )
            for name, (base, span) in spans.items()
        }

    def with_kin(self, names: Iterable[str]) -> frozenset[str]:
        """Return these buffers and all that share numbers with one of them."""
        found = frozenset(names)
        return found.union(*(self.kin[name] for name in found))

    @cached_property
    def others(self) -> tuple[Phase, ...]:
        """The other phases that write what a step of this one may hand to the next."""
        # A step may leave out an op that has a condition.
        always = frozenset(op.name for op in self.ops if op.when is None)
        handed = self._handed(self.ops, always)
        phases = [phase for phase in self.phases.values() if phase.name != self.phase.name]
        return tuple(phase for phase in phases if handed & self.written_in({phase.name}))

    @property
    def calls_python(self) -> bool:
        """Whether functions of the user's are the reference of anything, in any phase."""
        phases = self.phases.values()
        return any(p.own is not None or any(op.kind.source for op in p.ops) for p in phases)

    def written_in(self, phases: Collection[str]) -> frozenset[str]:
        """Return the buffers that ops of these phases write."""
        ops = [op for name in phases for op in self.phases[name].ops]
        return self.with_kin(name for op in ops for name in op.outputs.values())

    def carried(self, ops: Iterable[Op]) -> frozenset[str]:
        """Return the buffers that a step hands to the next: written, and by then read before."""
        return self._handed(ops, frozenset(op.name for op in ops))

    def _handed(self, ops: Iterable[Op], always: Collection[str]) -> frozenset[str]:
        """Return what is written, and may by then be read before, if these ops are never absent."""
        written, overwritten, read = frozenset[str](), frozenset[str](), frozenset[str]()
        for op in ops:
            outputs = self.with_kin(op.outputs.values())
            read |= self.with_kin(op.reads) - overwritten
            written |= outputs
            overwritten |= outputs if op.name in always else frozenset()
        return read & written

    def op(self, name: str) -> Op | None:
        """Return the op called `name`."""
        return next((op for op in self.ops if op.name == name), None)


__all__ = [
    "DTYPES",
    "KINDS",
    "TRANSPOSE",
    "WHOLE",
    "Boundary",
    "Buffer",
    "Condition",
    "LayerMap",
    "Op",
    "Phase",
    "Seek",
    "Size",
]
