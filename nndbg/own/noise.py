"""Arrays that disturb every result of arithmetic on them, as roundings of a program might.

Each operation adds at random up to the largest error that its rounding can make: u of the result,
4 ulps for a function such as exp. A sum of n terms, in any order, adds up to 2 sqrt(n) u of the sum
of the magnitudes, or gamma(n) where that is less: n roundings, none larger than u of that sum,
which do not all go the same way. So a run of a function is one program that computes its formula.
Sources: Parker, "Monte Carlo Arithmetic", UCLA (1997); Higham and Mary, "A new approach to
probabilistic rounding error analysis", SIAM J. Sci. Comput. 41 (2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nndbg.reference import Format

# What a routine for anything but + - * / and the root may err: 4 ulps, 2 u each.
_ROUTINE = 8
_ONE = ("add", "subtract", "multiply", "sqrt", "square")
_TWO = ("divide", "reciprocal")
_NONE = (
    *("negative", "positive", "absolute", "fabs", "sign", "copysign", "conjugate", "clip"),
    *("maximum", "minimum", "fmax", "fmin", "floor", "ceil", "rint", "trunc"),
)
_ROUNDINGS = {**dict.fromkeys(_NONE, 0), **dict.fromkeys(_ONE, 1), **dict.fromkeys(_TWO, 2)}
# Sums of products, linear in each array that they take.
_PRODUCTS = frozenset(
    (np.dot, np.inner, np.outer, np.vdot, np.tensordot, np.einsum, np.convolve, np.correlate)
)
# What rounds inside, where nothing is disturbed: its result is an array like any other.
_OPAQUE = frozenset((np.cumsum, np.cumprod, np.interp, np.trapezoid, np.polyfit, np.cov))
_OPAQUE_MODULES = ("numpy.linalg", "numpy.fft")


class Noise:
    """Where disturbances are drawn from: an error is half to all of the largest, of either sign."""

    def __init__(self, seed: int, fmt: Format) -> None:
        self._random = np.random.default_rng(seed)
        self.fmt = fmt

    def draw(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Return numbers from -1 to -1/2 and from 1/2 to 1."""
        drawn = self._random.random(shape) - 0.5
        return np.asarray(drawn + np.copysign(0.5, drawn))

    def gamma(self, roundings: int) -> float:
        """Return the largest relative error of so many roundings; all of it, of too many."""
        return self.fmt.gamma(roundings) if roundings * self.fmt.unit < 0.5 else 1.0

    def disturb(self, value: Any, magnitude: Any, roundings: int) -> Any:
        """Return `value` moved by at most gamma(roundings) of `magnitude`; infinity stays."""
        array = np.asarray(value)
        if array.dtype.kind != "f" or not roundings:
            return value
        with np.errstate(invalid="ignore"):
            moved = array + self.draw(array.shape) * (self.gamma(roundings) * np.abs(magnitude))
        return np.where(np.isfinite(array), moved, array).astype(array.dtype)

    def constant(self, value: Any) -> Any:
        """Return a number of the function's own, disturbed where the format cannot hold it."""
        array = np.asarray(value)
        if array.dtype.kind != "f" or array.size > 1:
            return value
        holds = array.astype(self.fmt.name) == array
        return value if holds.all() else self.disturb(array, array, 1)

    def array(self, value: NDArray[Any]) -> Noisy:
        """Return an array that is disturbed from now on."""
        noisy = np.array(value).view(Noisy)
        noisy.noise = self
        return noisy


