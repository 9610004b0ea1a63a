"""Every key of a TOML text is found at its line."""

import tomllib

import pytest

from nndbg.layermap.lines import key_lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a = 1", {("a",): 1}),
        ("\n\na = 1", {("a",): 3}),
        ("# a = 1\nb = 2", {("b",): 2}),
        ("[t]\na = 1", {("t",): 1, ("t", "a"): 2}),
        ("[t] # why\na = 1", {("t",): 1, ("t", "a"): 2}),
        ("  [ t ]\n  a = 1", {("t",): 1, ("t", "a"): 2}),
        ("[t.u]\na = 1", {("t", "u"): 1, ("t", "u", "a"): 2}),
        ('["t"]\n"a b" = 1', {("t",): 1, ("t", "a b"): 2}),
        ("'a' = 1", {("a",): 1}),
        ("a.b = 1", {("a", "b"): 1}),
        ("a-b = 1", {("a-b",): 1}),
        (
            "[[o]]\nn = 1\n[[o]]\nn = 2",
            {("o", 0): 1, ("o", 0, "n"): 2, ("o", 1): 3, ("o", 1, "n"): 4},
        ),
        ("a = 1\r\nb = 2", {("a",): 1, ("b",): 2}),
        ("a = { b = 1 }", {("a",): 1}),
    ],
)
def test_keys_and_tables_have_their_lines(text: str, expected: dict):
    assert key_lines(text) == expected
    tomllib.loads(text)


def test_the_first_of_two_lines_wins():
    assert key_lines("[t]\na = 1\n[u]\n[t]\n")[("t",)] == 1
