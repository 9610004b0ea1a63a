"""Writes numbers in a fixed width, points aligned where that keeps enough digits."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Fixed notation shows at least so many digits of a number, and of the array's largest.
_SIGNIFICANT, _SIGNIFICANT_OF_LARGEST = 3, 4
_MOST_DECIMALS = 7


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of one array are written: at most `width` characters."""

    width: int
    decimals: int | None
    is_integer: bool = False

    def __call__(self, value: float) -> str:
        """Return `value`, not padded."""
        if math.isnan(value):
            return "nan"
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        if value == 0:
            return "-0" if math.copysign(1.0, value) < 0 else "0"
        if self.is_integer:
            text = f"{value:.0f}"
            return text if len(text) <= self.width else self._exponent(value)
        if self.decimals is not None and abs(value) >= 10.0 ** (_SIGNIFICANT - 1 - self.decimals):
            text = f"{value:.{self.decimals}f}"
            if len(text) <= self.width:
                return text
        return self._exponent(value)

    def _exponent(self, value: float) -> str:
        """Keep the place of a minus free, so that all numbers have as many digits."""
        return exponent(value, self.width if value < 0 else self.width - 1)


def number_format(largest: float, width: int, is_integer: bool) -> NumberFormat:
    """Return the format for an array whose largest magnitude is `largest`."""
    before_point = max(1, math.floor(math.log10(largest)) + 1) if largest > 0 else 1
    decimals = min(max(width - len("-.") - before_point, _SIGNIFICANT), _MOST_DECIMALS)
    is_small = 0 < largest < 10.0 ** (_SIGNIFICANT_OF_LARGEST - 1 - decimals)
    return NumberFormat(width, None if is_small else decimals, is_integer)


def exponent(value: float, width: int, sign: str = "-") -> str:
    """Return `value` in scientific notation with as many decimals as `width` holds, six at most."""
    for decimals in range(min(width, 6), -1, -1):
        mantissa, _, power = f"{value:{sign}.{decimals}e}".partition("e")
        text = f"{mantissa}e{int(power)}"
        if len(text) <= width:
            break
    return text


def signed(value: float, width: int) -> str:
    """Return a difference: always with its sign, 0 where there is none."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return f"{value:+}"
    return exponent(value, width, "+") if value else "0"


def share(used: float) -> str:
    """Return a share of the bound in at most six characters: `4%`, `250%`, `×70`, `×3e7`, `∞`."""
    if math.isinf(used):
        return "∞"
    if used < 9.99:
        # An element within its bound never uses 100 %, one beyond it always more.
        return f"{math.floor(used * 100) if used < 1 else math.ceil(used * 100)}%"
    return f"×{used:.0f}" if used < 9999.5 else f"×{exponent(used, 4)}"
