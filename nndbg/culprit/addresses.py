"""Why an instruction touched the wrong element: what its address was made of."""

from __future__ import annotations

from collections.abc import Iterator

from nndbg.culprit.decode import Access, Instruction
from nndbg.culprit.places import Places
from nndbg.culprit.slicing import Slice, Trace, address_slice


def blame_address(
    trace: Trace,
    index: int,
    access: Access,
    places: Places,
    meant: set[str],
    since: int | None = None,
) -> Iterator[tuple[int, str]]:
    """Yield the instructions that made an operand's address, the likeliest first.

    `meant` are the buffers of which one was meant. Where the same instruction was right before,
    `since` is when: then what moved the address on is to blame, and not where it began.
    """
    span = trace.span(index, access)
    hit = places.at(span.start)
    made = address_slice(trace, index, access.registers)
    bases = _bases(trace, made, places, hit.buffer if hit else None)
    moves = [node for node in reversed(made.ordered) if since is None or node > since]
    if hit is not None and hit.buffer not in meant:
        for node in bases:
            yield trace.addresses[node], f"points to {hit.buffer}"
        bases = []
    sizes = _sizes(trace, made, places.counts(hit.buffer) if hit else set())
    if since is not None:
        for node, value in sizes:
            yield trace.addresses[node], f"the address moves by {value}"
        for node in moves:
            yield trace.addresses[node], "moves the address"
        for node in bases:
            yield trace.addresses[node], "the address begins here"
    else:
        for node, value in sizes:
            yield trace.addresses[node], f"the address is made with {value}"
        for node in bases:
            yield trace.addresses[node], "the address begins here"
        for node in moves:
            yield trace.addresses[node], "makes the address"


def _bases(trace: Trace, made: Slice, places: Places, buffer: str | None) -> list[int]:
    """Return the instructions that named the buffer, the latest first."""
    found: list[int] = []
    for node in reversed(made.ordered):
        instruction = trace.instructions[node]
        assert instruction is not None
        value = _constant(instruction, trace.offset)
        if value is None:
            continue
        hit = places.at(value)
        if hit is not None and (buffer is None or hit.buffer == buffer):
            found.append(node)
    return found


def _constant(instruction: Instruction, offset: int) -> int | None:
    """Return the address that an instruction names by itself."""
    if instruction.named is not None:
        return instruction.named + offset
    if instruction.immediate is not None and not instruction.data:
        return instruction.immediate
    return None


def _sizes(trace: Trace, made: Slice, right: set[int]) -> list[tuple[int, int]]:
    """Return the numbers in the address that are no extent of the buffer, the latest first."""
    found: list[tuple[int, int]] = []
    for node in reversed(made.ordered):
        instruction = trace.instructions[node]
        assert instruction is not None
        value = instruction.immediate
        if value is None or instruction.data or value in (0, *right) or value > 1 << 31:
            continue
        found.append((node, value))
    return found
