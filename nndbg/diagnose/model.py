"""What a diagnosis starts from, what it tries, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.layermap import Op
from nndbg.reference import Bounded, Format
from nndbg.reference.bounded import BoundError

AnyArray = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that is known of one wrong output.

    `part` is which output of its kind it is, empty where the op does not own the buffer at all: it
    is then expected to be as it was `before`. `inputs` are the op's parts as the reference took
    them, `shapes` how the map writes their shapes. `others` are all buffers (in their shapes) as
    they were before the op, `stale` as they were when the step began; `tables` are the constant
    ones. `sizes` are the numbers that the map names. `memory` is the bytes around the buffers
    before the op and `after` behind it, by first address; `addresses` says where each buffer
    begins. `roles` are the parts that a buffer takes in any op of the map, as `kind.part`.

    `makers` names, for an input, the op before this one that makes it; `changers` the op after this
    one in the map that had changed it already when this op ran.
    """

    op: Op
    part: str
    buffer: str
    actual: AnyArray
    before: AnyArray
    expected: Bounded
    inputs: Mapping[str, AnyArray]
    shapes: Mapping[str, tuple[str | int, ...]]
    others: Mapping[str, AnyArray]
    stale: Mapping[str, AnyArray]
    sizes: Mapping[str, int]
    addresses: Mapping[str, int]
    memory: Mapping[int, memoryview]
    fmt: Format
    after: Mapping[int, memoryview] = field(default_factory=dict)
    tables: Mapping[str, AnyArray] = field(default_factory=dict)
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    makers: Mapping[str, str] = field(default_factory=dict)
    changers: Mapping[str, str] = field(default_factory=dict)

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Which elements are beyond their bounds; a NaN always is."""
        return ~matches(self.actual, self.expected) | np.isnan(self.actual)

    @property
    def in_place(self) -> str | None:
        """The input part that is the buffer itself, None where the op only writes it."""
        return next((p for p, name in self.op.inputs.items() if name == self.buffer), None)

    @property
    def is_integer(self) -> bool:
        """Whether the output is made of whole numbers."""
        return self.expected.integers is not None

    def compute(self, **changed: AnyArray | Bounded) -> Bounded:
        """Return what the output would be with other parts in place of some of its inputs.

        Raises BoundError where the user's own function would have to say: it may refuse what it was
        not written for.
        """
        if self.op.kind.source:
            raise BoundError(f"{self.op.kind.source} is not asked for other inputs")
        parts: dict[str, AnyArray | Bounded] = {**self.inputs, **changed}
        return self.op.kind.compute(parts, self.fmt, self.op.parameters)[self.part]


Changed = Mapping[str, AnyArray]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A mistake that would have made the output `predicted`; `says` tells it in one sentence.

    `predicted` may also be other inputs, from which the op would have made it, or a function that
    computes it. Lower `rank` is the simpler story, which is told first where two explain the same
    elements; from `LAST_RESORT` on a story is told only where there is no other. `freedom` is what
    was fitted to the numbers to find it, in bits: 24 for a free number, log2(n) for the best of n.
    `spread` is how far from the expected value a number by chance would lie; as far as the wrong
    one does unless said. A story that `is_local` is about the wrong elements alone: that
    others are right does not speak against it.
    """

    kind: str
    says: str
    predicted: Bounded | Changed | Callable[[], Bounded | None]
    rank: int = 5
    freedom: float = 0.0
    spread: float | None = None
    is_local: bool = False


LAST_RESORT = 8


@dataclass(frozen=True)
class Diagnosis:
    """A mistake that explains `explains` of the `of` wrong elements."""

    kind: str
    says: str
    explains: int
    of: int


Family = Callable[[Evidence], Iterable[Hypothesis]]


def matches(actual: AnyArray, predicted: Bounded) -> NDArray[np.bool_]:
    """Return which elements of `actual` lie within the bound of what was predicted.

    A NaN matches a predicted NaN: a mistake that makes NaN explains one.
    """
    numbers = actual.astype(np.float64)
    with np.errstate(invalid="ignore"):
        close = np.abs(numbers - predicted.value) <= predicted.error
    same = (numbers == predicted.value) | (np.isnan(numbers) & np.isnan(predicted.value))
    return np.where(np.isfinite(predicted.value) & np.isfinite(predicted.error), close, same)
