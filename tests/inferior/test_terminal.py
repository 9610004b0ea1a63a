"""The program's terminal keeps what was printed last, as it was printed."""

import os

import pytest

from nndbg.inferior.terminal import Terminal

KEPT = 1 << 18


@pytest.fixture
def terminal():
    opened = Terminal()
    yield opened
    opened.close()


@pytest.mark.parametrize("text", ["", "line\n", "größe\n", "a\r\nb", "\t\x1b[0m\x03\x04"])
def test_what_was_printed_is_kept_as_it_is(terminal: Terminal, text: str):
    device = os.open(terminal.path, os.O_WRONLY | os.O_NOCTTY)
    os.write(device, text.encode())
    os.close(device)
    terminal.drain()
    assert terminal.text == text


def test_a_character_in_two_pieces_is_put_together(terminal: Terminal):
    first, second = "ö".encode()[:1], "ö".encode()[1:]
    terminal.hear(first)
    terminal.hear(second)
    assert terminal.text == "ö"


def test_what_is_no_text_is_replaced(terminal: Terminal):
    terminal.hear(b"a\xffb")
    assert terminal.text == "a\ufffdb"


def test_only_the_last_of_a_flood_is_kept(terminal: Terminal):
    for number in range(1000):
        terminal.hear(b"%04d" % number + b"x" * 1020)
    assert KEPT <= len(terminal.text) <= KEPT + 1024
    assert terminal.text.endswith("0999" + "x" * 1020)


def test_one_piece_larger_than_the_limit_is_kept(terminal: Terminal):
    terminal.hear(b"x" * 10)
    terminal.hear(b"y" * (KEPT + 5))
    assert terminal.text == "y" * (KEPT + 5)


def test_it_has_the_size_of_a_usual_terminal(terminal: Terminal):
    device = os.open(terminal.path, os.O_RDONLY | os.O_NOCTTY)
    assert os.get_terminal_size(device) == (80, 24)
    os.close(device)


def test_draining_does_not_wait(terminal: Terminal):
    terminal.drain()
    assert terminal.text == ""
    assert os.get_blocking(terminal.descriptor)
