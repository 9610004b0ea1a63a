"""Who makes what is stored, read off listings of AArch64."""

import pytest

from nndbg.culprit.listing import Listed, makers

SUM = """
fmov s0, wzr
add x7, x0, x5, lsl #2
add x8, x1, x6, lsl #2
ldr s1, [x7]
ldr s2, [x8]
fmadd s0, s1, s2, s0
add x7, x7, x3, lsl #2
add x8, x8, x4, lsl #2
subs x9, x9, #0x1
b.ne 0x400330
str s0, [x2], #4
"""
RELU = """
fmov s1, wzr
ldr s0, [x0], #4
fmin s0, s0, s1
str s0, [x1], #4
"""
COPY = """
ldp x3, x4, [x1], #16
mov x9, x3
stp x3, x4, [x2], #16
"""
CALLED = """
ldr d0, [x19, x20, lsl #3]
bl 0x400500 <exp>
str d0, [x21, x20, lsl #3]
"""
CHOSEN = """
ldr s1, [x2, x7, lsl #2]
fcmp s1, #0.0
fcsel s0, s0, s2, lt
str s0, [x3, x7, lsl #2]
"""


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            SUM,
            [
                "fmadd s0, s1, s2, s0",
                "ldr s2, [x8]",
                "ldr s1, [x7]",
                "add x7, x7, x3, lsl #2",
                "add x8, x8, x4, lsl #2",
            ],
        ),
        (RELU, ["fmin s0, s0, s1", "ldr s0, [x0], #4"]),
        (COPY, ["ldp x3, x4, [x1], #16"]),
        (CALLED, []),
        (CHOSEN, ["fcsel s0, s0, s2, lt"]),
    ],
    ids=["sum", "relu", "copy", "called", "chosen"],
)
def test_what_makes_a_number_comes_in_the_order_of_suspicion(text: str, wanted: list[str]):
    lines = text.strip().splitlines()
    listing = [Listed(0x400000 + 4 * n, line) for n, line in enumerate(lines)]
    assert [line.text for line, _ in makers(listing)] == wanted


def test_a_store_alone_has_no_makers():
    assert makers([Listed(0x400000, "str wzr, [x0]")]) == []
