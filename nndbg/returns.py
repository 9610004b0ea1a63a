"""Where a function is left, from its instructions: most assembly has no unwind information."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nndbg.decode import Disassembly

# Beyond this many instructions nothing is claimed.
_MOST = 20_000
_ENDS = frozenset({"ud2", "hlt", "int3"})
_CALL = 0xE8
_CALL_SIZE = 5


@dataclass(frozen=True)
class Returns:
    """The places at which a function that begins at `entry` is left, as linked.

    They are its `ret`s, those of what it jumps into included; or, where `are_behind` the calls,
    the instructions that the callers go on with. Where others come by there too, `is_shared`: the
    calls have to be followed to tell whose return it is.
    """

    entry: int
    exits: tuple[int, ...]
    is_shared: bool = False
    are_behind: bool = False


def find_returns(code: Disassembly, entry: int) -> Returns | None:
    """Return where the function at `entry` is left, None where its instructions do not show it."""
    seen: set[int] = set()
    exits: set[int] = set()
    hides = calls_itself = False
    ahead = [entry]
    while ahead and len(seen) <= _MOST:
        at = ahead.pop()
        instruction = code.at(at)
        if at in seen or instruction is None:
            continue
        seen.add(at)
        if instruction.is_return:
            exits.add(at)
            continue
        calls_itself |= instruction.is_call and instruction.target == entry
        if instruction.is_jump or instruction.is_branch:
            hides |= instruction.target is None
            ahead += [] if instruction.target is None else [instruction.target]
        if not instruction.is_jump and instruction.mnemonic not in _ENDS:
            ahead.append(instruction.end)
    if hides:
        # A table of jumps leads on within the function; a jump to a kernel leads out of it.
        inside = {i.address for i in code.function(entry) if i.is_return and i.address > entry}
        if not inside - exits:
            behind = tuple(sorted(_behind_calls(code, entry)))
            return Returns(entry, behind, True, True) if behind else None
        exits |= inside
    if not exits:
        return None
    own = code.executable.function_at(entry)
    is_alone = all(code.executable.function_at(at) == own for at in exits)
    return Returns(
        entry,
        tuple(sorted(exits)),
        is_shared=calls_itself or hides or not is_alone or own is None or own.address != entry,
    )


def _behind_calls(code: Disassembly, entry: int) -> Iterator[int]:
    """Yield what comes behind each direct call of `entry`."""
    for section in code.executable.code:
        data = np.frombuffer(code.executable.code_at(section.start, len(section)), np.uint8)
        at = np.flatnonzero(data[: max(0, len(data) - _CALL_SIZE + 1)] == _CALL)
        distance = data[at[:, None] + np.arange(1, _CALL_SIZE)].copy().view("<i4").reshape(-1)
        for address in (at[at + _CALL_SIZE + distance + section.start == entry]).tolist():
            call = code.at(section.start + address)
            if call is not None and call.is_call:
                yield call.end
