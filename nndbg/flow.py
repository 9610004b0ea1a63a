"""What the code between two places does by itself, leaving aside the functions that it calls.

A function that keeps a number in rbx may change it whenever it likes; the functions that it calls
may not. So before a callee is blamed for a register, this looks whether the caller's own
instructions change it on any way from one place to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import iced_x86 as x86

from nndbg.elf import Executable

# Beyond this many instructions nothing is claimed.
_MOST = 4000
_BITS = 64
# The longest instruction that x86 has, in bytes.
_LONGEST = 15

_WRITES = frozenset(
    {
        x86.OpAccess.WRITE,
        x86.OpAccess.COND_WRITE,
        x86.OpAccess.READ_WRITE,
        x86.OpAccess.READ_COND_WRITE,
    }
)
_READS = frozenset(
    {
        x86.OpAccess.READ,
        x86.OpAccess.COND_READ,
        x86.OpAccess.READ_WRITE,
        x86.OpAccess.READ_COND_WRITE,
    }
)
_RESTORES = frozenset(
    {
        *(x86.Mnemonic.FXRSTOR, x86.Mnemonic.FXRSTOR64, x86.Mnemonic.XRSTOR),
        *(x86.Mnemonic.XRSTOR64, x86.Mnemonic.XRSTORS, x86.Mnemonic.XRSTORS64),
    }
)
_SETS_MXCSR = _RESTORES | {x86.Mnemonic.LDMXCSR, x86.Mnemonic.VLDMXCSR}
_SETS_X87 = _RESTORES | {
    *(x86.Mnemonic.FLDCW, x86.Mnemonic.FLDENV, x86.Mnemonic.FRSTOR),
    *(x86.Mnemonic.FNINIT, x86.Mnemonic.FINIT, x86.Mnemonic.FNSAVE, x86.Mnemonic.FSAVE),
}
_GOES_ON = frozenset(
    {
        x86.FlowControl.NEXT,
        x86.FlowControl.CALL,
        x86.FlowControl.INDIRECT_CALL,
        x86.FlowControl.CONDITIONAL_BRANCH,
    }
)


@dataclass(frozen=True)
class OwnCode:
    """What the instructions between two places change, on whatever way.

    `writes` are 64-bit registers by name; `moves` is by how many bytes the stack pointer comes out
    higher if every call balances it, None where that depends on the way.
    """

    writes: frozenset[str]
    moves: int | None
    sets_direction: bool
    sets_mxcsr: bool
    sets_x87: bool
    uses_vectors: bool


@dataclass(frozen=True)
class _Step:
    """One instruction: where control may be after it, and what it does itself.

    `reads` leaves out a register that is only saved; `sets` are those whose old value is gone.
    """

    successors: tuple[int, ...]
    reads: frozenset[str]
    writes: frozenset[str]
    sets: frozenset[str]
    moves: int | None
    mnemonic: int
    uses_vectors: bool


def own_code(executable: Executable, begin: int, end: int) -> OwnCode | None:
    """Return what the code from `begin` does by itself until `end` is reached; as linked.

    None where no way is seen that leads there, or where an indirect jump hides one.
    """
    if begin == end:
        return OwnCode(frozenset(), 0, False, False, False, False)
    steps = _explore(executable, begin, end)
    if steps is None:
        return None
    passed = _leading_to(steps, end)
    if begin not in passed:
        return None
    between = [steps[address] for address in passed]
    mnemonics = {step.mnemonic for step in between}
    return OwnCode(
        writes=frozenset().union(*(step.writes for step in between)),
        moves=_moved(steps, passed, begin, end),
        sets_direction=x86.Mnemonic.STD in mnemonics,
        sets_mxcsr=bool(mnemonics & _SETS_MXCSR),
        sets_x87=bool(mnemonics & _SETS_X87),
        uses_vectors=any(step.uses_vectors for step in between),
    )


def is_needed(
    executable: Executable, address: int, register: str, stack: int, word: Callable[[int], int]
) -> bool:
    """Return whether own code from `address` on may read a register before it is set anew.

    Goes on in the callers: `stack` is the stack pointer at `address`, and `word` reads a return
    address, as linked, from the stack. Code that cannot be followed is not seen to read anything.
    """
    seen: set[int] = set()
    ahead: list[tuple[int, int | None]] = [(address, stack)]
    while ahead and len(seen) < _MOST:
        at, top = ahead.pop()
        instruction = _decode(executable, at)
        if at in seen or instruction.is_invalid:
            continue
        seen.add(at)
        step = _step(instruction)
        if register in step.reads:
            return True
        if register in step.sets:
            continue
        if instruction.flow_control == x86.FlowControl.RETURN:
            ahead += [] if top is None else [(word(top), top + 8)]
            continue
        top = None if top is None or step.moves is None else top + step.moves
        ahead += [(successor, top) for successor in step.successors]
    return False


def is_return_address(executable: Executable, address: int, function: int) -> bool:
    """Return whether a call of `function` ends right before `address`.

    An indirect call may be one of any function.
    """
    for length in range(2, 9):
        call = _decode(executable, address - length)
        if call.is_invalid or call.len != length:
            continue
        if call.flow_control == x86.FlowControl.INDIRECT_CALL:
            return True
        if call.flow_control == x86.FlowControl.CALL and call.near_branch_target == function:
            return True
    return False


def _explore(executable: Executable, begin: int, end: int) -> dict[int, _Step] | None:
    """Return the instructions that control may come to before `end`, by address."""
    steps: dict[int, _Step] = {}
    ahead = [begin]
    while ahead:
        address = ahead.pop()
        if address in steps:
            continue
        instruction = _decode(executable, address)
        if len(steps) == _MOST or instruction.flow_control == x86.FlowControl.INDIRECT_BRANCH:
            return None
        steps[address] = step = _step(instruction)
        ahead += [successor for successor in step.successors if successor != end]
    return steps


def _decode(executable: Executable, address: int) -> x86.Instruction:
    code = executable.code_at(address, _LONGEST)
    return x86.Decoder(_BITS, code, ip=address if code else 0).decode()


def _step(instruction: x86.Instruction) -> _Step:
    flow = instruction.flow_control
    successors = [instruction.next_ip] if flow in _GOES_ON and not instruction.is_invalid else []
    if flow in (x86.FlowControl.CONDITIONAL_BRANCH, x86.FlowControl.UNCONDITIONAL_BRANCH):
        successors.append(instruction.near_branch_target)
    calls = flow in (x86.FlowControl.CALL, x86.FlowControl.INDIRECT_CALL)
    used = [] if calls else x86.InstructionInfoFactory().info(instruction).used_registers()
    saves = instruction.mnemonic == x86.Mnemonic.PUSH
    return _Step(
        successors=tuple(successors),
        reads=frozenset() if saves else frozenset(_registers(used, _READS)),
        writes=frozenset(_registers(used, _WRITES)),
        sets=frozenset(_registers((r for r in used if _is_whole(r)), {x86.OpAccess.WRITE})),
        moves=0 if calls else _moves(instruction, used),
        mnemonic=instruction.mnemonic,
        uses_vectors=any(
            x86.RegisterExt.is_ymm(r.register) or x86.RegisterExt.is_zmm(r.register) for r in used
        ),
    )


def _registers(used: Iterable[x86.UsedRegister], accesses: Collection[int]) -> Iterator[str]:
    """Yield the 64-bit general registers that are used in one of these ways."""
    for one in used:
        if one.access in accesses and x86.RegisterExt.is_gpr(one.register):
            yield _names()[x86.RegisterExt.full_register(one.register)]


def _is_whole(used: x86.UsedRegister) -> bool:
    """Return whether writing it leaves nothing of the 64 bits: 32 bits clear the others."""
    return x86.RegisterExt.size(used.register) >= 4


@cache
def _names() -> Mapping[int, str]:
    return {value: name.lower() for name, value in vars(x86.Register).items() if name.isupper()}


def _moves(instruction: x86.Instruction, used: Iterable[x86.UsedRegister]) -> int | None:
    """Return by how much an instruction raises the stack pointer, None where that is not known."""
    if "rsp" not in _registers(used, _WRITES):
        return 0
    match instruction.mnemonic:
        case x86.Mnemonic.PUSH | x86.Mnemonic.POP | x86.Mnemonic.PUSHFQ | x86.Mnemonic.POPFQ:
            return instruction.stack_pointer_increment
        case x86.Mnemonic.ADD | x86.Mnemonic.SUB if instruction.op1_kind != x86.OpKind.REGISTER:
            if instruction.op1_kind == x86.OpKind.MEMORY:
                return None
            amount = _signed(instruction.immediate(1))
            return amount if instruction.mnemonic == x86.Mnemonic.ADD else -amount
        case x86.Mnemonic.LEA if (
            instruction.memory_base == x86.Register.RSP
            and instruction.memory_index == x86.Register.NONE
        ):
            return _signed(instruction.memory_displacement)
    return None


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _leading_to(steps: Mapping[int, _Step], end: int) -> set[int]:
    """Return the instructions from which control may come to `end`."""
    before: dict[int, list[int]] = {}
    for address, step in steps.items():
        for successor in step.successors:
            before.setdefault(successor, []).append(address)
    found: set[int] = set()
    ahead = list(before.get(end, []))
    while ahead:
        address = ahead.pop()
        if address not in found:
            found.add(address)
            ahead += before.get(address, [])
    return found


def _moved(steps: Mapping[int, _Step], passed: set[int], begin: int, end: int) -> int | None:
    """Return how far the stack pointer moves by own instructions, None where ways differ."""
    heights = {begin: 0}
    ahead = [begin]
    while ahead:
        address = ahead.pop()
        moves = steps[address].moves
        if moves is None:
            return None
        height = heights[address] + moves
        for successor in steps[address].successors:
            if successor != end and successor not in passed:
                continue
            if successor not in heights and successor != end:
                ahead.append(successor)
            if heights.setdefault(successor, height) != height:
                return None
    return heights[end]
