"""What makes a number that AArch64 code stores, by the listing of the function that stores it.

Nothing is run for it: what comes last before the store in the listing is taken for what ran last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Both are the same register, as w3 and x3 are, or s0, d0 and v0.
_REGISTER = re.compile(r"\b(?:([wx])|[bhsdqv])(\d{1,2})\b")
_WRITES_NOTHING = ("b", "bl", "blr", "br", "ret", "cmp", "cmn", "tst", "fcmp", "fcmpe", "nop")
_MOST_LOADS, _MOST_MOVES = 2, 2


@dataclass(frozen=True)
class Listed:
    """One instruction: its address as linked, and its text as GDB writes it."""

    address: int
    text: str

    @property
    def mnemonic(self) -> str:
        """What it is called."""
        return self.text.split(maxsplit=1)[0] if self.text else ""

    @property
    def is_load(self) -> bool:
        """Whether it reads memory."""
        return self.mnemonic.startswith("ld")

    @property
    def is_call(self) -> bool:
        """Whether it may change any register that is not saved."""
        return self.mnemonic in ("bl", "blr")

    @property
    def values(self) -> tuple[str, ...]:
        """The registers before its address, in the order written."""
        return _registers(self.text.partition("[")[0])

    @property
    def base(self) -> tuple[str, ...]:
        """The registers that make its address."""
        return _registers(self.text.partition("[")[2])

    @property
    def writes(self) -> frozenset[str]:
        """The registers that it replaces; not one that it moves an address on by."""
        if self.mnemonic.startswith(("st", "b.", "cb", "tb")) or self.mnemonic in _WRITES_NOTHING:
            return frozenset()
        return frozenset(self.values[: 2 if self.mnemonic.startswith("ldp") else 1])


def makers(listing: Sequence[Listed]) -> list[tuple[Listed, str]]:
    """Return what makes the number that the last instruction stores, and what each does for it.

    First what calculates it, then what loads its terms, then what moves the addresses of these.
    """
    *before, store = listing
    wanted = set(store.values)
    calculation: Listed | None = None
    loads: list[Listed] = []
    for line in reversed(before):
        if line.is_call or not wanted:
            break
        if not line.writes & wanted:
            continue
        if line.is_load:
            loads.append(line)
            wanted -= line.writes
            continue
        calculation = calculation or line
        sources = set(line.values[1:])
        wanted = (wanted - line.writes) | sources
    loads = loads[:_MOST_LOADS]
    moved = {register for load in loads for register in load.base}
    first = min((load.address for load in loads), default=store.address)
    moves = [line for line in before if line.address > first and line.writes & moved]
    return [
        *([(calculation, "calculates what is stored")] if calculation is not None else []),
        *((load, "loads what goes into it") for load in loads),
        *((line, "moves the address of what goes into it") for line in moves[:_MOST_MOVES]),
    ]


def _registers(text: str) -> tuple[str, ...]:
    return tuple(
        f"{'x' if general else 'v'}{number}" for general, number in _REGISTER.findall(text)
    )
