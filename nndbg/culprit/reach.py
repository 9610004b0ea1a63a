"""Which code may run between two boundaries, from what the instructions say alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from nndbg.decode import Disassembly, Instruction

_POINTER = 8


def reachable(
    code: Disassembly, starts: Iterable[int], pointer: Callable[[int], int]
) -> dict[int, tuple[Instruction, ...]]:
    """Return the functions that the ones around `starts` may call, themselves included.

    By the address of their first instruction. `pointer` returns what a variable at an address (as
    linked) holds, as linked: calls through variables are followed as they stand now. Calls through
    registers are not.
    """
    found: dict[int, tuple[Instruction, ...]] = {}
    pending = list(starts)
    while pending:
        body = code.function(pending.pop())
        if not body or body[0].address in found:
            continue
        found[body[0].address] = body
        pending += _callees(body, pointer)
    return found


def _callees(body: tuple[Instruction, ...], pointer: Callable[[int], int]) -> Iterator[int]:
    inside = range(body[0].address, body[-1].end)
    for instruction in body:
        if not (instruction.is_call or instruction.is_jump or instruction.is_branch):
            continue
        if instruction.target is not None:
            if instruction.target not in inside:
                yield instruction.target
        elif (
            (load := instruction.load) is not None and load.base == "rip" and load.size == _POINTER
        ):
            yield pointer(load.displacement)
    # A function without an end of its own runs into the next one.
    if not (body[-1].is_jump or body[-1].is_return):
        yield body[-1].end


def stores(bodies: Iterable[tuple[Instruction, ...]]) -> list[Instruction]:
    """Return the instructions that write memory other than the stack."""
    return [
        instruction
        for body in bodies
        for instruction in body
        if (access := instruction.store) is not None
        and not instruction.is_call
        and access.base not in ("rsp",)
    ]
