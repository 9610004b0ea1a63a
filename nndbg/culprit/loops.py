"""Loops as they ran: which branch ended one, where its limit came from, and the frames of calls."""

from __future__ import annotations

from collections.abc import Iterator

from nndbg.culprit.slicing import Trace, address_slice

_LIMIT = 24


def frame(trace: Trace, index: int) -> tuple[int, int]:
    """Return the first and last instruction of the call that `index` belongs to."""
    stack = trace.registers(index)["rsp"]
    depth, begin = 0, 0
    for at in range(index - 1, -1, -1):
        instruction = trace.instructions[at]
        if instruction is None:
            continue
        if instruction.is_return:
            depth += 1
        elif instruction.is_call:
            if depth == 0:
                begin = at + 1
                break
            depth -= 1
    depth, end = 0, len(trace) - 1
    for at in range(index, len(trace)):
        instruction = trace.instructions[at]
        if instruction is None:
            continue
        if instruction.is_call:
            depth += 1
        elif instruction.is_return:
            if depth == 0:
                end = at
                break
            depth -= 1
    del stack
    return begin, end


def ended_early(trace: Trace, after: int, right: set[int]) -> Iterator[tuple[int, str]]:
    """Yield what ended the loop behind the instruction `after`, the likeliest first.

    Numbers in `right` may rightly be limits: what put one of them there is not to blame.
    """
    branch = _exit(trace, after)
    if branch is None:
        return
    made = address_slice(trace, branch, ("flags",))
    limits: list[tuple[int, int]] = []
    rest: list[int] = []
    for node in reversed(made.ordered):
        instruction = trace.instructions[node]
        assert instruction is not None
        value = instruction.immediate
        if value is not None and not instruction.data and value not in (0, *right):
            limits.append((node, value))
        else:
            rest.append(node)
    for node, value in limits:
        yield trace.addresses[node], f"the loop's limit comes from {value}"
    yield trace.addresses[branch], "the loop ends here"
    for node in rest:
        instruction = trace.instructions[node]
        assert instruction is not None
        if instruction.immediate is not None and not instruction.data:
            yield trace.addresses[node], "the limit of the loop"
    for node in rest[:3]:
        yield trace.addresses[node], "what the loop's end is decided by"


def _exit(trace: Trace, after: int) -> int | None:
    """Return the branch that ended the loop behind `after`, or else the one that closes it."""
    taken: dict[int, set[int]] = {}
    for index in range(min(after + 1, len(trace) - 1)):
        instruction = trace.instructions[index]
        if instruction is not None and instruction.is_branch:
            taken.setdefault(instruction.address, set()).add(trace.addresses[index + 1])
    first = None
    for index in range(after + 1, len(trace) - 1):
        instruction = trace.instructions[index]
        if instruction is None or not instruction.is_branch:
            continue
        if first is None:
            first = index
        seen = taken.get(instruction.address)
        if seen and trace.addresses[index + 1] not in seen:
            return index
        if index - after > _LIMIT * 16:
            break
    return first
