"""Random numbers as a program draws them, number for number: initial weights, orders, masks.

The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014; mixing constants of Vigna's reference implementation). Its state is one
64-bit word that grows by a constant with every draw, so n draws are one expression.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nndbg.reference import bounded
from nndbg.reference.bounded import Bounded, Format, exact
from nndbg.reference.kinds import Integers, kind

Words = NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_WORD = (1 << 64) - 1


def splitmix64(state: int, count: int) -> tuple[Words, int]:
    """Return the next `count` outputs of the generator, and its state after them."""
    draws = np.arange(1, count + 1, dtype=np.uint64)
    bits = np.uint64(state) + draws * np.uint64(_GOLDEN)
    for shift, factor in _MIX:
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return bits ^ (bits >> np.uint64(31)), (state + count * _GOLDEN) & _WORD


@kind("W[i,o] state[] -> W[i,o] state[]")
def glorot_uniform(W: Bounded, state: Integers, *, fmt: Format) -> tuple[Bounded, Integers]:
    """Return weights uniform in -limit..limit, limit = sqrt(6 / (i + o)), drawn row by row.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, eq. 16.
    """
    return _uniform(W, state, 6 / sum(W.shape), fmt)


@kind("W[i,o] state[] -> W[i,o] state[]")
def he_uniform(W: Bounded, state: Integers, *, fmt: Format) -> tuple[Bounded, Integers]:
    """Return weights uniform in -limit..limit, limit = sqrt(6 / i), drawn row by row.

    Source: He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015, eq. 10.
    """
    return _uniform(W, state, 6 / W.shape[0], fmt)


@kind("order[s] state[] -> order[s] state[]")
def shuffle(order: Integers, state: Integers, *, fmt: Format) -> tuple[Integers, Integers]:
    """Return `order` after Fisher and Yates's shuffle from the last element down.

    Element i changes places with j, the upper half of the 128-bit product of a draw and i + 1.
    Source: Durstenfeld, CACM algorithm 235 (1964).
    """
    del fmt
    draws, after = splitmix64(int(state), max(len(order) - 1, 0))
    moved = order.tolist()
    for i, bits in zip(range(len(moved) - 1, 0, -1), draws.tolist(), strict=True):
        j = bits * (i + 1) >> 64
        moved[i], moved[j] = moved[j], moved[i]
    return np.array(moved, order.dtype), np.array(after, np.uint64)


@kind("order[s] -> order[s]")
def sequence(order: Integers, *, fmt: Format) -> Integers:
    """Return 0, 1, 2, ...: the samples in the order of the file."""
    del fmt
    return np.arange(len(order), dtype=order.dtype)


@kind("mask[..] state[] rate[] -> mask[..] state[]")
def dropout_mask(
    mask: Bounded, state: Integers, rate: Bounded, *, fmt: Format
) -> tuple[Bounded, Integers]:
    """Return 0 where the draw is below `rate`, else 1 / (1 - rate): inverted dropout.

    A draw is the upper 24 bits as a fraction of 1, exact in float32. Source: Srivastava et al.,
    "Dropout", JMLR 15 (2014), section 10.
    """
    draws, after = _units(state, mask.value.size)
    kept = (draws >= rate.value).reshape(mask.shape).astype(np.float64)
    scale = bounded.divide(exact(1.0), bounded.subtract(exact(1.0), rate, fmt), fmt)
    return Bounded(kept * scale.value, kept * scale.error), after


def _uniform(W: Bounded, state: Integers, square: float, fmt: Format) -> tuple[Bounded, Integers]:
    """Draw W from -limit..limit: a quotient, a root and a product are rounded, no more."""
    draws, after = _units(state, W.value.size)
    value = (2 * draws - 1).reshape(W.shape) * np.sqrt(square)
    return bounded.rounded(value, np.zeros(W.shape), fmt, roundings=3), after


def _units(state: Integers, count: int) -> tuple[NDArray[np.float64], Integers]:
    bits, after = splitmix64(int(state), count)
    units = (bits >> np.uint64(40)).astype(np.float64) * 2.0**-24
    return units, np.array(after, np.uint64)
