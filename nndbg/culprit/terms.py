"""A sum as its formula has it: the terms of one element, and what any of them add up to.

A set of elements is an integer with a bit for each: sets are joined and compared at each
instruction, hundreds of times.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nndbg.compare import bits
from nndbg.culprit.needs import Needs
from nndbg.diagnose import Evidence
from nndbg.places import Place, Places
from nndbg.reference import Format
from nndbg.reference.bounded import SLACK
from nndbg.reference.kinds import KINDS

# The parts that are multiplied into a term, and the one that is added as it is.
_SUMS: Mapping[str, tuple[tuple[str, ...], str | None]] = {
    "dense": (("x", "W"), "b"),
    "dense_grad_weight": (("x", "grad"), None),
    "dense_grad_weight_accumulate": (("x", "grad"), "dW"),
    "dense_grad_weight_sgd": (("x", "grad"), None),
    "dense_grad_bias": (("grad",), None),
    "dense_grad_bias_accumulate": (("grad",), "db"),
    "dense_grad_input": (("grad", "W"), None),
    "dense_grad_input_accumulate": (("grad", "W"), "dx"),
    **dict.fromkeys(("sum", "row_sum", "sum_all", "mean", "row_mean", "mean_all"), (("a",), None)),
}
# Kinds whose result is the sum itself, and not something made of it.
_PLAIN = _SUMS.keys() - {"dense_grad_weight_sgd", "mean", "row_mean", "mean_all"}
_MOST = 20_000

Set = int
# In a set: something that is no element of the formula, whose effect is not known; and what a
# register held when the trace began.
STRANGE: Set = 1
LIVE: Set = 2
UNKNOWN: Set = STRANGE | LIVE
_FIRST = 2


@dataclass(frozen=True)
class Partial:
    """What some of the terms add up to, and how far a right program may be from it."""

    value: float
    bound: float

    def is_met(self, value: float) -> bool:
        """Whether a number is that sum."""
        return abs(value - self.value) <= self.bound

    def is_met_negative(self, value: float) -> bool:
        """Whether a number is that sum with the other sign."""
        return abs(value + self.value) <= self.bound


class Terms:
    """The terms of one element: term number i multiplies one element of each factor."""

    def __init__(
        self,
        places: Places,
        fmt: Format,
        factors: list[tuple[str, NDArray[np.int64], NDArray[np.float64]]],
        free: tuple[int, ...],
        added: tuple[str, int, float] | None,
        is_plain: bool,
    ) -> None:
        """Factors are buffer, address of each term's element, and its value."""
        self.places = places
        self.is_plain = is_plain
        self.factors = len(factors)
        self._fmt = fmt
        self._free = free
        self._count = math.prod(free)
        self._bits: dict[int, Set] = {}
        self._values: dict[Set, float] = {}
        for number, (_, addresses, values) in enumerate(factors):
            for term, (address, value) in enumerate(
                zip(addresses.tolist(), values.tolist(), strict=True)
            ):
                bit = 1 << (_FIRST + term * self.factors + number)
                self._bits[address] = bit
                self._values[bit] = value
        self._worth = np.prod([values for _, _, values in factors], axis=0)
        self._loose = np.any([(np.abs(v) < fmt.tiny) & (v != 0) for _, _, v in factors], axis=0)
        self._added = 0
        self._addend = 0.0
        if added is not None:
            _, address, self._addend = added
            self._added = 1 << (_FIRST + self._count * self.factors)
            self._bits[address] = self._added
            self._values[self._added] = self._addend
        self._next = 1 << (_FIRST + 1 + self._count * self.factors)
        pattern = sum(1 << (term * self.factors) for term in range(self._count))
        self._columns = tuple(pattern << (_FIRST + number) for number in range(self.factors))
        self.whole: Set = (pattern * ((1 << self.factors) - 1)) << _FIRST | self._added

    @property
    def is_distinct(self) -> bool:
        """Whether each element is in one term only."""
        return len(self._bits) == self._count * self.factors + bool(self._added)

    def element(self, address: int, needed: Needs) -> Set:
        """Return the set with the element at an address in it, as loaded."""
        known = self._bits.get(address)
        if known is not None:
            return known
        hit = self.places.at(address)
        if hit is None:
            return STRANGE
        start = address - hit.offset
        if start not in self._bits:
            whole = Place(hit.buffer, hit.index)
            # Another input of the formula, such as a learning rate, is not a part of its sum.
            if needed.covers(whole):
                self._bits[start] = STRANGE
            else:
                self._bits[start] = self._next
                self._next <<= 1
        return self._bits[start]

    def value(self, element: Set) -> float | None:
        """Return what an element of the formula is to be, None for any other set."""
        return self._values.get(element)

    def complete(self, made_of: Set) -> Set:
        """Return the terms of a set of which nothing is missing."""
        column, *others = self._columns
        terms = made_of & column
        for number, other in enumerate(others, start=1):
            terms &= (made_of & other) >> number
        return terms * ((1 << self.factors) - 1) | made_of & self._added

    def partial(self, made_of: Set) -> Partial:
        """Return what complete terms add up to in any order.

        Source: Higham (2002), sections 3.1 and 4.2; see `nndbg.reference.summation`.
        """
        chosen = self._chosen(made_of)
        worth = self._worth[chosen]
        value, magnitude = float(worth.sum()), float(np.abs(worth).sum())
        inherited = float(np.abs(worth[self._loose[chosen]]).sum())
        count = int(np.count_nonzero(worth))
        if made_of & self._added:
            value, magnitude, count = value + self._addend, magnitude + abs(self._addend), count + 1
        relative = self._fmt.gamma(count + 1)
        flushed = 2 * (count + 1) * self._fmt.tiny
        return Partial(value, (relative * magnitude + flushed + inherited) * SLACK)

    def labels(self, made_of: Set) -> list[str]:
        """Return which terms these are: `k = 512`, or the buffer that is added as it is."""
        found = [f"k = {self._label(n)}" for n in np.flatnonzero(self._chosen(made_of)).tolist()]
        return [*found, *(self.names(made_of & self._added))]

    def term(self, number: int) -> Set:
        """Return the elements of term `number`; the number behind the last is what is added."""
        return ((1 << self.factors) - 1) << (_FIRST + number * self.factors)

    def numbers(self, made_of: Set) -> list[int]:
        """Return the terms that the elements of a set belong to, a number for each element."""
        return [
            (bit.bit_length() - 1 - _FIRST) // self.factors
            for bit in elements(made_of & self.whole & ~self._added)
        ]

    def is_term(self, number: int) -> bool:
        """Whether there is a term of that number."""
        return 0 <= number < self._count

    def names(self, made_of: Set) -> list[str]:
        """Return the elements of a set as one writes them."""
        wanted = {bit for bit in elements(made_of) if not bit & UNKNOWN}
        found = {bit: address for address, bit in self._bits.items() if bit in wanted}
        hits = [self.places.at(found[bit]) for bit in sorted(found)]
        return [str(Place(hit.buffer, hit.index)) for hit in hits if hit is not None]

    def foreign(self, made_of: Set) -> Set:
        """Return those of a set that are no elements of the formula's sum."""
        return made_of & ~self.whole & ~UNKNOWN

    def _label(self, number: int) -> str:
        index = np.unravel_index(number, self._free)
        return ",".join(str(int(i)) for i in index)

    def _chosen(self, made_of: Set) -> NDArray[np.bool_]:
        column = (made_of & self._columns[0]) >> _FIRST
        size = self._count * self.factors
        data = column.to_bytes((size + 7) // 8 + 1, "little")
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return bits[: size : self.factors].astype(np.bool_)


def elements(made_of: Set) -> Iterator[Set]:
    """Yield the elements of a set one by one, each as a set."""
    while made_of:
        lowest = made_of & -made_of
        yield lowest
        made_of ^= lowest


def terms_of(evidence: Evidence, needed: Needs, places: Places) -> Terms | None:
    """Return the terms of the element that `needed` is about, None where its op is no sum."""
    first, *rest = evidence.op.kind.name.split(" + ")
    if first not in _SUMS or not all(_is_elementwise(name) for name in rest):
        return None
    factors, added = _SUMS[first]
    if any(evidence.inputs[part].dtype.kind != "f" for part in factors):
        return None
    shapes = {
        tuple(
            extent
            for extent, at in zip(evidence.inputs[part].shape, needed.parts[part], strict=True)
            if at is None
        )
        for part in factors
    }
    free = next(iter(shapes))
    if len(shapes) > 1 or not 0 < math.prod(free) <= _MOST:
        return None
    found = []
    for part in factors:
        values = _along(evidence.inputs[part], needed.parts[part]).astype(np.float64)
        if not np.isfinite(values).all() or _was_another(evidence, needed, part):
            return None
        found.append((part, _addresses(evidence, needed, places, part), values))
    addend = None
    if added is not None:
        value = float(_along(evidence.inputs[added], needed.parts[added])[0])
        if not math.isfinite(value):
            return None
        addend = added, int(_addresses(evidence, needed, places, added)[0]), value
    is_plain = first in _PLAIN and not rest
    terms = Terms(places, evidence.fmt, found, free, addend, is_plain)
    return terms if terms.is_distinct else None


def _was_another(evidence: Evidence, needed: Needs, part: str) -> bool:
    """Whether the op found other numbers in memory than the map's order gives it."""
    meant = evidence.inputs[part]
    there = evidence.others.get(evidence.op.inputs[part])
    if there is None or there.shape != meant.shape:
        return False
    fixed = needed.parts[part]
    return not np.array_equal(bits(_along(there, fixed)), bits(_along(meant, fixed)))


def _is_elementwise(name: str) -> bool:
    kind = KINDS[name]
    return all(part.axes == ("..",) for part in (*kind.inputs, *kind.outputs))


def _along(array: NDArray[np.generic], fixed: tuple[int | None, ...]) -> NDArray[np.generic]:
    return np.asarray(array[tuple(slice(None) if at is None else at for at in fixed)]).reshape(-1)


def _addresses(evidence: Evidence, needed: Needs, places: Places, part: str) -> NDArray[np.int64]:
    """Return where the elements of a part lie that the element needs, term by term."""
    buffer = evidence.op.inputs[part]
    shape = evidence.inputs[part].shape
    flat = np.arange(math.prod(shape)).reshape(shape)
    along = _along(flat, needed.parts[part]).astype(np.int64)
    return places.start(buffer) + along * places.width(buffer)
