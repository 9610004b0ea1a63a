"""Where a NaN or an infinity comes from: an input that has one, or an operation that makes one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nndbg.diagnose.model import AnyArray, Evidence, Hypothesis
from nndbg.reference import Bounded

# exp of more than this is beyond float32, and of less than minus 103.97 it is 0 there.
_EXP_LIMIT = float(np.log(np.finfo(np.float32).max))
_EXP_ZERO = 103.9720770839918


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield what would have made the elements that are not finite."""
    numbers = evidence.actual.astype(np.float64)
    odd = ~np.isfinite(numbers)
    value = evidence.expected.value
    sources = [
        (evidence.op.inputs[part], array)
        for part, array in evidence.inputs.items()
        if array.dtype.kind == "f" and not np.isfinite(array).all()
    ]
    op = evidence.op.name
    same = Bounded(np.where(odd, numbers, value), np.where(odd, 0.0, evidence.expected.error))
    for source, array in sources:
        spoiled = ~np.isfinite(value)
        reached = Bounded(np.where(spoiled, numbers, value), same.error)
        says = f"{op} reads {_first(source, array)}, and with it makes {_count(odd | spoiled)}"
        yield Hypothesis("nonfinite_input", says, reached, 0)
    if sources or not odd.any():
        return
    yield from _exponentials(evidence, same)
    at = tuple(int(i) for i in np.argwhere(odd)[0])
    place = f"{evidence.buffer}{_index(at)}"
    says = f"{op} makes {_word(numbers[at])} of finite numbers, first in {place}"
    yield Hypothesis("nonfinite", says, same, 5)


def _exponentials(evidence: Evidence, same: Bounded) -> Iterator[Hypothesis]:
    """Logits so large that their exponentials overflow, or so far apart that one is 0."""
    parts = {part.name: part for part in evidence.op.kind.inputs}
    if "z" not in parts or len(parts["z"].axes) != 2:
        return
    z, name = evidence.inputs["z"].astype(np.float64), evidence.op.inputs["z"]
    if "y" in parts:
        y = evidence.inputs["y"].astype(np.int64)
        rows = np.arange(len(z))
        inside = (y >= 0) & (y < z.shape[1])
        below = np.where(inside, z.max(axis=1) - z[rows, np.where(inside, y, 0)], 0.0)
        row = int(np.argmax(below))
        if below[row] > _EXP_ZERO:
            label = int(y[row])
            says = (
                f"{evidence.op.name} takes the logarithm of 0: in row {row} {name}[{row}, {label}] "
                f"is {below[row]:.4g} below the largest, and p of the label rounds to 0"
            )
            yield Hypothesis("log_of_zero", says, same, 0)
    at = np.unravel_index(int(np.argmax(z)), z.shape)
    if z[at] > _EXP_LIMIT:
        place = f"{name}{_index(tuple(int(i) for i in at))}"
        says = f"exp of {place} = {z[at]:.4g} overflows: the row's maximum is not subtracted"
        yield Hypothesis("overflow", says, same, 1 if "y" in parts else 0)


def _first(source: str, array: AnyArray) -> str:
    """Say where the first element is that is not finite, and how many there are."""
    odd = np.argwhere(~np.isfinite(array))
    at = tuple(int(i) for i in odd[0])
    more = f" (the first of {len(odd)} that are not finite)" if len(odd) > 1 else ""
    return f"{_word(float(array[at]))} in {source}{_index(at)}{more}"


def _count(odd: AnyArray) -> str:
    count = int(np.count_nonzero(odd))
    return f"{count} element{'s' if count > 1 else ''} undefined"


def _index(at: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, at))}]" if at else ""


def _word(number: float) -> str:
    return "NaN" if np.isnan(number) else "infinity" if number > 0 else "-infinity"
