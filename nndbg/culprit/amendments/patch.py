"""Where changed code goes: into its place if it fits, else the whole function moves with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from iced_x86 import BlockEncoder, Code, Instruction

from nndbg.culprit.amendments.coding import NOP, Change, decode_all, encode

_JUMP = 5
_TRAP = 0xCC
# Addresses that no program has, for instructions that nothing jumps to.
_NOWHERE = 1 << 60


@dataclass(frozen=True)
class Patch:
    """Bytes to write, by address as linked; `moved` says where instructions are that moved."""

    writes: Mapping[int, bytes]
    moved: Mapping[int, int] = field(default_factory=dict)


UNCHANGED = Patch({})


def patch_for_all(
    changes: Sequence[tuple[Change, tuple[Instruction, ...]]], room: range, stops: Collection[int]
) -> Patch | None:
    """Return how to bring changes into their functions at once; None where they are in the way."""
    writes: dict[int, bytes] = {}
    moved: dict[int, int] = {}
    left = room
    for change, body in changes:
        patch = patch_for(change, body, left, stops)
        if patch is None:
            return None
        for start, code in patch.writes.items():
            if start in left:
                left = range(start + len(code), room.stop)
            if any(start < at + len(old) and at < start + len(code) for at, old in writes.items()):
                return None
        writes.update(patch.writes)
        moved.update(patch.moved)
    return Patch(writes, moved)


def patch_for(
    change: Change, body: tuple[Instruction, ...], room: range, stops: Collection[int]
) -> Patch | None:
    """Return how to bring a change into its function; None where it cannot be.

    `room` is where code may be added, `stops` are where the program is to stop: both as linked.
    """
    if change.constant is not None:
        return Patch({change.constant.address: change.constant.data})
    return (
        _in_place(change, body, stops)
        or _detour(change, body, room, stops)
        or _moved(change, body, room, stops)
    )


def _index(body: tuple[Instruction, ...], address: int) -> int:
    return next(n for n, instruction in enumerate(body) if instruction.ip == address)


def _in_place(
    change: Change, body: tuple[Instruction, ...], stops: Collection[int]
) -> Patch | None:
    if not change.count:
        return None
    at = _index(body, change.address)
    old = body[at : at + change.count]
    end = old[-1].next_ip
    code = b""
    for instruction in change.code:
        coded = _shortest(instruction, change.address + len(code))
        if coded is None:
            return None
        code += coded
    room = end - change.address
    if len(code) > room or any(change.address <= stop < end for stop in stops):
        return None
    return Patch({change.address: code + NOP * (room - len(code))})


def _shortest(instruction: Instruction, address: int) -> bytes | None:
    if instruction.is_jcc_near or instruction.is_jmp_near:
        short = instruction.copy()
        short.as_short_branch()
        coded = encode(short, address)
        if coded is not None:
            return coded
    return encode(instruction, address)


def _detour(
    change: Change, body: tuple[Instruction, ...], room: range, stops: Collection[int]
) -> Patch | None:
    """Return a jump to the changed code and back, where nothing else jumps to what that covers."""
    first = at = _index(body, change.address)
    at += change.count
    while at < len(body) and (body[at - 1].next_ip - change.address < _JUMP or at == first):
        at += 1
    covered = range(change.address, body[at - 1].next_ip)
    if len(covered) < _JUMP or at >= len(body) or any(stop in covered for stop in stops):
        return None
    inside = covered if not change.count and not change.is_label else covered[1:]
    if not inside or any(target in inside for target in _targets(body)):
        return None
    kept = body[first + change.count : at]
    back = Instruction.create_branch(Code.JMP_REL32_64, covered.stop)
    coded = _block([*change.code, *kept, back], room)
    jump = encode(Instruction.create_branch(Code.JMP_REL32_64, room.start), change.address)
    if coded is None or jump is None:
        return None
    code, placed = coded
    moved = {
        instruction.ip: new.ip
        for instruction, new in zip(kept, placed[len(change.code) :], strict=False)
    }
    filled = jump + NOP * (len(covered) - len(jump))
    return Patch({change.address: filled, room.start: code}, moved)


@lru_cache(maxsize=64)
def _targets(body: tuple[Instruction, ...]) -> frozenset[int]:
    return frozenset(
        instruction.near_branch_target
        for instruction in body
        if instruction.is_jcc_short_or_near or instruction.is_jmp_short_or_near
    )


def _block(listed: Sequence[Instruction], room: range) -> tuple[bytes, list[Instruction]] | None:
    """Return the code of instructions one behind the other, and where each is then."""
    encoder = BlockEncoder(64)
    try:
        for number, instruction in enumerate(listed):
            new = instruction.copy()
            new.ip = _NOWHERE + 16 * number
            encoder.add(new)
        code = bytes(encoder.encode(room.start))
    except ValueError:
        return None
    placed = decode_all(code, room.start)
    return (code, placed) if len(placed) == len(listed) and len(code) <= len(room) else None


def _moved(
    change: Change, body: tuple[Instruction, ...], room: range, stops: Collection[int]
) -> Patch | None:
    """Return the function copied to where there is room, with the change in it."""
    first = body[0].ip
    if body[-1].next_ip - first < _JUMP:
        return None
    at = _index(body, change.address)
    listed = [instruction.copy() for instruction in body[:at]]
    origins: list[int | None] = [instruction.ip for instruction in listed]
    for number, instruction in enumerate(change.code):
        new = instruction.copy()
        new.ip = _NOWHERE + number * 16
        if not number and (change.count or change.is_label):
            new.ip = change.address
        listed.append(new)
        origins.append(None)
    for number, instruction in enumerate(body[at + change.count :]):
        kept = instruction.copy()
        if not number and not change.count and change.is_label:
            kept.ip = 2 * _NOWHERE
        listed.append(kept)
        origins.append(instruction.ip)
    last = body[-1]
    if last.code not in (Code.RETNQ, Code.JMP_REL32_64, Code.JMP_REL8_64):
        onward = Instruction.create_branch(Code.JMP_REL32_64, last.next_ip)
        onward.ip = 3 * _NOWHERE
        listed.append(onward)
        origins.append(None)
    encoder = BlockEncoder(64)
    try:
        for instruction in listed:
            encoder.add(instruction)
        code = bytearray(encoder.encode(room.start))
    except ValueError:
        return None
    placed = decode_all(bytes(code), room.start)
    if len(code) > len(room) or len(placed) != len(listed):
        return None
    moved = {
        origin: instruction.ip
        for origin, instruction in zip(origins, placed, strict=True)
        if origin is not None
    }
    for stop in stops:
        if stop in moved:
            code[moved[stop] - room.start] = _TRAP
    jump = encode(Instruction.create_branch(Code.JMP_REL32_64, room.start), first)
    if jump is None:
        return None
    return Patch({first: jump, room.start: bytes(code)}, moved)
