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
from nndbg.reference.activation import Powers
from nndbg.reference.bounded import SLACK, exact
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
_MOST_LOSSES = 512
_ULPS = 4.0

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


@dataclass(frozen=True, eq=False)
class Worth:
    """What each term is, and how far it may be from that besides one rounding."""

    value: NDArray[np.float64]
    error: NDArray[np.float64]


class Terms:
    """The terms of one element: term number i is made of one element of each factor.

    A sum that `is_plain` is the element itself, and not something that is made of it. One that
    `is_made` has terms that are calculated by many instructions (powers, say), with constants.
    """

    def __init__(
        self,
        places: Places,
        fmt: Format,
        factors: list[NDArray[np.int64]],
        worth: Worth,
        free: tuple[int, ...],
        added: tuple[int, float] | None = None,
        is_plain: bool = True,
        taken: frozenset[float] = frozenset(),
    ) -> None:
        """`factors` are where each term's elements lie, `worth` is what the terms are.

        `taken` are the numbers that the terms are made of by many instructions.
        """
        self.places = places
        self.is_plain = is_plain
        self.is_made = bool(taken)
        self.taken = taken
        self.factors = len(factors)
        self._fmt = fmt
        self._free = free
        self._count = math.prod(free)
        self._worth = worth
        self._bits: dict[int, Set] = {}
        for number, addresses in enumerate(factors):
            for term, address in enumerate(addresses.tolist()):
                self._bits[address] = 1 << (_FIRST + term * self.factors + number)
        self._added = 0
        self._addend = 0.0
        if added is not None:
            address, self._addend = added
            self._added = 1 << (_FIRST + self._count * self.factors)
            self._bits[address] = self._added
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
            return 0 if self.is_made else STRANGE
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
        worth = self._worth.value[chosen]
        value, magnitude = float(worth.sum()), float(np.abs(worth).sum())
        inherited = float(self._worth.error[chosen].sum())
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
    inputs = evidence.op.inputs.values()
    if not all(map(_is_elementwise, rest)) or not all(map(places.has, inputs)):
        return None
    if first in ("softmax", "cross_entropy") and not rest:
        terms = _powers(evidence, needed, places, is_loss=first == "cross_entropy")
    elif first in _SUMS:
        terms = _products(evidence, needed, places, first, is_alone=not rest)
    else:
        return None
    return terms if terms is not None and terms.is_distinct else None


def _products(
    evidence: Evidence, needed: Needs, places: Places, kind: str, is_alone: bool
) -> Terms | None:
    """Return the terms of a sum of elements or of products."""
    parts, added = _SUMS[kind]
    if any(evidence.inputs[part].dtype.kind != "f" for part in parts):
        return None
    shapes = {_free(evidence, needed, part) for part in parts}
    free = next(iter(shapes))
    if len(shapes) > 1 or not 0 < math.prod(free) <= _MOST:
        return None
    if any(_was_another(evidence, needed, part) for part in parts):
        return None
    values = [
        _along(evidence.inputs[part], needed.parts[part]).astype(np.float64) for part in parts
    ]
    addend = None
    if added is not None:
        value = float(_along(evidence.inputs[added], needed.parts[added])[0])
        addend = int(_addresses(evidence, needed, places, added)[0]), value
    if not all(np.isfinite(v).all() for v in values) or not math.isfinite(
        addend[1] if addend else 0
    ):
        return None
    worth = np.prod(values, axis=0)
    # A program may take what is smaller than a normal number for zero.
    small = np.any([(np.abs(v) < evidence.fmt.tiny) & (v != 0) for v in values], axis=0)
    return Terms(
        places,
        evidence.fmt,
        [_addresses(evidence, needed, places, part) for part in parts],
        Worth(worth, np.where(small, np.abs(worth), 0.0)),
        free,
        addend,
        is_plain=is_alone and kind in _PLAIN,
    )


def _powers(evidence: Evidence, needed: Needs, places: Places, is_loss: bool) -> Terms | None:
    """Return the terms of softmax's denominator, or the losses of the samples."""
    z = evidence.inputs["z"]
    if z.dtype.kind != "f" or not np.isfinite(z).all() or _was_another(evidence, needed, "z"):
        return None
    addresses = _addresses(evidence, needed, places, "z")
    taken = frozenset(_along(z, needed.parts["z"]).astype(np.float64).tolist())
    if not is_loss:
        row = np.asarray(_along(z, needed.parts["z"])).reshape(1, -1)
        ulps = float(evidence.op.parameters.get("exp_ulps", _ULPS))
        powers = Powers(exact(row, evidence.fmt), ulps, evidence.fmt)
        worth = Worth(powers.value[0], powers.value[0] * (powers.error[0] + 2 * powers.unit))
        free = (row.shape[1],)
        return Terms(places, evidence.fmt, [addresses], worth, free, is_plain=False, taken=taken)
    if len(z) > _MOST_LOSSES:
        return None
    kind, parameters = evidence.op.kind, evidence.op.parameters
    losses = [
        kind.compute(
            {"z": z[n : n + 1], "y": evidence.inputs["y"][n : n + 1]}, evidence.fmt, parameters
        )["loss"]
        for n in range(len(z))
    ]
    worth = Worth(
        *(
            np.array([float(part) for part in parts])
            for parts in zip(*((o.value, o.error) for o in losses), strict=True)
        )
    )
    columns = list(addresses.reshape(z.shape).T)
    return Terms(places, evidence.fmt, columns, worth, (len(z),), is_plain=False, taken=taken)


def _free(evidence: Evidence, needed: Needs, part: str) -> tuple[int, ...]:
    """Return how long a part is along the axes that are summed."""
    shape, fixed = evidence.inputs[part].shape, needed.parts[part]
    return tuple(extent for extent, at in zip(shape, fixed, strict=True) if at is None)


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
