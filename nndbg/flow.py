"""What the code between two places does by itself, leaving aside the functions that it calls.

A function that keeps a number in rbx may change it whenever it likes; the functions that it calls
may not. So before a callee is blamed for a register, this looks whether the caller's own
instructions change it on any way from one place to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nndbg.decode import Disassembly, Instruction
from nndbg.elf import Executable

# Beyond this many instructions nothing is claimed.
_MOST = 4000
_GENERAL = frozenset(
    {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16))}
)
_MOVES_STACK = frozenset({"push", "pop", "pushfq", "popfq"})
_CLEARS_VECTORS = frozenset({"vzeroupper", "vzeroall"})
_RESTORES = frozenset({"fxrstor", "fxrstor64", "xrstor", "xrstor64", "xrstors", "xrstors64"})
_SETS_MXCSR = _RESTORES | {"ldmxcsr", "vldmxcsr"}
_SETS_X87 = _RESTORES | {"fldcw", "fldenv", "frstor", "fninit", "finit", "fnsave", "fsave"}


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
    mnemonic: str
    uses_vectors: bool


def own_code(executable: Executable, begin: int, end: int) -> OwnCode | None:
    """Return what the code from `begin` does by itself until `end` is reached; as linked.

    None where no way is seen that leads there, or where an indirect jump hides one.
    """
    if begin == end:
        return OwnCode(frozenset(), 0, False, False, False, False)
    steps = _explore(Disassembly(executable), begin, end)
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
        sets_direction="std" in mnemonics,
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
    code = Disassembly(executable)
    seen: set[int] = set()
    ahead: list[tuple[int, int | None]] = [(address, stack)]
    while ahead and len(seen) < _MOST:
        at, top = ahead.pop()
        instruction = code.at(at)
        if at in seen or instruction is None:
            continue
        seen.add(at)
        step = _step(instruction)
        if register in step.reads:
            return True
        if register in step.sets:
            continue
        if instruction.is_return:
            ahead += [] if top is None else [(word(top), top + 8)]
            continue
        top = None if top is None or step.moves is None else top + step.moves
        ahead += [(successor, top) for successor in step.successors]
    return False


def is_return_address(executable: Executable, address: int, function: int) -> bool:
    """Return whether a call of `function` ends right before `address`.

    An indirect call may be one of any function.
    """
    code = Disassembly(executable)
    for length in range(2, 9):
        call = code.at(address - length)
        if call is None or call.end != address or not call.is_call:
            continue
        if call.target in (None, function):
            return True
    return False


def _explore(code: Disassembly, begin: int, end: int) -> dict[int, _Step] | None:
    """Return the instructions that control may come to before `end`, by address."""
    steps: dict[int, _Step] = {}
    ahead = [begin]
    while ahead:
        address = ahead.pop()
        if address in steps:
            continue
        instruction = code.at(address)
        if len(steps) == _MOST or (instruction is not None and _is_hidden(instruction)):
            return None
        steps[address] = step = _NOTHING if instruction is None else _step(instruction)
        ahead += [successor for successor in step.successors if successor != end]
    return steps


def _is_hidden(instruction: Instruction) -> bool:
    """Whether it jumps where a register or a variable says."""
    return instruction.is_jump and instruction.target is None


def _step(instruction: Instruction) -> _Step:
    successors = [instruction.end] if instruction.goes_on else []
    if instruction.target is not None and not instruction.is_call:
        successors.append(instruction.target)
    calls = instruction.is_call
    none: frozenset[str] = frozenset()
    is_wide = any(name.startswith(("ymm", "zmm")) for name in instruction.names)
    return _Step(
        successors=tuple(successors),
        reads=none if calls or instruction.mnemonic == "push" else instruction.reads & _GENERAL,
        writes=none if calls else instruction.writes & _GENERAL,
        sets=none if calls else instruction.kills & _GENERAL,
        moves=0 if calls else _moves(instruction),
        mnemonic=instruction.mnemonic,
        uses_vectors=is_wide or instruction.mnemonic in _CLEARS_VECTORS,
    )


# What is no instruction leads nowhere.
_NOTHING = _Step((), frozenset(), frozenset(), frozenset(), 0, "", False)


def _moves(instruction: Instruction) -> int | None:
    """Return by how much an instruction raises the stack pointer, None where that is not known."""
    if "rsp" not in instruction.writes:
        return 0
    by_constant = instruction.mnemonic in ("add", "sub") and instruction.immediate is not None
    if instruction.mnemonic in _MOVES_STACK or by_constant:
        return instruction.stack
    # By an address that is not made of the stack pointer alone it moves who knows how far.
    return instruction.stack or None if instruction.mnemonic == "lea" else None


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
