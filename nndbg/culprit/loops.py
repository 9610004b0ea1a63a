"""Loops as they ran: which branch ended one, where its limit came from, and the frames of calls."""

from __future__ import annotations

from collections.abc import Iterator

from nndbg.culprit.slicing import Trace, address_slice

LIMIT = "the loop's limit comes from"
_LARGEST_LIMIT = 1 << 31


def frame(trace: Trace, index: int) -> tuple[int, int]:
    """Return the first and last instruction of the call that `index` belongs to."""
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
    return begin, end


def caller(trace: Trace, index: int) -> int | None:
    """Return the call that `index` was called by, None where that is before the trace."""
    begin, _ = frame(trace, index)
    return begin - 1 if begin else None


def ended_early(trace: Trace, after: int, right: set[int]) -> Iterator[tuple[int, str]]:
    """Yield what ended the loop behind the instruction `after`, the likeliest first.

    Numbers in `right` may rightly be limits: what put one of them there is not to blame.
    """
    branch = _exit(trace, after)
    if branch is not None:
        yield from decided(trace, branch, right)


def decided(trace: Trace, branch: int, right: set[int]) -> Iterator[tuple[int, str]]:
    """Yield why a branch went where it went: numbers that are no limits, then the branch itself."""
    made = address_slice(trace, branch, ("flags",))
    limits: list[tuple[int, int]] = []
    rest: list[int] = []
    seen: set[int] = set()
    for node in reversed(made.ordered):
        instruction = trace.instructions[node]
        assert instruction is not None
        if instruction.address in seen:
            continue
        seen.add(instruction.address)
        value = instruction.immediate
        if (
            value is not None
            and not instruction.data
            and value not in (0, *right)
            and value < _LARGEST_LIMIT
        ):
            limits.append((node, value))
        else:
            rest.append(node)
    for node, value in limits:
        yield trace.addresses[node], f"{LIMIT} {value}"
    changed = _changed_by_a_call(trace, branch, rest)
    for node in changed:
        yield trace.addresses[node], "the limit is set here, and a call has changed it since"
    yield trace.addresses[branch], "the loop ends here"
    for node in rest:
        instruction = trace.instructions[node]
        assert instruction is not None
        if instruction.immediate is not None and not instruction.data:
            yield trace.addresses[node], "the limit of the loop"
    for node in rest[:4]:
        yield trace.addresses[node], "what the loop's end is decided by"


def from_before(trace: Trace, after: int) -> set[str]:
    """Return the registers that decided the loop's end and were set before the trace began."""
    branch = _exit(trace, after)
    return address_slice(trace, branch, ("flags",)).live if branch is not None else set()


def branches_behind(trace: Trace, after: int) -> list[int]:
    """Return the branches from `after` to the end of its call, the last first."""
    _, end = frame(trace, after)
    found: list[int] = []
    for index in range(after + 1, min(end + 1, len(trace))):
        instruction = trace.instructions[index]
        if instruction is not None and instruction.is_branch:
            found.append(index)
    return list({trace.addresses[n]: n for n in reversed(found)}.values())


def skipped(trace: Trace, store: int, after: int) -> int | None:
    """Return the first branch of a later call that never came to the instruction at `store`.

    `store` is an address; `after` is the last time that it ran.
    """
    _, end = frame(trace, after)
    function = trace.code.executable.function_at(store)
    for index in range(end + 1, len(trace)):
        instruction = trace.instructions[index]
        if (
            instruction is not None
            and instruction.is_branch
            and trace.code.executable.function_at(instruction.address) == function
        ):
            return index
    return None


def _changed_by_a_call(trace: Trace, branch: int, nodes: list[int]) -> list[int]:
    """Return what set a register that an earlier call of the same function changed on the way."""
    begin, _ = frame(trace, branch)
    function = trace.code.executable.function_at(trace.addresses[branch])
    within = [
        node
        for node in nodes
        if node < begin and trace.code.executable.function_at(trace.addresses[node]) == function
    ]
    if not within:
        return []
    return [
        node
        for node in nodes
        if node < min(within)
        and trace.code.executable.function_at(trace.addresses[node]) != function
    ][:1]


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
    return first
