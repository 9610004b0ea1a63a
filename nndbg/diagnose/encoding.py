"""Numbers that went through another type: narrower, whole, or stored as a wider one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from nndbg.diagnose.image import Image
from nndbg.diagnose.model import AnyArray, Evidence, Hypothesis
from nndbg.reference import Bounded
from nndbg.reference.bounded import Array

Rounding = Callable[[AnyArray], AnyArray]


def hypotheses(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yield the expected output after each type that it may have gone through."""
    if evidence.is_integer:
        return
    name, expected = evidence.buffer, evidence.expected
    for word, narrow in _NARROW:
        yield Hypothesis(
            "truncated", f"{name} {word}", _through(expected, narrow), 4, is_local=True
        )
    if evidence.actual.dtype == np.float64:
        says = f"{name} went through float32"
        yield Hypothesis("truncated", says, _through(expected, _float32), 2)
        yield from _float32_in_float64(evidence)
    if evidence.actual.dtype == np.float32:
        yield from _float64_in_float32(evidence)


def _through(expected: Bounded, narrow: Rounding) -> Bounded:
    """Return what becomes of the values; both outcomes are open where the bound holds a step."""
    low = narrow(expected.value - expected.error).astype(np.float64)
    high = narrow(expected.value + expected.error).astype(np.float64)
    return Bounded((low + high) / 2, np.abs(high - low) / 2 * (1 + 2.0**-40))


def _bfloat16_cut(value: AnyArray) -> AnyArray:
    pattern = value.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return pattern.view(np.float32)


def _bfloat16_rounded(value: AnyArray) -> AnyArray:
    pattern = value.astype(np.float32).view(np.uint32)
    even = (pattern >> np.uint32(16)) & np.uint32(1)
    nearest: AnyArray = (pattern + np.uint32(0x7FFF) + even) & np.uint32(0xFFFF0000)
    return nearest.view(np.float32)


def _float16(value: AnyArray) -> AnyArray:
    return value.astype(np.float16)


def _float32(value: AnyArray) -> AnyArray:
    return value.astype(np.float32)


def _int8(value: AnyArray) -> AnyArray:
    whole = np.nan_to_num(np.trunc(value))
    wrapped: AnyArray = np.mod(whole + 128, 256) - 128
    return wrapped


_NARROW: tuple[tuple[str, Rounding], ...] = (
    ("went through float16", _float16),
    ("is cut off to bfloat16", _bfloat16_cut),
    ("is rounded to bfloat16", _bfloat16_rounded),
    ("is rounded to whole numbers", np.rint),
    ("is cut off to whole numbers", np.trunc),
    ("went through int8, with what that cannot hold wrapped around", _int8),
)


def _float64_in_float32(evidence: Evidence) -> Iterator[Hypothesis]:
    """8 bytes stored for an element of 4: two of them, read together, are the right number."""
    image, actual = Image(evidence.after), evidence.actual
    expected = evidence.expected
    wide = image.read(evidence.addresses[evidence.buffer], actual.size, np.dtype("<f8"))
    value, error = expected.value.reshape(-1), expected.error.reshape(-1)
    right = np.abs(wide - value) <= error
    # Element i of the buffer is a half of the double i // 2.
    told = right[np.arange(actual.size) // 2].reshape(actual.shape)
    numbers = actual.astype(np.float64)
    predicted = Bounded(np.where(told, numbers, np.nan), np.zeros(actual.shape))
    says = f"{evidence.op.name} stores float64 into {evidence.buffer}: two elements are one number"
    yield Hypothesis("truncated", says, predicted, 2)


def _float32_in_float64(evidence: Evidence) -> Iterator[Hypothesis]:
    """4 bytes stored for an element of 8: its upper half is what it was."""
    low, high = (_lower_half(evidence, sign) for sign in (-1.0, 1.0))
    predicted = Bounded((low + high) / 2, np.abs(high - low) / 2 * (1 + 2.0**-40))
    says = f"{evidence.op.name} stores float32 into the lower halves of {evidence.buffer}"
    yield Hypothesis("truncated", says, predicted, 2)


def _lower_half(evidence: Evidence, sign: float) -> Array:
    expected = evidence.expected
    narrow = (expected.value + sign * expected.error).astype(np.float32)
    slack = np.nextafter(narrow, np.float32(sign * np.inf)).view(np.uint32).astype(np.uint64)
    upper = evidence.before.view(np.uint64) & np.uint64(0xFFFFFFFF00000000)
    return (upper | slack).view(np.float64)
