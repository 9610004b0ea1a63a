"""Why an instruction touched the wrong element: what its address was made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence

from nndbg.culprit.loops import frame
from nndbg.culprit.slicing import Slice, Trace, address_slice
from nndbg.decode import Access, Instruction
from nndbg.places import Place, Places

Right = Callable[[Place], bool]
_LARGEST_SIZE = 1 << 31


def blame_address(
    trace: Trace,
    index: int,
    access: Access,
    places: Places,
    meant: Sequence[str],
    right: Right,
    since: int | None = None,
    fitting: Collection[int] = (),
) -> Iterator[tuple[int, str]]:
    """Yield the instructions that made an operand's address, the likeliest first.

    `meant` are the buffers of which one was meant, `right` says which elements would have been.
    Where the same instruction was right before, `since` is when: then what moved the address on is
    to blame, and not where it began. `fitting` are the strides of what the op writes.
    """
    span = trace.span(index, access)
    hit = places.at(span.start)
    made = address_slice(trace, index, access.registers)
    yield from _wrong_index(trace, made, places, meant, right)
    if access.displacement and "rip" not in access.registers:
        shifted = places.at(span.start - access.displacement)
        if shifted is not None and right(shifted):
            yield trace.addresses[index], f"is {access.displacement} bytes off in itself"
    bases = _bases(trace, made, places, hit.buffer if hit else None)
    sizes = _sizes(trace, made, strides(places, hit))
    elsewhere = hit is None or hit.buffer not in meant
    # Sizes in each other's place look like pointers in each other's place, but for the output.
    fits = all(value in fitting for _, value in sizes)
    if elsewhere or (fits and _is_exchanged(trace, index, access, places, meant, right)):
        what = hit.buffer if hit is not None else _unknown(trace, span.start)
        for node in bases:
            yield trace.addresses[node], f"points to {what}"
        bases = []
    moves = _moves(trace, made, access, since)
    for node, value in sizes:
        yield trace.addresses[node], f"the address is made with {value}"
    if since is None:
        for node in bases:
            yield trace.addresses[node], "the address begins here"
    for node in moves:
        yield trace.addresses[node], "moves the address"
    for node in bases:
        yield trace.addresses[node], "the address begins here"


def _wrong_index(
    trace: Trace, made: Slice, places: Places, meant: Sequence[str], right: Right
) -> Iterator[tuple[int, str]]:
    """Yield what is wrong with an index in the address, where that is what is wrong."""
    for leaf in reversed(made.leaves):
        hit = places.at(leaf.address)
        if hit is None or hit.buffer not in meant or right(hit):
            continue
        # The pointer did not come along: what did, in the same loop, stands where it should.
        for node in reversed(moved_since(trace, leaf.index)):
            yield trace.addresses[node], f"moves on in the loop, and the address of {hit} does not"
        yield trace.addresses[leaf.index], f"takes {hit} as the index"
        return


def moved_since(trace: Trace, index: int) -> list[int]:
    """Return what a loop moves on from one turn to the next, since `index` ran the last time.

    These are the updates of a register by itself, once in a turn, that nothing else sets there,
    without the counter that ends the loop.
    """
    address = trace.addresses[index]
    before = next((n for n in range(index - 1, -1, -1) if trace.addresses[n] == address), None)
    if before is None:
        return []
    turn = [n for n in range(before + 1, index) if trace.instructions[n] is not None]
    function = trace.code.executable.function_at(address)
    updates: dict[str, list[int]] = {}
    set_anew: set[str] = set()
    for node in turn:
        instruction = trace.instructions[node]
        assert instruction is not None
        if trace.code.executable.function_at(instruction.address) != function:
            continue
        for name in instruction.writes - {"flags", "rsp"}:
            if name in instruction.data:
                updates.setdefault(name, []).append(node)
            else:
                set_anew.add(name)
    return sorted(
        nodes[0]
        for name, nodes in updates.items()
        if len(nodes) == 1 and name not in set_anew and not _counts_down(trace, nodes[0])
    )


def _counts_down(trace: Trace, node: int) -> bool:
    instruction = trace.instructions[node]
    return instruction is not None and instruction.mnemonic in ("dec", "sub")


def _is_exchanged(
    trace: Trace,
    index: int,
    access: Access,
    places: Places,
    meant: Sequence[str],
    right: Right,
) -> bool:
    """Whether all that the instruction touched is right once another buffer is put in its place."""
    hit = places.at(trace.span(index, access).start)
    if hit is None:
        return False
    begin, end = frame(trace, index)
    here = trace.addresses[index]
    touched = [
        trace.span(n, access).start
        for n in range(begin, min(end + 1, len(trace)))
        if trace.addresses[n] == here
    ][:64]
    origin = places.start(hit.buffer)
    for name in meant:
        if name == hit.buffer:
            continue
        moved = [places.at(at - origin + places.start(name)) for at in touched]
        if moved[2:] and all(place is not None and right(place) for place in moved):
            return True
    return False


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
        named = instruction.named is not None
        if (hit is not None and hit.buffer == buffer) or (buffer is None and named):
            found.append(node)
    return found


def _constant(instruction: Instruction, offset: int) -> int | None:
    """Return the address that an instruction names by itself."""
    if instruction.named is not None:
        return instruction.named + offset
    if instruction.immediate is not None and not instruction.data:
        return instruction.immediate
    return None


def _unknown(trace: Trace, address: int) -> str:
    symbol = trace.code.executable.symbol_at(address - trace.offset)
    return symbol.name if symbol is not None else "what is no buffer"


def strides(places: Places, hit: Place | None) -> set[int]:
    """Return the distances that the elements of a buffer have along its axes."""
    if hit is None:
        return set()
    extents = places.extents(hit.buffer)
    return {math.prod(extents[axis:]) for axis in range(len(extents) + 1)}


def _sizes(trace: Trace, made: Slice, right: set[int]) -> list[tuple[int, int]]:
    """Return the numbers in the address that are no stride of the buffer, the latest first."""
    found: list[tuple[int, int]] = []
    for node in reversed(made.ordered):
        instruction = trace.instructions[node]
        assert instruction is not None
        value = instruction.immediate
        if value is None or instruction.data or value in (0, *right) or value >= _LARGEST_SIZE:
            continue
        found.append((node, value))
    return found


def _moves(trace: Trace, made: Slice, access: Access, since: int | None) -> list[int]:
    """Return what moved the address, the latest first; steps as wide as the operand come last."""
    plain: list[int] = []
    others: list[int] = []
    for node in reversed(made.ordered):
        if since is not None and node <= since:
            continue
        instruction = trace.instructions[node]
        assert instruction is not None
        if instruction.immediate == access.size or instruction.mnemonic in ("push", "pop"):
            plain.append(node)
        else:
            others.append(node)
    # Arithmetic before mere copies.
    others.sort(key=lambda n: not _is_scaling(trace, n))
    return others + plain


def _is_scaling(trace: Trace, node: int) -> bool:
    instruction = trace.instructions[node]
    return instruction is not None and instruction.mnemonic in ("lea", "imul", "shl", "add", "sub")
