"""Judges one output of one op: is every element within its bound of the reference?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.reference import Bounded
from nndbg.where import where

_BLIND = "the bound is as large as the values: an array of zeros would agree too"


class Status(StrEnum):
    """What is known of an output after its comparison."""

    AGREE = "agree"
    DIVERGED = "diverged"
    NONFINITE = "nonfinite"
    UNWRITTEN = "unwritten"
    UNCHECKED = "unchecked"

    @property
    def is_wrong(self) -> bool:
        """Whether the program, and not our knowledge, is at fault."""
        return self in (Status.DIVERGED, Status.NONFINITE, Status.UNWRITTEN)


class Mode(StrEnum):
    """What the reference was fed with.

    The program's inputs; its own outputs since the step began; its own since the first step. OWN is
    the user's function of the whole step, fed with what the program had before it.
    """

    LOCAL = "local"
    CHAIN = "chain"
    TRAJECTORY = "trajectory"
    OWN = "own"


@dataclass(frozen=True)
class Subject:
    """What a verdict is about: one buffer after one op of one step."""

    step: int
    op: str
    kind: str
    buffer: str
    mode: Mode


@dataclass(frozen=True)
class Element:
    """One element: what the program has, what the reference has, how far apart they may be.

    `ulps` is the distance in units in the last place of the buffer's type, None where one of the
    two is not finite.
    """

    index: tuple[int, ...]
    actual: float
    expected: float
    bound: float
    ulps: int | None

    @property
    def share(self) -> float:
        """The distance as a share of the bound; infinite where one of the two is no number."""
        gap = abs(self.actual - self.expected)
        if self.actual == self.expected:
            return 0.0
        return gap / self.bound if self.bound > 0 and math.isfinite(gap) else math.inf


@dataclass(frozen=True)
class Distance:
    """Figures for reading, never for judging: of the elements where both sides are finite."""

    largest: float
    mean: float
    cosine: float


@dataclass(frozen=True)
class Verdict:
    """The judgement of one output; `checked` elements were compared, `bad` of them are wrong.

    `worst` is the element that uses most of its bound. `says` explains a status that the numbers
    alone do not.
    """

    subject: Subject
    status: Status
    checked: int
    bad: int
    where: str
    worst: Element | None
    distance: Distance | None
    says: str = ""


def judge(
    subject: Subject, actual: NDArray[Any], before: NDArray[Any], expected: Bounded
) -> Verdict:
    """Compare an output with its reference; `before` is what the buffer held before the op.

    Raises ValueError for an empty output or a reference of another shape: no comparison happened.
    """
    if actual.shape != expected.shape:
        raise ValueError(f"{subject.buffer} is {actual.shape}, its reference {expected.shape}")
    if actual.size == 0:
        raise ValueError(f"{subject.buffer} has no elements to compare")
    if (agreement := _agreement(subject, actual, expected)) is not None:
        return agreement
    bad, unknown = wrong_elements(actual, expected)
    count = int(np.count_nonzero(bad))
    status, says = Status.AGREE, ""
    if count:
        status = _how_wrong(actual, before, bad, expected)
        if status is Status.UNWRITTEN:
            says = f"{subject.op} left {subject.buffer} as it was"
    elif unknown.any():
        status = Status.UNCHECKED
        why = _why_unknown(expected)
        says = f"for {np.count_nonzero(unknown)} elements nothing can be proved: {why}"
    elif _says_nothing(expected, actual.dtype):
        status = Status.UNCHECKED
        says = _BLIND
    return Verdict(
        subject=subject,
        status=status,
        checked=int(actual.size - np.count_nonzero(unknown)),
        bad=count,
        where=where(subject.buffer, bad),
        worst=_worst(actual, expected, unknown),
        distance=_distance(actual, expected),
        says=says,
    )


def _agreement(subject: Subject, actual: NDArray[Any], expected: Bounded) -> Verdict | None:
    """Return the verdict where every element is a number within its bound, None elsewhere.

    What `judge` says of any output, it says of these with a third of the work.
    """
    if expected.integers is not None:
        return None
    numbers = actual.astype(np.float64).reshape(-1)
    value, error = expected.value.reshape(-1), expected.error.reshape(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = numbers - value
        np.abs(gap, out=gap)
        largest = float(gap.max())
        if not math.isfinite(largest) or (gap > error).any() or not math.isfinite(error.max()):
            return None
        share = gap / error
        at = int(share.argmax())
        if math.isnan(share[at]):
            # No distance, and none allowed.
            at = int(np.nan_to_num(share, nan=0.0).argmax())
    blind = _says_nothing(expected, actual.dtype)
    norms = math.sqrt(numbers @ numbers) * math.sqrt(value @ value)
    cosine = float(numbers @ value) / norms if norms else float(largest == 0)
    index = np.unravel_index(at, actual.shape)
    return Verdict(
        subject=subject,
        status=Status.UNCHECKED if blind else Status.AGREE,
        checked=actual.size,
        bad=0,
        where="",
        worst=_element(tuple(int(i) for i in index), actual, expected),
        distance=Distance(largest, float(gap.mean()), cosine),
        says=_BLIND if blind else "",
    )


def judge_unchanged(
    subject: Subject, actual: NDArray[Any], before: NDArray[Any], says: str
) -> Verdict:
    """Return the verdict on a buffer that changed and ought not to have; `says` tells how."""
    changed = bits(actual) != bits(before)
    expected = Bounded(before.astype(np.float64), np.zeros(before.shape))
    at = tuple(int(i) for i in np.argwhere(changed)[0]) if actual.ndim else ()
    return Verdict(
        subject=subject,
        status=Status.DIVERGED,
        checked=int(actual.size),
        bad=int(np.count_nonzero(changed)),
        where=where(subject.buffer, changed),
        worst=_element(at, actual, expected),
        distance=_distance(actual, expected),
        says=says,
    )


def judge_padding(
    subject: Subject, actual: NDArray[np.uint8], before: NDArray[np.uint8]
) -> Verdict:
    """Return the verdict on bytes behind a buffer's end, which belong to nothing and changed."""
    changed = np.flatnonzero(actual != before)
    first, last = int(changed[0]), int(changed[-1])
    behind = f"{last - first + 1} bytes, {first} behind its end" if first else f"{last + 1} bytes"
    return Verdict(
        subject=subject,
        status=Status.DIVERGED,
        checked=int(actual.size),
        bad=len(changed),
        where=f"behind {subject.buffer}",
        worst=None,
        distance=None,
        says=f"{subject.op} writes past the end of {subject.buffer}: {behind}",
    )


