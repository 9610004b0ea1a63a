"""Mistakes by a factor: of the output, or of one input, and which size or constant it equals."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from nndbg.diagnose.model import Evidence, Hypothesis, matches
from nndbg.reference import Bounded

# How far a fitted factor may lie from a number that a person would write.
_NEAR = 2e-4
_SMALLEST_SAMPLE = 1e-3


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the output scaled, and the output with one of its inputs scaled."""
    if evidence.expected.integers is not None:
        return
    expected = evidence.expected
    zeros = Bounded(np.zeros(expected.shape), np.zeros(expected.shape))
    yield from _scaled(evidence, zeros, expected, f"{evidence.buffer} is")
    if len(evidence.inputs) < 2:
        return
    for part, array in evidence.inputs.items():
        if array.dtype.kind != "f" or not array.any():
            continue
        without = evidence.compute(**{part: np.zeros_like(array)})
        name = evidence.op.inputs[part]
        yield from _scaled(evidence, without, expected, f"{name} is taken")


def _scaled(
    evidence: Evidence, without: Bounded, whole: Bounded, says: str
) -> Iterator[Hypothesis]:
    """Fit actual = without + factor (whole - without) over the wrong elements, then test it."""
    factor = _fit(evidence, without, whole)
    if factor is None or abs(factor - 1) < _NEAR:
        return
    nice, name = _named(factor, evidence)
    change = whole.value - without.value
    error = without.error + (abs(nice) + 1) * whole.error
    rounding = 4 * evidence.fmt.unit * (np.abs(without.value) + np.abs(nice * change))
    if name is None:
        # A factor that is only fitted carries the uncertainty of its fit.
        rounding = rounding + _NEAR / 10 * np.abs(nice * change)
    predicted = Bounded(without.value + nice * change, error + rounding)
    words = f"{says} {_times(nice)}{f', which is {name}' if name else ''}"
    kind = "sign" if nice == -1 else "scale"
    if nice == -1:
        words = f"{says} with the wrong sign"
    yield Hypothesis(kind, words, predicted, 1 if name else 4)


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


def _named(factor: float, evidence: Evidence) -> tuple[float, str | None]:
    """Return the number a person would have written, and what it is."""
    candidates: list[tuple[float, str]] = []
    for name, size in evidence.sizes.items():
        candidates += [(size, f"the size {name}"), (1 / size, f"1 / {name}")]
        largest = 1 << (size - 1).bit_length()
        candidates += [
            (largest / size, f"{largest} / {name}"),
            (size / largest, f"{name} / {largest}"),
        ]
    for part, array in evidence.inputs.items():
        if array.ndim == 0 and array.dtype.kind == "f" and array:
            value, name = float(array), evidence.op.inputs[part]
            candidates += [(value, name), (1 / value, f"1 / {name}"), (-value, f"-{name}")]
            candidates += [(1 - value, f"1 - {name}")]
    candidates += [
        (255.0, ""),
        (1 / 255, "1/255"),
        (256 / 255, "256/255"),
        (255 / 256, "255/256"),
    ]
    for value, name in candidates:
        if value and abs(factor / value - 1) < _NEAR:
            return value, name
    simple = Fraction(factor).limit_denominator(64)
    if simple and abs(factor / float(simple) - 1) < _NEAR and abs(simple) <= 1024:
        return float(simple), str(simple) if simple.denominator > 1 else ""
    return factor, None


def _times(factor: float) -> str:
    return f"{factor:.6g} times what it should be"
