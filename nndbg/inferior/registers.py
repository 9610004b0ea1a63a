"""Reads the few registers that audits look at, with one command."""

from __future__ import annotations

from nndbg.audit import Registers
from nndbg.inferior.process import GENERAL, Inferior
from nndbg.machine import RegisterFile

_SAVED = ("rbx", "rbp", "r12", "r13", "r14", "r15")
_CORE = ("rsp", "eflags")
_CONTROL = ("mxcsr", "fctrl")
# The upper halves of ymm0 to ymm15, which vzeroupper clears; GDB has them by these names.
_UPPER = tuple(f"ymm{number}h" for number in range(16))
_DIRECTION = 1 << 10
_SHOWN = (*GENERAL, "eflags", "mxcsr")
# Where other machines than x86-64 are next; GDB numbers the general registers up to there.
_COUNTER = "pc"


def register_file(inferior: Inferior) -> RegisterFile | None:
    """Return the general registers, and the vector and mask registers in their full width.

    Of another machine than x86-64 the general ones. None where the program is gone.
    """
    if inferior.is_gone:
        return None
    numbers = inferior.register_numbers()
    if _COUNTER in numbers:
        last = numbers[_COUNTER]
        general = inferior.registers({name: n for name, n in numbers.items() if n <= last})
        return RegisterFile(general[_COUNTER] - inferior.load_offset, general)
    general = inferior.registers({name: numbers[name] for name in _SHOWN if name in numbers})
    # Without AVX-512 there are sixteen, and neither their upper halves nor masks.
    width = next(w for w in "zyx" if f"{w}mm0{'' if w == 'x' else 'h'}" in numbers)
    count = 32 if width == "z" else 16
    masks = inferior.registers({f"k{n}": numbers[f"k{n}"] for n in range(8) if f"k{n}" in numbers})
    return RegisterFile(
        address=general["rip"] - inferior.load_offset,
        general=general,
        vectors={f"{width}mm{n}": inferior.vector(f"{width}mm{n}") for n in range(count)},
        masks=masks,
    )


class RegisterReader:
    """Reads the registers of the thread that stopped, as far as this machine has them."""

    def __init__(self, inferior: Inferior) -> None:
        self._inferior = inferior
        numbers = inferior.register_numbers()
        wanted = (*_SAVED, *_CORE, *_CONTROL, *_UPPER)
        self._numbers = {name: numbers[name] for name in wanted if name in numbers}

    def read(self) -> Registers | None:
        """Return the registers as they are at this stop, None where they cannot be had."""
        values = self._inferior.registers(self._numbers)
        if not values.keys() >= {*_SAVED, *_CORE}:
            return None
        return Registers(
            saved={name: values[name] for name in _SAVED},
            stack=values["rsp"],
            direction=bool(values["eflags"] & _DIRECTION),
            mxcsr=values.get("mxcsr"),
            x87=values.get("fctrl"),
            upper=tuple(n for n, name in enumerate(_UPPER) if values.get(name)),
        )
