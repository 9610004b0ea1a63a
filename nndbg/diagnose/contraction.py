"""Mistakes in a sum of products: a term left out or taken twice, a tail, a block, one too many."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nndbg.diagnose.model import Evidence, Hypothesis
from nndbg.reference import Bounded
from nndbg.reference.bounded import Array

# The elements on which a hypothesis is formed; it is then tested on all.
_SAMPLES = 24


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the output with terms missing or doubled, for ops that are sums of products."""
    factors = _factors(evidence)
    if factors is None:
        return
    left, right, rest = factors
    samples = _samples(evidence)
    # terms[s, k] is what term k adds to sample s.
    terms = left[samples[0], :] * right[:, samples[1]].T
    expected, error = np.atleast_2d(evidence.expected.value), np.atleast_2d(evidence.expected.error)
    gap = expected[samples] - np.atleast_2d(evidence.actual)[samples].astype(np.float64)
    slack = 4 * error[samples]
    name = _axis_name(evidence)
    yield from _single_terms(evidence, left, right, terms, gap, slack, name)
    yield from _ranges(evidence, left, right, terms, gap, slack, name)
    del rest


def _factors(evidence: Evidence) -> tuple[Array, Array, Array | None] | None:
    """Return what is multiplied, as [rows, k] and [k, columns], and what is added besides."""
    parts = {name: array.astype(np.float64) for name, array in evidence.inputs.items()}
    match evidence.op.kind.name:
        case "dense":
            return parts["x"], parts["W"], parts["b"]
        case "dense_grad_weight":
            return parts["x"].T, parts["grad"], None
        case "dense_grad_input":
            return parts["grad"], parts["W"].T, None
        case "dense_grad_bias":
            return np.ones((1, len(parts["grad"]))), parts["grad"], None
        case "dense_grad_weight_sgd":
            return -float(parts["lr"]) * parts["x"].T, parts["grad"], parts["param"]
        case _:
            return None


def _axis_name(evidence: Evidence) -> str:
    """Return what the summed axis counts, as the kind's signature names it."""
    return "n" if "grad_weight" in evidence.op.kind.name or "bias" in evidence.op.kind.name else "k"


def _samples(evidence: Evidence) -> tuple[Array, Array]:
    bad = np.argwhere(np.atleast_2d(evidence.bad))
    picked = bad[np.linspace(0, len(bad) - 1, min(len(bad), _SAMPLES)).astype(int)]
    return picked[:, 0], picked[:, 1]


def _single_terms(
    evidence: Evidence,
    left: Array,
    right: Array,
    terms: Array,
    gap: Array,
    slack: Array,
    name: str,
) -> Iterator[Hypothesis]:
    """One k for all elements: the term is missing, doubled, or taken with the wrong sign."""
    for factor, word, kind in (
        (1.0, "is missing", "term_missing"),
        (-1.0, "is added twice", "term_doubled"),
        (2.0, "is subtracted instead of added", "term_sign"),
    ):
        near = np.abs(gap[:, None] - factor * terms) <= slack[:, None]
        votes = np.count_nonzero(near & (terms != 0), axis=0)
        k = int(np.argmax(votes))
        if votes[k]:
            change = factor * np.outer(left[:, k], right[k])
            yield _without(evidence, kind, f"the term {name}={k} {word}", change, 1)


def _ranges(
    evidence: Evidence,
    left: Array,
    right: Array,
    terms: Array,
    gap: Array,
    slack: Array,
    name: str,
) -> Iterator[Hypothesis]:
    """The sum ends too early, begins too late, or leaves out a block."""
    count = terms.shape[1]
    sums = np.concatenate([np.zeros((len(terms), 1)), np.cumsum(terms, axis=1)], axis=1)
    tails = sums[:, -1:] - sums
    for partial, kind in ((tails, "tail"), (sums, "head")):
        near = np.abs(gap[:, None] - partial) <= slack[:, None]
        votes = np.count_nonzero(near & (partial != 0), axis=0)
        # Where several ends fit (their terms are zero) the least is left out.
        best = np.flatnonzero(votes == votes.max()) if votes.max() else np.array([], int)
        if not best.size:
            continue
        at = int(best[-1] if kind == "tail" else best[0])
        first, last = (at, count) if kind == "tail" else (0, at)
        if last - first < 2:
            continue
        change = left[:, first:last] @ right[first:last]
        where = f"{name}={first} to {last - 1}"
        end = "last" if kind == "tail" else "first"
        says = f"the {end} {last - first} terms, {where}, are missing"
        yield _without(
            evidence, "terms_missing", f"{says}{_remainder(last - first, count)}", change, 2
        )


def _without(evidence: Evidence, kind: str, says: str, change: Array, rank: int) -> Hypothesis:
    value = evidence.expected.value - change.reshape(evidence.expected.shape)
    return Hypothesis(kind, says, Bounded(value, 2 * evidence.expected.error), rank)


def _remainder(missing: int, count: int) -> str:
    for width in (16, 8, 4):
        if count % width == missing:
            return f": the tail, {count} mod {width}"
    return ""
