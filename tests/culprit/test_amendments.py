"""What an instruction may have been meant to be, and where changed code goes."""

from __future__ import annotations

import pytest
from iced_x86 import Instruction

from nndbg.culprit.amendments.calls import untaken
from nndbg.culprit.amendments.coding import Change, decode_all, encode
from nndbg.culprit.amendments.constants import constants
from nndbg.culprit.amendments.opcodes import conditions
from nndbg.culprit.amendments.patch import patch_for, patch_for_all
from nndbg.culprit.amendments.repeats import together
from nndbg.culprit.amendments.replacements import Setting, is_vain, near, registers_of
from nndbg.culprit.amendments.tiers import TIERS

AT = 0x401000
ROOM = range(0x500000, 0x501000)
# A loop: xor eax, eax / add eax, [rdi+4] / addps xmm0, xmm1 / dec ecx / jnz the add / ret.
LOOP = bytes.fromhex("31c0 034704 0f58c1 ffc9 75f6 c3")


def _setting(body: tuple[Instruction, ...], data: bytes = b"", ratio: float = 1.0) -> Setting:
    return Setting(
        registers=registers_of(body),
        numbers=(64,),
        addresses=(0x404000,),
        targets=(AT + 2,),
        calls=(),
        missed=0,
        is_caller=True,
        extents=frozenset({64}),
        data=lambda address, size: data[:size],
        ratio=ratio,
    )


@pytest.fixture
def body() -> tuple[Instruction, ...]:
    return tuple(decode_all(LOOP, AT))


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (1, "sub eax, [rdi+4]"),
        (1, "add eax, [rdi]"),
        (1, "add ecx, [rdi+4]"),
        (1, "add [rdi+4], eax"),
        (2, "subps xmm0, xmm1"),
        (2, "addps xmm1, xmm0"),
        (2, "addss xmm0, xmm1"),
        (1, "xorps xmm0, xmm0"),
        (3, "inc ecx"),
        (4, "je 0x401002"),
        (4, "jl 0x401002"),
        (3, ""),
    ],
)
def test_what_may_have_been_meant_is_tried(body, at: int, text: str) -> None:
    tried = {change.text for tier in TIERS for change in tier(body, at, _setting(body))}
    assert text in tried


def test_every_change_can_be_encoded(body) -> None:
    for at in range(len(body)):
        for tier in TIERS:
            for change in tier(body, at, _setting(body)):
                assert all(encode(new, AT) for new in change.code), change


def test_the_nearest_conditions_come_first() -> None:
    assert conditions("jl")[:3] == ("jle", "jb", "jge")
    assert set(conditions("sete")) >= {"setne", "setl"}
    assert conditions("jmp") == ()


def test_a_change_that_fits_is_padded(body) -> None:
    (shorter,) = decode_all(bytes.fromhex("01c8"), AT + 2)
    patch = patch_for(Change(AT + 2, 1, (shorter,), 1.0), body, ROOM, ())
    assert patch is not None
    assert patch.writes == {AT + 2: bytes.fromhex("01c8 90")}


def test_an_insertion_that_is_jumped_around_moves_the_function(body) -> None:
    (new,) = decode_all(bytes.fromhex("31c9"), 0)
    patch = patch_for(Change(AT + 2, 0, (new,), 1.0), body, ROOM, ())
    assert patch is not None
    moved = decode_all(patch.writes[ROOM.start], ROOM.start)
    assert [str(i).split()[0] for i in moved] == ["xor", "xor", "add", "addps", "dec", "jne", "ret"]
    # The branch goes to the addition, behind what was inserted.
    assert moved[5].near_branch_target == patch.moved[AT + 2] == moved[2].ip
    jump = decode_all(patch.writes[AT], AT)[0]
    assert jump.near_branch_target == ROOM.start


