"""Calls that may be missing: behind arguments that nobody takes, or that a sibling makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from iced_x86 import FlowControl, Instruction, InstructionInfoFactory, OpAccess, RegisterExt

from nndbg.culprit.amendments.coding import Change, Cost, Register, name_of
from nndbg.culprit.amendments.insertions import ARGUMENTS, before, is_call, is_leader, is_zeroing
from nndbg.culprit.amendments.replacements import Setting

_READS = {OpAccess.READ, OpAccess.COND_READ, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
_PASSED = frozenset((*ARGUMENTS, Register.ZMM0, Register.RAX))


def prepared(body: tuple[Instruction, ...], at: int, setting: Setting) -> Iterator[Change]:
    """Yield calls where arguments are set that nothing takes before they are set anew."""
    behind = untaken(body).get(at)
    if behind is not None:
        for place, call in enumerate(setting.calls):
            for change in before(body[at], call, Cost.NUMBER + place / 50 + behind / 100):
                # Who sets an argument is whom the call is expected of.
                yield replace(change, behind=None if behind else body[at - 1].ip)


def missed(body: tuple[Instruction, ...], at: int, setting: Setting) -> Iterator[Change]:
    """Yield calls that there is reason to miss, behind what sets an argument or begins a block."""
    if not (setting.is_caller or untaken(body)):
        return
    if at and not is_leader(body, at) and not _sets_argument(body[at - 1]):
        return
    for place, call in enumerate(setting.calls[: setting.missed]):
        yield from before(body[at], call, Cost.CONDITION + 0.1 + place / 50)


def _sets_argument(instruction: Instruction) -> bool:
    return any(register in _PASSED for register, is_read in _used(instruction) if not is_read)


@lru_cache(maxsize=64)
def untaken(body: tuple[Instruction, ...]) -> dict[int, int]:
    """Return the places behind arguments that nothing takes, and where the stack is made ready.

    With each goes how many instructions behind the last argument it is. An argument is not taken if
    it is set again before it is read, on every way from there. The stack is made ready for a call
    if it is moved down and up again with no call in between.
    """
    found: dict[int, int] = {}
    live = _live(body)
    waiting = {
        at
        for at, instruction in enumerate(body)
        if instruction.flow_control == FlowControl.NEXT
        and any(r in ARGUMENTS and r not in live[at] for r in _set(instruction))
    }
    for at in sorted(waiting):
        last = at
        while last + 1 in waiting:
            last += 1
        for behind in range(min(_NEAR, len(body) - 1 - last)):
            found[last + 1 + behind] = min(behind, found.get(last + 1 + behind, _NEAR))
    for at, instruction in enumerate(body):
        if is_call(instruction):
            continue
        if instruction.stack_pointer_increment < 0 or _moves_stack(instruction):
            until = _moved_back(body, at)
            for place in range(at + 1, until + 1 if until is not None else 0):
                found.setdefault(place, until - place if until is not None else 0)
    return found


# How far behind an argument a call may be missing, and within what room on the stack.
_NEAR, _ROOM = 3, 12


def _set(instruction: Instruction) -> set[object]:
    """Return the register that an instruction is told to write, and does not read."""
    used = _used(instruction)
    told: set[object] = {RegisterExt.full_register(instruction.op_register(0))}
    written = {r for r, is_read in used if not is_read} - {r for r, is_read in used if is_read}
    return told & written


def _moves_stack(instruction: Instruction) -> bool:
    return name_of(instruction) in ("sub", "add") and instruction.op_register(0) == Register.RSP


def _moved_back(body: Sequence[Instruction], at: int) -> int | None:
    """Return where the stack is moved up that was moved down at a place, with no call."""
    if name_of(body[at]) == "add":
        return None
    for later in range(at + 1, min(len(body), at + _ROOM)):
        if body[later].flow_control != FlowControl.NEXT:
            return None
        if name_of(body[later]) == "add" and _moves_stack(body[later]):
            return later
    return None


def _live(body: Sequence[Instruction]) -> list[frozenset[object]]:
    """Return the arguments that may still be read behind each instruction."""
    index = {instruction.ip: at for at, instruction in enumerate(body)}
    every = frozenset[object](ARGUMENTS)
    before = [frozenset[object]()] * len(body)
    behind = list(before)
    changed = True
    while changed:
        changed = False
        for at in range(len(body) - 1, -1, -1):
            instruction = body[at]
            used = _used(instruction)
            out = frozenset[object]().union(*_ways(body, at, index, before, every))
            read = {r for r, is_read in used if is_read}
            written = {r for r, is_read in used if not is_read}
            into = every if is_call(instruction) else (out - written) | (read & every)
            behind[at] = out
            if into != before[at]:
                before[at] = into
                changed = True
    return behind


def _ways(
    body: Sequence[Instruction],
    at: int,
    index: dict[int, int],
    before: Sequence[frozenset[object]],
    every: frozenset[object],
) -> Iterator[frozenset[object]]:
    """Yield what is read on each way on from an instruction."""
    instruction = body[at]
    flow = instruction.flow_control
    if flow in (FlowControl.CONDITIONAL_BRANCH, FlowControl.UNCONDITIONAL_BRANCH):
        target = index.get(instruction.near_branch_target)
        yield before[target] if target is not None else every
    elif flow not in (
        FlowControl.NEXT,
        FlowControl.CALL,
        FlowControl.RETURN,
        FlowControl.INDIRECT_CALL,
    ):
        yield every
    if flow not in (FlowControl.RETURN, FlowControl.UNCONDITIONAL_BRANCH):
        yield before[at + 1] if at + 1 < len(body) else every


@lru_cache(maxsize=4096)
def _used(instruction: Instruction) -> Sequence[tuple[object, bool]]:
    """Return the registers that an instruction uses, at their widest, and whether it reads them."""
    zeroes = is_zeroing(instruction)
    return tuple(
        (RegisterExt.full_register(used.register), used.access in _READS and not zeroes)
        for used in InstructionInfoFactory().info(instruction).used_registers()
    )
