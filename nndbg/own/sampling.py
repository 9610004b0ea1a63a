"""What a function's results may be when a program computes them: many runs, each rounded otherwise.

The value is a run in float64. How far a program's number may lie from it is estimated, not proved:
from runs in which every operation errs as much as rounding can make it, and from one in the
program's own format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.own.noise import Noise, is_noisy
from nndbg.reference import Bounded, Format

Arrays = Mapping[str, NDArray[Any]]
Function = Callable[..., Any]

# Of errors that are added up at random one in 10^9 lies beyond: Student's t with 16 degrees.
RUNS = 16
BEYOND = 8
# How often the error of the one run in the program's format is allowed.
BEYOND_ONE = 4


class ResultError(ValueError):
    """The function does not return what the map says; the message tells what, in one line."""


@dataclass(frozen=True, eq=False)
class Operand:
    """What a function is given: a program's array, and how far off its elements may be."""

    array: NDArray[Any]
    error: NDArray[np.float64] | None = None


def sample(
    function: Function,
    operands: Mapping[str, Operand],
    numbers: Mapping[str, float],
    results: Sequence[str],
    fmt: Format,
) -> dict[str, Bounded]:
    """Return each of `results`, with an estimate of how far off a correct program may be.

    The estimate is BEYOND times the root mean square of RUNS runs, and BEYOND_ONE times the error
    of the run in `fmt`. Where the function leaves the arrays whose arithmetic is seen, as it does
    for PyTorch, as many runs have inputs that are off by gamma(n), n the longest axis of any input.
    Raises ResultError, and whatever the function raises.
    """

    def call(arrays: Arrays) -> dict[str, NDArray[Any]]:
        return _named(function(**arrays, **numbers), results)

    with np.errstate(all="ignore"):
        value = call(_drawn(operands, None, np.float64))
        spread = _Spread(value)
        is_seen = True
        for seed in range(RUNS):
            noise = Noise(seed, fmt)
            drawn = {
                name: noise.array(array) if array.dtype.kind == "f" else array
                for name, array in _drawn(operands, noise, np.float64).items()
            }
            run = call(drawn)
            is_seen = is_seen and all(map(is_noisy, _floating(run)))
            spread.take(run)
        if not is_seen:
            longest = max((max(o.array.shape, default=1) for o in operands.values()), default=1)
            for seed in range(RUNS):
                noise = Noise(seed, fmt)
                spread.take(call(_moved(_drawn(operands, noise, np.float64), noise, longest)))
        one = _Spread(value)
        one.take(call(_drawn(operands, None, np.dtype(fmt.name))))
        again = call(_drawn(operands, None, np.float64))
    for name in results:
        if not np.array_equal(value[name], again[name], equal_nan=value[name].dtype.kind == "f"):
            raise ResultError(
                f"returns another {name} when it is called again with the same: "
                "a reference must not keep or draw anything"
            )
    return {name: _bounded(value[name], spread.of(name), one.of(name), fmt) for name in results}


class _Spread:
    """How far runs lie from a value: the root of the mean square, by element."""

    def __init__(self, value: Arrays) -> None:
        self._value = value
        self._squares = {name: np.zeros(array.shape) for name, array in value.items()}
        self._runs = 0

    def take(self, run: Arrays) -> None:
        for name, array in run.items():
            value = self._value[name]
            if array.shape != value.shape:
                raise ResultError(f"returns {name} {list(array.shape)}, then {list(value.shape)}")
            numbers = array.astype(np.float64)
            gap = np.where(numbers == value, 0.0, np.abs(numbers - value))
            self._squares[name] += np.where(np.isnan(gap), np.inf, gap) ** 2
        self._runs += 1

    def of(self, name: str) -> NDArray[np.float64]:
        return np.asarray(np.sqrt(self._squares[name] / self._runs))


def _bounded(
    value: NDArray[Any], spread: NDArray[np.float64], one: NDArray[np.float64], fmt: Format
) -> Bounded:
    if value.dtype.kind in "iub":
        integers = value.astype(np.int64) if value.dtype.kind == "b" else value
        error = np.where((spread > 0) | (one > 0), np.inf, 0.0)
        return Bounded(integers.astype(np.float64), error, integers)
    number = value.astype(np.float64)
    error = BEYOND * spread + BEYOND_ONE * one + fmt.tiny
    return Bounded(number, np.where(np.isnan(number), 0.0, error))


def _drawn(operands: Mapping[str, Operand], noise: Noise | None, dtype: Any) -> Arrays:
    """Return copies of the operands: floating-point ones in `dtype`, moved within their errors."""
    found: dict[str, NDArray[Any]] = {}
    for name, operand in operands.items():
        array = operand.array
        if array.dtype.kind == "f":
            array = array.astype(np.float64)
            if noise is not None and operand.error is not None:
                array = array + noise.draw(array.shape) * operand.error
            array = array.astype(dtype)
        found[name] = np.array(array)
    return found


def _moved(arrays: Arrays, noise: Noise, longest: int) -> Arrays:
    return {name: noise.disturb(array, array, longest) for name, array in arrays.items()}


def _floating(run: Arrays) -> list[NDArray[Any]]:
    return [array for array in run.values() if array.dtype.kind == "f"]


def _named(returned: Any, results: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return what came back as arrays by name: of a dictionary, a tuple in order, or one array."""
    if isinstance(returned, Mapping):
        missing = [name for name in results if name not in returned]
        if missing:
            has = ", ".join(map(str, returned)) or "nothing"
            raise ResultError(f"returns no {missing[0]}: it has {has}")
        parts = [returned[name] for name in results]
    elif isinstance(returned, tuple):
        if len(returned) != len(results):
            raise ResultError(
                f"returns {len(returned)} arrays, and {len(results)} are wanted: "
                f"{', '.join(results)}"
            )
        parts = list(returned)
    elif len(results) == 1:
        parts = [returned]
    else:
        raise ResultError(
            f"returns {_what(returned)}, and a dictionary is wanted with {', '.join(results)}"
        )
    return {name: _array(name, part) for name, part in zip(results, parts, strict=True)}


def _array(name: str, part: Any) -> NDArray[Any]:
    """Return a result as an array; a tensor is one that can be detached, moved and converted."""
    if hasattr(part, "detach"):
        part = part.detach().cpu().numpy()
    try:
        array: NDArray[Any] = np.asanyarray(part)
    except ValueError as error:
        raise ResultError(f"returns no array for {name}: {error}") from error
    if array.dtype.kind not in "fiub":
        what = f"numbers of type {array.dtype}" if array.dtype.kind == "c" else _what(part)
        raise ResultError(f"returns {what} for {name}, and real numbers are wanted")
    return array


def _what(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
