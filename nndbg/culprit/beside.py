"""What stands beside a repair: the lines around what is missing, and those that feed what is wrong.

A change does at one line what another would do at the line that leads to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence

from iced_x86 import (
    FlowControl,
    Instruction,
    InstructionInfoFactory,
    OpAccess,
    RegisterExt,
)

from nndbg.culprit.amendments.coding import Change, Register
from nndbg.culprit.amendments.insertions import is_call
from nndbg.culprit.code import Code

_WRITES = {OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
_READS = {OpAccess.READ, OpAccess.COND_READ, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
_MOST = 12
_FRAMES = (Register.RSP, Register.RBP)


def beside(change: Change, code: Code, executed: Collection[int]) -> Iterator[tuple[int, str]]:
    """Yield the addresses of executed instructions beside a change, and what they have to do."""
    body = [i for i in code.body(change.address) if i.ip in executed]
    at = next((n for n, i in enumerate(body) if i.ip == change.address), None)
    if at is None:
        return
    if not change.count and change.constant is None:
        for near in (at - 1, at, at + 1, at - 2):
            if 0 <= near < len(body):
                yield body[near].ip, "stands beside what may be missing"
    waiting = deque([body[at], *(change.code if not change.count else ())])
    seen = {body[at].ip}
    while waiting and len(seen) < _MOST:
        user = waiting.popleft()
        for maker in _makers(user, change.address, code, executed):
            if maker.ip not in seen:
                seen.add(maker.ip)
                waiting.append(maker)
                yield maker.ip, f"makes what goes into {_first_line(code, change.address)}"


def _first_line(code: Code, address: int) -> str:
    line = code.executable.line_at(address)
    return f"line {line.line}" if line is not None else f"{address:#x}"


def _makers(
    user: Instruction, otherwise: int, code: Code, executed: Collection[int]
) -> Iterator[Instruction]:
    """Yield what last wrote each register that an instruction reads, in its function or for it."""
    address = user.ip if user.ip in executed else otherwise
    body = [i for i in code.body(address) if i.ip in executed]
    at = next((n for n, i in enumerate(body) if i.ip == address), 0)
    for register in _registers(user, _READS):
        maker = _last(body[:at], register)
        if maker is not None:
            yield maker
            continue
        for caller, call in _calls_of(body[0].ip, code, executed):
            passed = caller[: caller.index(call)]
            if register in _FRAMES:
                yield from _pushed(passed)
            elif (found := _last(passed, register)) is not None:
                yield found
    if user.memory_base in _FRAMES:
        for caller, call in _calls_of(body[0].ip, code, executed):
            yield from _pushed(caller[: caller.index(call)])


def _last(body: Sequence[Instruction], register: object) -> Instruction | None:
    return next((i for i in reversed(body) if register in _registers(i, _WRITES)), None)


def _pushed(body: Sequence[Instruction]) -> Iterator[Instruction]:
    """Yield what puts arguments on the stack just before a call."""
    for instruction in reversed(body):
        if instruction.flow_control != FlowControl.NEXT:
            return
        if instruction.stack_pointer_increment < 0:
            yield instruction


def _calls_of(
    start: int, code: Code, executed: Collection[int]
) -> Iterator[tuple[list[Instruction], Instruction]]:
    """Yield the executed code of each function that called another, and the call."""
    for address in executed:
        body = code.body(address)
        here = next((i for i in body if i.ip == address), None)
        if here is not None and is_call(here) and _goes_to(here, start):
            yield [i for i in body if i.ip in executed], here


def _goes_to(call: Instruction, start: int) -> bool:
    """Whether a call goes to a function; of one by a pointer that may be."""
    return bool(call.is_call_near_indirect or call.near_branch_target == start)


def _registers(instruction: Instruction, access: Collection[int]) -> set[int]:
    return {
        RegisterExt.full_register(used.register)
        for used in InstructionInfoFactory().info(instruction).used_registers()
        if used.access in access
    }
