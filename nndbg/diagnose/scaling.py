"""Mistakes by a factor: of the output, or of one input, and which size or constant it equals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations

import numpy as np

from nndbg.diagnose.model import Evidence, Hypothesis, matches
from nndbg.reference import Bounded
from nndbg.reference.bounded import exact

# How far a fitted factor may lie from a number that a person would write.
_NEAR = 2e-4
_SMALLEST_SAMPLE = 1e-3
# A factor that is only fitted is known to this share of it, and costs as much as a free number.
_FITTED = 2e-5
_FREE_NUMBER = 24.0
_LARGEST_DENOMINATOR = 16


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the output scaled, its change scaled, and the output with one of its inputs scaled."""
    if evidence.is_integer:
        return
    expected, name = evidence.expected, evidence.buffer
    zeros = Bounded(np.zeros(expected.shape), np.zeros(expected.shape))
    yield from _scaled(evidence, zeros, expected, f"{name} is", f"{name} has", 1)
    if evidence.in_place is not None and evidence.before.shape == expected.shape:
        before = exact(evidence.before)
        whose = f"the change of {name}"
        yield from _scaled(evidence, before, expected, f"{whose} is", f"{whose} has", 2)
    if len(evidence.inputs) < 2:
        return
    for part, array in evidence.inputs.items():
        if array.dtype.kind != "f" or not array.any():
            continue
        without = evidence.compute(**{part: np.zeros_like(array)})
        buffer = evidence.op.inputs[part]
        yield from _scaled(
            evidence, without, expected, f"{buffer} is taken", f"{buffer} is taken with", 3
        )


def _scaled(
    evidence: Evidence, without: Bounded, whole: Bounded, says: str, has: str, rank: int
) -> Iterator[Hypothesis]:
    """Fit actual = without + factor (whole - without) over the wrong elements, then test it."""
    if not np.isfinite(without.value).any():
        return
    factor = _fit(evidence, without, whole)
    if factor is None or abs(factor - 1) < _NEAR:
        return
    names = _names(evidence)
    near = [i for i, (v, _) in enumerate(names) if v and abs(factor / v - 1) < _NEAR]
    change = whole.value - without.value
    for place in near[:1]:
        value, name = names[place]
        error = without.error + (abs(value) + 1) * whole.error
        rounding = 4 * evidence.fmt.unit * (np.abs(without.value) + np.abs(value * change))
        predicted = Bounded(without.value + value * change, error + rounding)
        # The first in the list are the likeliest: a name costs what it takes to say which.
        freedom = math.log2(place + 2)
        if value == -1:
            words = f"{has} the wrong sign"
            yield Hypothesis("sign", words, predicted, rank, freedom, is_local=True)
        else:
            which = f", which is {name}" if name else ""
            words = f"{says} {_times(value)}{which}"
            yield Hypothesis("scale", words, predicted, rank, freedom, is_local=True)
    error = without.error + (abs(factor) + 1) * whole.error
    error = error + _FITTED * np.abs(factor * change)
    fitted = Bounded(without.value + factor * change, error)
    words = f"{says} {_times(factor)}"
    yield Hypothesis("scale", words, fitted, rank + 4, _FREE_NUMBER, is_local=True)


def _fit(evidence: Evidence, without: Bounded, whole: Bounded) -> float | None:
    bad = ~matches(evidence.actual, whole)
    change = (whole.value - without.value)[bad]
    got = (evidence.actual.astype(np.float64) - without.value)[bad]
    usable = np.isfinite(got) & np.isfinite(change) & (change != 0)
    if not usable.any():
        return None
    change, got = change[usable], got[usable]
    large = np.abs(change) >= np.abs(change).max() * _SMALLEST_SAMPLE
    # The median over the larger half: small changes drown in rounding.
    heavy = np.abs(change) >= np.median(np.abs(change[large]))
    factor = float(np.median(got[heavy] / change[heavy]))
    return factor if np.isfinite(factor) and factor != 0 else None


def _names(evidence: Evidence) -> list[tuple[float, str]]:
    """Return the numbers a person would have written, and what they are, the likelier first."""
    names: list[tuple[float, str]] = [(-1.0, ""), (2.0, ""), (0.5, "1/2")]
    sizes = [(name, size) for name, size in evidence.sizes.items() if size]
    for name, size in sizes:
        names += [(size, f"the size {name}"), (1 / size, f"1 / {name}")]
    for name, value in _scalars(evidence):
        names += [(value, name), (1 / value, f"1 / {name}"), (-value, f"-{name}")]
        names += [(1 - value, f"1 - {name}")]
        names += [(1 / (1 - value), f"1 / (1 - {name})")] if value != 1 else []
    for name, parameter in evidence.op.parameters.items():
        if parameter not in (0, 1):
            inverse = Fraction(1 / parameter).limit_denominator(1000)
            text = str(inverse) if abs(float(inverse) * parameter - 1) < _FITTED else "..."
            names += [(1 / parameter, f"{text}: {name} is left out")]
    names += [(255.0, ""), (1 / 255, "1/255"), (256 / 255, "256/255"), (255 / 256, "255/256")]
    names += [(1 / 256, "1/256"), (math.sqrt(2), "sqrt(2)"), (math.sqrt(0.5), "sqrt(1/2)")]
    for name, size in sizes:
        largest = 1 << (size - 1).bit_length()
        names += [(largest / size, f"{largest} / {name}"), (size / largest, f"{name} / {largest}")]
    names += _of_two_axes(evidence)
    names += [
        (sign * n / d, f"{sign * n}/{d}" if d > 1 else "")
        for d in range(1, _LARGEST_DENOMINATOR + 1)
        for n in range(1, _LARGEST_DENOMINATOR + 1)
        if math.gcd(n, d) == 1
        for sign in (1, -1)
    ]
    return names


def _scalars(evidence: Evidence) -> Iterator[tuple[str, float]]:
    """Yield the numbers of the program that stand alone, those that the op reads first."""
    own = [(evidence.op.inputs[part], array) for part, array in evidence.inputs.items()]
    seen = set()
    for name, array in (*own, *evidence.others.items()):
        if name in seen or array.ndim or array.dtype.kind != "f":
            continue
        seen.add(name)
        value = float(array)
        if math.isfinite(value) and value:
            yield name, value


def _of_two_axes(evidence: Evidence) -> list[tuple[float, str]]:
    """Return ratios of the output's own sizes and their roots, as widths of weights have them."""
    shape = next(
        (evidence.shapes[p] for p, n in evidence.op.inputs.items() if n == evidence.buffer), ()
    )
    extents = [(str(name), n) for name, n in zip(shape, evidence.actual.shape, strict=False)]
    terms = [*extents, *((f"({a} + {b})", n + m) for (a, n), (b, m) in combinations(extents, 2))]
    found = []
    for a, n in terms:
        for b, m in terms:
            if a != b:
                found += [(n / m, f"{a} / {b}"), (math.sqrt(n / m), f"sqrt({a} / {b})")]
    return found


def _times(factor: float) -> str:
    return f"{factor:.6g} times what it should be"
