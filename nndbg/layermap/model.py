"""What a layer map says, as frozen objects that know nothing of TOML or of an executable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nndbg.reference import KINDS, Kind
from nndbg.reference.kinds import Parameter

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

    It begins at `symbol`, or, where `is_pointer`, at the address that the variable `symbol` holds.
    A constant buffer is never written while steps run.
    """

    name: str
    dtype: str
    shape: tuple[str | int, ...]
    symbol: str
    is_pointer: bool = False
    is_constant: bool = False

    def extents(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape in numbers."""
        return tuple([axis if isinstance(axis, int) else sizes[axis] for axis in self.shape])

    def elements(self, sizes: Mapping[str, int]) -> int:
        """Return how many elements it has."""
        return math.prod(self.extents(sizes))

    def __str__(self) -> str:
        return f"{self.name} [{', '.join(map(str, self.shape))}] {self.dtype}"


@dataclass(frozen=True)
class Boundary:
    """A place in the code, as the map writes it, taken apart.

    probe: (provider, name); enter: (symbol,); line: (file, line); address: (address,).
    """

    text: str
    form: Literal["probe", "enter", "line", "address"]
    target: tuple[str | int, ...]

    def __str__(self) -> str:
        return self.text


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


def carried(ops: Sequence[Op]) -> frozenset[str]:
    """Return the buffers that a step hands to the next one: written, and by then read before."""
    written, read = set[str](), set[str]()
    for op in ops:
        read |= set(op.inputs.values()) - written
        written |= set(op.outputs.values())
    return frozenset(read & written)


@dataclass(frozen=True)
class Phase:
    """A kind of step: where one begins, how it is counted and sought, and its ops in order."""

    key: tuple[str | int, ...]
    name: str
    step: Boundary
    counter: str | None
    seek: Seek | None
    ops: tuple[Op, ...]


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

    def op(self, name: str) -> Op | None:
        """Return the op called `name`."""
        return next((op for op in self.ops if op.name == name), None)


__all__ = [
    "DTYPES",
    "KINDS",
    "Boundary",
    "Buffer",
    "Condition",
    "LayerMap",
    "Op",
    "Phase",
    "Seek",
    "Size",
    "carried",
]
