"""Text of other hands cannot steer a terminal."""

import pytest

from nndbg.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("", ""),
        ("two\nlines", "two\nlines"),
        ("a tab\there", r"a tab\there"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("back\rspace\b", r"back\rspace\x08"),
        ("\x9b31m", r"\x9b31m"),
        ("\x00", r"\x00"),
        ("\x7f", r"\x7f"),
        ("right\u202eto left", r"right\u202eto left"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("\udcff", r"\udcff"),
        ("größer 数 ✓ 😀", "größer 数 ✓ 😀"),
        ("C:\\path", "C:\\path"),
    ],
)
def test_only_characters_that_are_seen_are_shown(text: str, shown: str):
    assert printable(text) == shown


def test_whatever_comes_out_can_be_written_as_utf_8():
    every = "".join(map(chr, range(0x3000))) + "\ud800\udfff\ufeff\U000e0001"
    printable(every).encode()
