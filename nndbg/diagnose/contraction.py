"""Mistakes in a sum of products: terms left out, taken twice, exchanged, or one too many."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from nndbg.diagnose.model import Evidence, Hypothesis
from nndbg.diagnose.product import Product, find_product
from nndbg.reference import Bounded
from nndbg.reference.bounded import Array

# The elements on which a hypothesis is formed; it is then tested on all.
_SAMPLES = 24
_ACCUMULATORS = (2, 4, 8, 16)
_BLOCKS = (2, 4, 8, 16, 32, 64, 128, 256)
_VECTORS = (16, 8, 4)
# Pairs of more terms than this are too many to try.
_MOST_PAIRED = 512
# A change that explains less than this share of the samples is not tried on all.
_LEAST_VOTES = 0.25

Change = Callable[[], Array]


@dataclass(frozen=True, eq=False)
class _Gaps:
    """Some wrong elements: what each term adds to them, and by how much they are off.

    `terms` is [samples, k], `gap` expected - actual, `slack` what rounding may make of it.
    """

    terms: Array
    gap: Array
    slack: Array

    def votes(self, left_out: Array) -> Array:
        """Return, per column of `left_out`, how many gaps it would explain; 0 for a few."""
        near = np.abs(self.gap[:, None] - left_out) <= self.slack[:, None]
        votes = np.count_nonzero(near & (left_out != 0), axis=0)
        return np.where(votes >= _LEAST_VOTES * len(self.gap), votes, 0)


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the output with terms missing or doubled, for ops that are sums of products."""
    product = find_product(evidence)
    if product is None:
        return
    gaps = _gaps(evidence, product)
    yield from _single_terms(evidence, product, gaps)
    yield from _exchanged(evidence, product)
    yield from _ends(evidence, product, gaps)
    yield from _blocks(evidence, product, gaps)
    yield from _lost_accumulators(evidence, product, gaps)
    yield from _too_many(evidence, product)


def _gaps(evidence: Evidence, product: Product) -> _Gaps:
    actual = np.atleast_2d(evidence.actual).astype(np.float64)
    expected, error = np.atleast_2d(evidence.expected.value), np.atleast_2d(evidence.expected.error)
    at = np.argwhere(np.atleast_2d(evidence.bad))
    picked = at[np.linspace(0, len(at) - 1, min(len(at), _SAMPLES)).astype(int)]
    rows, columns = picked[:, 0], picked[:, 1]
    terms = product.factor * product.left[rows, :] * product.right[:, columns].T
    return _Gaps(terms, expected[rows, columns] - actual[rows, columns], 4 * error[rows, columns])


def _single_terms(evidence: Evidence, product: Product, gaps: _Gaps) -> Iterator[Hypothesis]:
    """One k for all elements: the term is missing, doubled, or taken with the wrong sign."""
    for factor, word, kind in (
        (1.0, "is missing", "term_missing"),
        (-1.0, "is added twice", "term_doubled"),
        (2.0, "is subtracted instead of added", "term_sign"),
    ):
        votes = gaps.votes(factor * gaps.terms)
        k = int(np.argmax(votes))
        if votes[k]:
            change = partial(product.part, slice(k, k + 1), factor)
            says = f"the term {product.axis}={k} {word}"
            yield _without(evidence, kind, says, change, 1, math.log2(product.terms))


