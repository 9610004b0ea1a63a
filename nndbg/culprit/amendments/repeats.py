"""One source line that was made into many instructions: a macro's, or one that is repeated.

Who mistakes such a line mistakes all of them: they are changed in the same way, at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from iced_x86 import Instruction

from nndbg.culprit.amendments.coding import Change, immediate, immediate_operand, signed
from nndbg.culprit.amendments.replacements import has_memory, register_slots

_MOST = 96
# How much further fetched one of many is, from so many on.
_ALONE, _MANY = 0.4, 3

Difference = tuple[object, ...]


def together(places: Sequence[tuple[Instruction, Sequence[Change]]]) -> Iterator[Change]:
    """Yield the changes of instructions that one source line was made into.

    Those that can be made of several of them in the same way come first, as one change.
    """
    alike: dict[Difference, dict[int, Change]] = defaultdict(dict)
    for old, changes in places:
        for change in changes:
            for difference in _differences(old, change):
                alike[difference].setdefault(change.address, change)
    for found in alike.values():
        if 1 < len(found) <= _MOST:
            first, *others = found.values()
            yield replace(first, also=tuple(others))
    forms = Counter(old.code for old, _ in places)
    for old, changes in places:
        is_one_of_many = forms[old.code] >= _MANY
        for change in changes:
            yield replace(change, cost=change.cost + _ALONE) if is_one_of_many else change


def _differences(old: Instruction, change: Change) -> Iterator[Difference]:
    """Yield what a change does, in words that hold for other instructions of the same form."""
    if change.constant is not None:
        return
    form: Difference = (old.code, change.count, change.is_label)
    if not change.code:
        yield (*form, "left out")
    elif change.count == 2:
        yield (*form, "behind the next")
    elif not change.count:
        yield (*form, "before", *(str(new) for new in change.code))
    elif len(change.code) == 1 and change.count == 1:
        yield (*form, *_replaced(old, change.code[0]))


def _replaced(old: Instruction, new: Instruction) -> Iterator[object]:
    """Yield the parts in which an instruction differs from the one that it stands in for."""
    if new.code != old.code:
        yield "code", new.code
    slots = register_slots(old)
    if register_slots(new) == slots:
        registers = {slot: _register(old, slot) for slot in slots}
        changed = [slot for slot in slots if _register(new, slot) != registers[slot]]
        for slot in changed:
            there = _register(new, slot)
            # Exchanged with another, or one that is named.
            others = [o for o in changed if o != slot and registers[o] == there]
            yield slot, others[0] if len(changed) == 2 and others else there
    else:
        yield tuple(register_slots(new))
    if has_memory(old) and has_memory(new):
        if not old.is_ip_rel_memory_operand:
            yield signed(new.memory_displacement) - signed(old.memory_displacement)
        elif new.memory_displacement != old.memory_displacement:
            yield new.memory_displacement
        yield new.memory_index_scale
    operand, other = immediate_operand(old), immediate_operand(new)
    if operand is not None and other is not None:
        yield immediate(new, other) - immediate(old, operand)


def _register(instruction: Instruction, slot: int | str) -> object:
    return instruction.op_register(slot) if isinstance(slot, int) else getattr(instruction, slot)
