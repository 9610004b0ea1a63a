"""The steps of an update that goes wrong in one of them."""

from __future__ import annotations

BUFFERS = """\
lr = { symbol = "factor", dtype = "f32", shape = [] }

"""
SGD = """\
[[ops]]
name = "update"
kind = "sgd"
in   = { param = "s", grad = "b", lr = "lr" }
out  = "s"
done = "enter:done"
"""
UPDATE = """\
    xor r9d, r9d
.next:
    movss xmm0, [b + r9 * 4]
    {scale} xmm0, [factor]
    movss xmm1, [s + r9 * 4]
    {take} xmm1, xmm0
    movss [s + r9 * 4], xmm1
    inc r9
    cmp r9, 24
    jb .next"""


def test_the_step_that_is_wrong_is_accused_and_not_the_last(culprit):
    found = culprit(UPDATE.format(scale="addss", take="subss"), BUFFERS + SGD)
    assert found.likeliest.instruction.startswith("addss xmm0, [")
    assert found.computed is not None
    assert "lr * grad went in, and something else came out" in found.computed.says
    (turn,) = found.computed.turns
    assert not turn.is_right
    assert "b[0]" in turn.took


def test_a_step_that_is_right_is_not_accused(culprit):
    found = culprit(UPDATE.format(scale="mulss", take="addss"), BUFFERS + SGD)
    assert found.computed is None
    assert found.likeliest.instruction == "addss xmm1, xmm0"