def _exchanged(evidence: Evidence, product: Product) -> Iterator[Hypothesis]:
    """Two terms of one factor meet each other's partners in the other."""
    if not 2 <= product.terms <= _MOST_PAIRED:
        return
    at = np.argwhere(np.atleast_2d(evidence.bad))
    rows, columns = at[len(at) // 2]
    left, right = product.left[rows], product.right[:, columns]
    # What sums differ by when the partners of j and k change places.
    off = product.factor * np.subtract.outer(left, left) * np.subtract.outer(right, right)
    miss = np.triu(np.abs(off - (_at(evidence, rows, columns))), 1)
    miss[np.tril_indices(product.terms)] = np.inf
    miss[off == 0] = np.inf
    j, k = (int(i) for i in np.unravel_index(int(np.argmin(miss)), miss.shape))
    change = partial(product.exchanged, j, k)
    says = (
        f"the terms {product.axis}={j} and {product.axis}={k} of {' and '.join(product.names)} "
        "meet each other's partners"
    )
    yield _without(evidence, "terms_exchanged", says, change, 2, 2 * math.log2(product.terms))


def _at(evidence: Evidence, row: int, column: int) -> float:
    expected = float(np.atleast_2d(evidence.expected.value)[row, column])
    return expected - float(np.atleast_2d(evidence.actual)[row, column])


def _ends(evidence: Evidence, product: Product, gaps: _Gaps) -> Iterator[Hypothesis]:
    """The sum ends too early, or begins too late."""
    count, name = product.terms, product.axis
    nothing = np.zeros((len(gaps.terms), 1))
    sums = np.concatenate([nothing, np.cumsum(gaps.terms, axis=1)], axis=1)
    for left_out, is_tail in ((sums[:, -1:] - sums, True), (sums, False)):
        votes = gaps.votes(left_out)
        # Where several ends fit (their terms are zero) the least is left out.
        best = np.flatnonzero(votes == votes.max()) if votes.max() else np.array([], int)
        if not best.size:
            continue
        at = int(best[-1] if is_tail else best[0])
        first, last = (at, count) if is_tail else (0, at)
        if last - first < 2:
            continue
        says = (
            f"the {'last' if is_tail else 'first'} {last - first} terms, "
            f"{name}={first} to {last - 1}, are missing{_remainder(last - first, count)}"
        )
        change = partial(product.part, slice(first, last))
        yield _without(evidence, "terms_missing", says, change, 3, math.log2(count))


def _blocks(evidence: Evidence, product: Product, gaps: _Gaps) -> Iterator[Hypothesis]:
    """A block in the middle of the sum is left out or taken twice, as an unrolled loop has it."""
    count, name = product.terms, product.axis
    for size in _BLOCKS:
        starts = np.arange(0, count, size)
        if len(starts) < 2:
            break
        blocks = np.add.reduceat(gaps.terms, starts, axis=1)
        for factor, word, kind in (
            (1.0, "are missing", "terms_missing"),
            (-1.0, "are added twice", "terms_doubled"),
        ):
            votes = gaps.votes(factor * blocks)
            best = int(np.argmax(votes))
            if not votes[best]:
                continue
            first, last = int(starts[best]), min(int(starts[best]) + size, count)
            says = f"the terms {name}={first} to {last - 1} {word}: a block of {last - first}"
            change = partial(product.part, slice(first, last), factor)
            yield _without(evidence, kind, says, change, 3, math.log2(count))


def _lost_accumulators(evidence: Evidence, product: Product, gaps: _Gaps) -> Iterator[Hypothesis]:
    """Every so many-th term is missing: one of the sums that run side by side is lost."""
    count, name = product.terms, product.axis
    for width in _ACCUMULATORS:
        if 2 * width > count:
            break
        lanes = np.stack(
            [gaps.terms[:, first::width].sum(axis=1) for first in range(width)], axis=1
        )
        for part, kind, word in (
            (lanes, "terms_missing", "is missing: one of {} accumulators is lost"),
            (lanes.sum(axis=1, keepdims=True) - lanes, "terms_missing", "is all there is"),
        ):
            votes = gaps.votes(part)
            first = int(np.argmax(votes))
            if not votes[first]:
                continue
            change = partial(product.part, slice(first, None, width))
            if part is not lanes:
                change = partial(product.but, slice(first, None, width))
            says = f"every {_ordinal(width)} term from {name}={first} on {word.format(width)}"
            yield _without(evidence, kind, says, change, 3, math.log2(width))


def _too_many(evidence: Evidence, product: Product) -> Iterator[Hypothesis]:
    """The sum runs on past the end, over what lies there in memory."""
    count = product.terms
    extras = dict.fromkeys([1, *(-count % width for width in _VECTORS)])
    for extra in extras:
        if not extra or not product.is_in_memory:
            continue
        change = partial(product.past_the_end, extra)
        says = (
            f"the sum over {product.axis} runs over {count + extra} terms instead of {count}: "
            f"{extra} past the end of {' and '.join(product.names)}"
        )
        yield _without(evidence, "terms_too_many", says, change, 2, 2.0)


def _without(
    evidence: Evidence, kind: str, says: str, change: Change, rank: int, freedom: float
) -> Hypothesis:
    """Return the hypothesis that `change` is missing from the output; it is computed when asked."""
    return Hypothesis(kind, says, partial(_less, evidence, change), rank, freedom)


def _less(evidence: Evidence, change: Change) -> Bounded:
    expected = evidence.expected
    missing = change().reshape(expected.shape)
    error = 2 * expected.error + 8 * evidence.fmt.unit * np.abs(missing)
    return Bounded(expected.value - missing, error)


def _remainder(missing: int, count: int) -> str:
    for width in _VECTORS:
        if count % width == missing:
            return f": the tail, {count} mod {width}"
    return ""


def _ordinal(number: int) -> str:
    return "second" if number == 2 else f"{number}th"
