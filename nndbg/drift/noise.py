"""A run that errs as float32 does, at random: how far would rounding alone take this training?

This is Monte Carlo arithmetic (Parker, "Monte Carlo arithmetic: exploiting randomness in
floating-point arithmetic", 1997), an op at a time. What an op makes is v + xi e, rounded to the
nearest number of the program's format. That rounding is the program's last one, made for real, so
that updates too small to be stored are lost here too. xi is uniform in -1..1, and e is what the
roundings before the last add up to: the op's own bound, less u |v|, with sqrt(n) u in the place of
gamma(n), since n independent errors grow like a random walk (Higham and Mary, "A new approach to
probabilistic rounding error analysis", SISC 41, 2019, theorem 2.4).
"""

from __future__ import annotations

import math
from typing import overload

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from nndbg.chain import Chain, Operands, evaluate
from nndbg.layermap import LayerMap, Op
from nndbg.reference import FLOAT32, FLOAT64, Bounded, Format


class RandomWalk(Format):
    """A format whose n roundings add up to sqrt(n) of them."""

    @overload
    def gamma(self, n: int) -> float: ...
    @overload
    def gamma(self, n: NDArray[np.int_]) -> NDArray[np.float64]: ...
    def gamma(self, n: int | NDArray[np.int_]) -> float | NDArray[np.float64]:
        """Return the likely relative error of n rounded operations: sqrt(n) u."""
        if isinstance(n, int):
            return math.sqrt(n) * self.unit
        return np.asarray(np.sqrt(n) * self.unit)


_LIKELY = {
    fmt.name: RandomWalk(fmt.name, fmt.unit, fmt.tiny, fmt.largest) for fmt in (FLOAT32, FLOAT64)
}


class NoisyRun:
    """The reference once more, with rounding errors drawn by `random`."""

    def __init__(self, layer_map: LayerMap, random: Generator) -> None:
        self.chain = Chain(layer_map)
        self._random = random

    def follow(self, op: Op, operands: Operands, fmt: Format) -> dict[str, Bounded]:
        """Return, and keep, what the op makes of the operands with its errors."""
        made = evaluate(op, operands, _LIKELY[fmt.name])
        outputs = {
            name: value if value.integers is not None else self._err(value, fmt)
            for name, value in made.items()
        }
        self.chain.keep(outputs)
        return outputs

    def _err(self, value: Bounded, fmt: Format) -> Bounded:
        erring = np.asarray(value.error - fmt.unit * np.abs(value.value))
        np.clip(erring, 0, fmt.largest, out=erring)
        erring *= 2 * self._random.random(value.shape, np.float32) - 1
        erring += value.value
        with np.errstate(invalid="ignore", over="ignore"):
            stored = erring.astype(fmt.name).astype(np.float64)
        return Bounded(stored, np.zeros(value.shape))
