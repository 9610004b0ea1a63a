"""How a step came past the boundary of an op without reaching it."""

from __future__ import annotations

from collections.abc import Iterable

from nndbg.culprit.follow import trace_interval
from nndbg.culprit.found import Found
from nndbg.culprit.slicing import Trace
from nndbg.culprit.watch import Arrival, walk
from nndbg.decode import Disassembly
from nndbg.inferior import LiveSource
from nndbg.layermap import Op

_SECONDS = 4.0


def find_detour(
    source: LiveSource, code: Disassembly, found: Found, op: Op, step: int, timeout: float
) -> None:
    """Add the instruction that led past the boundary of `op`, and then what ran instead."""
    source.start(step)
    order = [other.name for other in source.layer_map.ops]
    before = order[: order.index(op.name)]
    behind, passed = 0, 0
    for event in walk(source, timeout):
        if isinstance(event, Arrival):
            if event.begins_step:
                break
            passed += 1
            if any(name in before for name in event.ops):
                behind = passed
    done = source.placed.done
    others = done.keys() - {op.name}
    source.start(step)
    trace, _ = trace_interval(source, code, behind, others, _SECONDS, timeout)
    _leaving(trace, code, found, op, done[op.name])
    for index in range(len(trace) - 1, -1, -1):
        found.add(trace.addresses[index], f"ran instead of {op.name}")


def _leaving(
    trace: Trace, code: Disassembly, found: Found, op: Op, boundaries: Iterable[int]
) -> None:
    """Add what left a function in front of a boundary in it, or jumped over that."""
    for boundary in boundaries:
        body = code.function(boundary)
        inside = range(body[0].address, body[-1].end) if body else range(0)
        for index, instruction in enumerate(trace.instructions):
            if instruction is None or instruction.address not in inside:
                continue
            following = trace.addresses[index + 1] if index + 1 < len(trace) else None
            leaves = instruction.is_return or (
                (instruction.is_jump or instruction.is_branch)
                and following is not None
                and not instruction.address < following <= boundary
            )
            if instruction.address < boundary and leaves:
                found.add(instruction.address, f"leaves {op.name} out: its boundary lies behind it")