def missing(subject: Subject, elements: int, says: str = "") -> Verdict:
    """Return the verdict on an output whose op was never complete in its step."""
    says = says or f"the boundary of {subject.op} was never reached in step {subject.step}"
    return Verdict(subject, Status.UNWRITTEN, elements, elements, subject.buffer, None, None, says)


def bits(array: NDArray[Any]) -> NDArray[Any]:
    """Return the elements as unsigned integers of their width, for comparing bit by bit."""
    return array.view(f"u{array.dtype.itemsize}")


def wrong_elements(
    actual: NDArray[Any], expected: Bounded
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which elements are wrong, and of which nothing is known.

    Infinity agrees with the same infinity; a NaN agrees with nothing, not even with a NaN.
    """
    if expected.integers is not None:
        unknown = ~np.isfinite(expected.error)
        return (actual != expected.integers) & ~unknown, unknown
    value, error = expected.value, expected.error
    numbers = actual.astype(np.float64)
    finite = np.isfinite(value)
    with np.errstate(invalid="ignore"):
        within = np.where(finite, np.abs(numbers - value) <= error, numbers == value)
    unknown = finite & ~np.isfinite(error)
    return ~within & ~unknown, unknown


def _how_wrong(
    actual: NDArray[Any], before: NDArray[Any], bad: NDArray[np.bool_], expected: Bounded
) -> Status:
    if np.isnan(expected.value[bad]).any():
        return Status.NONFINITE
    if np.array_equal(bits(actual), bits(before)):
        return Status.UNWRITTEN
    return Status.DIVERGED if np.isfinite(actual[bad]).all() else Status.NONFINITE


def _why_unknown(expected: Bounded) -> str:
    if np.isnan(expected.error).any():
        return "the bound is not a number"
    return "float32 overflows" if expected.integers is None else "others may be as large"


def _says_nothing(expected: Bounded, dtype: np.dtype[Any]) -> bool:
    """Whether zeros would lie within the bound nearly everywhere, though values are not zero.

    Some elements may be small by cancellation; more than half says that none is known. Values that
    the type can only hold as subnormals, or not at all, are as good as zero. An infinity that is to
    be there is known, whatever its bound.
    """
    if dtype.kind != "f":
        return False
    magnitude = np.abs(expected.value)
    nonzero = magnitude >= np.finfo(dtype).tiny
    blind = nonzero & (magnitude <= expected.error) & (magnitude < np.inf)
    return bool(np.count_nonzero(blind) * 2 > np.count_nonzero(nonzero))


def _worst(actual: NDArray[Any], expected: Bounded, unknown: NDArray[np.bool_]) -> Element | None:
    if unknown.all():
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = np.abs(actual.astype(np.float64) - expected.value)
        share = np.where(distance == 0, 0.0, distance / expected.error)
    same_infinity = actual.astype(np.float64) == expected.value
    share = np.where(np.isnan(share), np.inf, share)
    share = np.where(same_infinity, 0.0, np.where(unknown, -1.0, share))
    at = np.unravel_index(int(np.argmax(share)), actual.shape)
    return _element(tuple(int(i) for i in at), actual, expected)


def _element(index: tuple[int, ...], actual: NDArray[Any], expected: Bounded) -> Element:
    value = float(expected.value[index])
    return Element(
        index=index,
        actual=float(actual[index]),
        expected=value,
        bound=float(expected.error[index]),
        ulps=_ulps(actual[index], value),
    )


def _ulps(actual: np.generic, expected: float) -> int | None:
    """Return how many numbers of the actual's type lie between the two."""
    if actual.dtype.kind != "f":
        return None
    with np.errstate(over="ignore"):
        nearest = actual.dtype.type(expected)
    if not (np.isfinite(actual) and np.isfinite(nearest)):
        return None
    return abs(_ordinal(actual) - _ordinal(nearest))


def _ordinal(number: np.generic) -> int:
    """Return the place of a floating-point number among all of its type, zero at 0."""
    width = number.dtype.itemsize
    pattern = int(np.asarray(number).view(f"u{width}"))
    sign = 1 << (8 * width - 1)
    return sign - pattern if pattern & sign else pattern


def _distance(actual: NDArray[Any], expected: Bounded) -> Distance | None:
    numbers = actual.astype(np.float64)
    both = np.isfinite(numbers) & np.isfinite(expected.value)
    if not both.any():
        return None
    a, e = numbers[both], expected.value[both]
    gap = np.abs(a - e)
    norms = float(np.linalg.norm(a) * np.linalg.norm(e))
    cosine = float(a @ e) / norms if norms else float(not gap.any())
    return Distance(float(gap.max()), float(gap.mean()), cosine)