class Noisy(np.ndarray):
    """An array of which every result of arithmetic is disturbed."""

    noise: Noise

    def __array_finalize__(self, parent: Any) -> None:
        """Hand the noise on to views and copies."""
        if hasattr(parent, "noise"):
            self.noise = parent.noise

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        """Compute without noise, then disturb what came out."""
        plain = [_plain(x) if isinstance(x, Noisy) else self.noise.constant(x) for x in inputs]
        if out is not None and options.get("where", True) is not True:
            options["out"] = tuple(None if o is None else np.array(_plain(o)) for o in out)
        result = getattr(ufunc, method)(*plain, **options)
        if method == "at" or isinstance(result, tuple):
            return self._wrap(result)
        result = self._wrap(self._disturbed(ufunc, method, plain, options, result))
        if out is not None and out[0] is not None:
            np.copyto(_plain(out[0]), _plain(result), casting="unsafe")
            return out[0]
        return result

    def __array_function__(
        self, function: Any, types: Any, arguments: Iterable[Any], options: Mapping[str, Any]
    ) -> Any:
        """Disturb sums of products; leave what rounds unseen as a plain array; keep the rest."""
        if function in _PRODUCTS:
            value = function(*_each(arguments, _plain), **options)
            magnitude = function(*_each(arguments, lambda a: np.abs(_plain(a))), **options)
            terms = function(*_each(arguments, lambda a: np.ones(a.shape)), **options)
            count = int(np.max(_plain(np.asarray(terms)), initial=0))
            return self._wrap(self.noise.disturb(value, magnitude, in_a_sum(count)))
        module = getattr(function, "__module__", "") or ""
        if function in _OPAQUE or module.startswith(_OPAQUE_MODULES):
            plain = {k: _plain(v) if isinstance(v, Noisy) else v for k, v in options.items()}
            return function(*_each(arguments, _plain), **plain)
        return self._wrap(super().__array_function__(function, types, arguments, options))

    def __getitem__(self, key: Any) -> Any:
        """Return elements; a single one stays an array, and noisy."""
        return self._wrap(super().__getitem__(key))

    def dot(self, other: Any, out: Any = None) -> Any:
        """Return the product, as `np.dot` does."""
        product = np.dot(self, other)
        if out is None:
            return product
        out[...] = product
        return out

    def cumsum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        """Return a plain array: what it rounds is not seen."""
        return _plain(self).cumsum(axis, dtype, out)

    def _wrap(self, result: Any) -> Any:
        if isinstance(result, tuple):
            return tuple(self._wrap(part) for part in result)
        if isinstance(result, list):
            return [self._wrap(part) for part in result]
        if isinstance(result, np.ndarray | np.generic) and not isinstance(result, Noisy):
            array = np.asarray(result)
            if array.dtype.kind == "f":
                noisy = array.view(Noisy)
                noisy.noise = self.noise
                return noisy
        return result

    def _disturbed(
        self,
        ufunc: np.ufunc,
        method: str,
        plain: Sequence[Any],
        options: Mapping[str, Any],
        result: Any,
    ) -> Any:
        if np.asarray(result).dtype.kind != "f":
            return result
        roundings = _ROUNDINGS.get(ufunc.__name__, _ROUTINE)
        if ufunc is np.matmul:
            terms = np.asarray(plain[0]).shape[-1]
            magnitude = np.matmul(*map(np.abs, plain), **_without_out(options))
            return self.noise.disturb(result, magnitude, in_a_sum(terms))
        if method in ("reduce", "accumulate", "reduceat"):
            array = np.asarray(plain[0])
            count = array.size if method != "reduce" else array.size // max(np.size(result), 1)
            if ufunc is np.add:
                sums = getattr(ufunc, method)(np.abs(array), *plain[1:], **_without_out(options))
                return self.noise.disturb(result, sums, in_a_sum(max(count - 1, 0)))
            roundings *= max(count - 1, 0)
        return self.noise.disturb(result, result, roundings)


def in_a_sum(terms: int) -> int:
    """Return how many roundings of the whole sum those of its terms come to, at most."""
    return min(terms, math.ceil(2 * math.sqrt(terms)))


def _plain(array: Any) -> Any:
    return np.asarray(array).view(np.ndarray) if isinstance(array, np.ndarray) else array


def _without_out(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in ("out", "initial")}


def _each(arguments: Iterable[Any], change: Callable[[Any], Any]) -> list[Any]:
    return [
        change(a)
        if isinstance(a, np.ndarray)
        else _each(a, change)
        if isinstance(a, list | tuple) and any(isinstance(part, np.ndarray) for part in a)
        else a
        for a in arguments
    ]


def is_noisy(value: object) -> bool:
    """Whether all arithmetic that made `value` was seen."""
    return isinstance(value, Noisy)


__all__ = ["Noise", "Noisy", "in_a_sum", "is_noisy"]
