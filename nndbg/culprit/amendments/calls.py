"""Calls that may be missing: behind arguments that nobody takes, or that a sibling makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from iced_x86 import FlowControl, Instruction, InstructionInfoFactory, OpAccess, RegisterExt

from nndbg.culprit.amendments.coding import Change, Cost, Register
from nndbg.culprit.amendments.insertions import ARGUMENTS, before, is_leader
from nndbg.culprit.amendments.replacements import Setting

_READS = {OpAccess.READ, OpAccess.COND_READ, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
_PASSED = frozenset((*ARGUMENTS, Register.ZMM0, Register.RAX))


def prepared(body: tuple[Instruction, ...], at: int, setting: Setting) -> Iterator[Change]:
    """Yield calls where arguments are set that nothing takes before they are set anew."""
    if at in _untaken(body):
        for place, call in enumerate(setting.calls):
            yield from before(body[at], call, Cost.NUMBER + place / 50)


def missed(body: tuple[Instruction, ...], at: int, setting: Setting) -> Iterator[Change]:
    """Yield calls that there is reason to miss, behind what sets an argument or begins a block."""
    if at and not is_leader(body, at) and not _sets_argument(body[at - 1]):
        return
    for place, call in enumerate(setting.calls[: setting.missed]):
        yield from before(body[at], call, Cost.CONDITION + 0.1 + place / 50)


def _sets_argument(instruction: Instruction) -> bool:
    return any(register in _PASSED for register, is_read in _used(instruction) if not is_read)


@lru_cache(maxsize=64)
def _untaken(body: tuple[Instruction, ...]) -> frozenset[int]:
    """Return the places up to which an argument is set, and then set again or left without use."""
    found = set[int]()
    waiting: dict[object, int] = {}
    for at, instruction in enumerate(body):
        used = _used(instruction)
        read = {register for register, is_read in used if is_read}
        for register in read:
            waiting.pop(register, None)
        written = {register for register, is_read in used if not is_read} - read
        lost = [waiting[register] for register in written if register in waiting]
        is_end = instruction.flow_control == FlowControl.RETURN
        if is_end:
            lost += list(waiting.values())
        if lost:
            # Somewhere behind the last argument, and at the latest here.
            last = max(waiting.values())
            found.update(range(last + 1, min(at, last + _NEAR) + 1))
            found.add(at)
        if instruction.flow_control != FlowControl.NEXT:
            waiting.clear()
            continue
        waiting |= {register: at for register in written if register in ARGUMENTS}
    return frozenset(found)


# How far behind the last argument a call may be missing.
_NEAR = 3


@lru_cache(maxsize=4096)
def _used(instruction: Instruction) -> Sequence[tuple[object, bool]]:
    """Return the registers that an instruction uses, at their widest, and whether it reads them."""
    zeroes = instruction.op_count == 2 and instruction.op_register(0) == instruction.op_register(1)
    return tuple(
        (RegisterExt.full_register(used.register), used.access in _READS and not zeroes)
        for used in InstructionInfoFactory().info(instruction).used_registers()
    )
