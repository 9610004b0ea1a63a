"""The calls that led to a place, without frame pointers or unwind tables.

Hand-written assembly has neither. How far a function has moved the stack pointer at each of its
instructions follows from its pushes and pops; the return address lies there, and has to lie behind
a call.
"""

from __future__ import annotations

from collections.abc import Callable

from nndbg.decode import Disassembly, Instruction

_DEEPEST = 16


def call_chain(
    code: Disassembly, read: Callable[[int, int], bytes], address: int, stack: int, offset: int = 0
) -> tuple[Instruction, ...]:
    """Return the calls that led to `address` (as linked), the innermost first.

    `stack` is the stack pointer there; `read` reads memory; `offset` is how far the program was
    moved when it was loaded. Ends where the stack cannot be followed.
    """
    found: list[Instruction] = []
    while len(found) < _DEEPEST:
        height = stack_height(code, address)
        if height is None:
            break
        address = int.from_bytes(read(stack - height, 8), "little") - offset
        stack += 8 - height
        call = code.before(address)
        if call is None or not call.is_call:
            break
        found.append(call)
    return tuple(found)


def stack_height(code: Disassembly, address: int) -> int | None:
    """Return by how much a function has moved the stack pointer before `address`; None: unknown."""
    body = {instruction.address: instruction for instruction in code.function(address)}
    if not body:
        return None
    pending = [(min(body), 0)]
    seen: set[int] = set()
    while pending:
        at, height = pending.pop()
        if at == address:
            return height
        if at in seen or at not in body:
            continue
        seen.add(at)
        instruction = body[at]
        if "rsp" in instruction.kills:
            continue
        after = height if instruction.is_call else height + instruction.stack
        if instruction.target is not None and not instruction.is_call:
            pending.append((instruction.target, after))
        if not (instruction.is_jump or instruction.is_return):
            pending.append((instruction.end, after))
    return None