def test_as_a_label_an_insertion_is_jumped_to(body) -> None:
    (new,) = decode_all(bytes.fromhex("31c9"), 0)
    patch = patch_for(Change(AT + 2, 0, (new,), 1.0, is_label=True), body, ROOM, ())
    assert patch is not None
    # What the jump there covers is not jumped to, so only that moves.
    moved = decode_all(patch.writes[ROOM.start], ROOM.start)
    assert [str(i).split()[0] for i in moved] == ["xor", "add", "addps", "jmp"]
    assert moved[3].near_branch_target == AT + 8


def test_where_the_op_ends_no_code_is_changed(body) -> None:
    (new,) = decode_all(bytes.fromhex("01c8"), AT + 2)
    change = Change(AT + 2, 1, (new,), 1.0)
    patch = patch_for(change, body, ROOM, (AT + 2,))
    assert patch is None or AT + 2 not in patch.writes


def test_a_result_that_is_overwritten_unread_is_vain() -> None:
    # mov eax, 1 / mov eax, 2 / ret
    body = tuple(decode_all(bytes.fromhex("b801000000 b802000000 c3"), AT))
    assert is_vain(body, 0)
    assert not is_vain(body, 1)


@pytest.mark.parametrize(
    ("code", "data", "wanted"),
    [
        # mulss xmm0, [0x404000]
        ("f30f590425 00404000", "0000803f", "0000003f"),
        # por xmm0, [0x404000]: whole numbers wrap around
        ("660feb0425 00404000", "ff" * 16, "feffffff"),
    ],
)
def test_constants_are_changed_where_they_are_read(code: str, data: str, wanted: str) -> None:
    body = tuple(decode_all(bytes.fromhex(code), AT))
    tried = list(constants(body[0], _setting(body, bytes.fromhex(data), ratio=0.5)))
    held = [change.constant.data for change in tried if change.constant is not None]
    assert {change.address for change in tried} == {AT}
    assert any(bytes.fromhex(wanted) == one[:4] for one in held), held


def test_an_argument_that_is_set_again_unread_waits_for_a_call() -> None:
    # lea rdi, [rbx] / inc ebx / cmp ebx, 4 / jl back / ret
    waiting = tuple(decode_all(bytes.fromhex("488d3b ffc3 83fb04 7cf6 c3"), AT))
    assert untaken(waiting) == {1: 0, 2: 1, 3: 2}
    # The same with cmp [rdi], ebx in place of inc ebx.
    taken = tuple(decode_all(bytes.fromhex("488d3b 391f 83fb04 7cf6 c3"), AT))
    assert untaken(taken) == {}


def test_room_on_the_stack_waits_for_a_call() -> None:
    # sub rsp, 8 / mul rsi / add rsp, 8 / ret, then with call 0x401000 before mul
    waiting = tuple(decode_all(bytes.fromhex("4883ec08 48f7e6 4883c408 c3"), AT))
    assert untaken(waiting) == {1: 1, 2: 0}
    taken = tuple(decode_all(bytes.fromhex("4883ec08 e8f7ffffff 48f7e6 4883c408 c3"), AT))
    assert untaken(taken) == {}


def test_what_a_line_was_made_into_is_changed_in_the_same_way() -> None:
    # add eax, [rdi] / add ecx, [rsi + 4] / dec ecx
    one, two, other = decode_all(bytes.fromhex("0307 034e04 ffc9"), AT)
    tried = [(i, list(near(i, _setting((one, two, other))))) for i in (one, two, other)]
    joint = [change for change in together(tried) if change.also]
    assert {len(change.parts) for change in joint} == {2}
    texts = {tuple(part.text for part in change.parts) for change in joint}
    assert ("sub eax, [rdi]", "sub ecx, [rsi+4]") in texts
    assert ("add eax, [rdi+4]", "add ecx, [rsi+8]") in texts


def test_changes_in_each_others_way_are_not_made(body) -> None:
    first, second = Change(AT + 2, 2, (), 1.0), Change(AT + 5, 1, (), 1.0)
    assert patch_for_all([(first, body), (second, body)], ROOM, ()) is None
    both = patch_for_all([(Change(AT + 2, 1, (), 1.0), body), (second, body)], ROOM, ())
    assert both is not None
    assert both.writes == {AT + 2: b"\x90" * 3, AT + 5: b"\x90" * 3}
