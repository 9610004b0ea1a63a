"""The conversation: real GDB, and commands that stand in for a GDB that misbehaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nndbg.errors import GdbError
from nndbg.inferior.mi import Conversation

from .conftest import LIMIT


@pytest.fixture
def converse(gdb: str) -> Iterator[Callable[..., Conversation]]:
    """Begins conversations; all are closed after the test."""
    begun: list[Conversation] = []

    def converse(command: str = gdb) -> Conversation:
        begun.append(Conversation(command, []))
        return begun[-1]

    yield converse
    for conversation in begun:
        conversation.close()


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    """A command that stands in for GDB."""

    def script(body: str) -> str:
        path = tmp_path / "gdb"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return str(path)

    return script


def test_an_answer_belongs_to_its_command(converse):
    conversation = converse()
    for number in (1, 2, 3):
        value = conversation.command(f"-data-evaluate-expression {number}+1")["value"]
        assert value == str(number + 1)


def test_a_refusal_quotes_the_command_and_gdb_s_reason(converse):
    with pytest.raises(GdbError, match="GDB refused '-no-such-command': Undefined MI command"):
        converse().command("-no-such-command")


def test_after_a_refusal_the_conversation_goes_on(converse):
    conversation = converse()
    with pytest.raises(GdbError):
        conversation.command("-no-such-command")
    assert conversation.command("-data-evaluate-expression 5")["value"] == "5"


def test_an_event_that_does_not_come_is_none_after_the_time_allowed(converse):
    begin = time.monotonic()
    assert converse().event(["stopped"], 0.2) is None
    assert 0.2 <= time.monotonic() - begin < 3


def test_what_gdb_says_to_people_is_kept(converse):
    conversation = converse()
    conversation.command('-interpreter-exec console "echo hello\\n"')
    assert "hello" in conversation.talk


def test_gdb_that_never_answers_is_not_waited_for_longer_than_allowed(converse, script):
    conversation = converse(script("exec sleep 600"))
    begin = time.monotonic()
    with pytest.raises(GdbError, match=r"GDB did not answer '-gdb-version' within 0\.2 s"):
        conversation.command("-gdb-version", timeout=0.2)
    assert time.monotonic() - begin < 3


def test_gdb_that_never_leaves_is_killed(converse, script):
    conversation = converse(script("trap '' TERM HUP; while :; do sleep 1; done"))
    begin = time.monotonic()
    conversation.close()
    assert time.monotonic() - begin < LIMIT


@pytest.mark.parametrize("last", ["", "exec >&-; "], ids=["", "after its output is closed"])
def test_gdb_that_ends_at_once_is_quoted(converse, script, last: str):
    conversation = converse(script(f"{last}echo 'gdb: cannot be' >&2; exit 3"))
    with pytest.raises(GdbError) as error:
        conversation.command("-gdb-version", timeout=60)
    assert str(error.value) == (
        "GDB ended with status 3 in the middle of the session; the program is gone. "
        "It said: gdb: cannot be"
    )


def test_gdb_that_closes_its_output_is_dead(converse, script):
    conversation = converse(script("exec >&-; exec sleep 600"))
    begin = time.monotonic()
    with pytest.raises(GdbError, match="GDB closed its output"):
        conversation.command("-gdb-version", timeout=60)
    assert time.monotonic() - begin < 5


def test_a_flood_on_gdb_s_stderr_blocks_nothing(converse, script):
    conversation = converse(
        script("head -c 1000000 /dev/zero >&2; read line; echo '1^done,value=\"5\"'; read line")
    )
    assert conversation.command("-anything", timeout=LIMIT)["value"] == "5"


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("printf '1^do'; printf 'ne,value=\"5\"\\n'", "5"),
        ('printf \'=some-event,a="1"\\n*running,thread-id="all"\\n1^done,value="5"\\n\'', "5"),
        ('printf \'7^done,value="6"\\n1^done,value="5"\\n\'', "5"),
        ('printf \'^done,value="6"\\n1^done,value="5"\\n\'', "5"),
        ("printf '1^done,value=\"5\"\\r\\n'", "5"),
        ("printf '\\n\\n(gdb) \\n1^done,value=\"5\"\\n'", "5"),
        ("printf 'not a record\\n1^done,value=\"5\"\\n'", "5"),
        ('printf \'~"text"\\n1^done,value="a\\\\nb"\\n\'', "a\nb"),
        ("printf '\\377\\376\\n1^done,value=\"5\"\\n'", "5"),
    ],
)
def test_an_answer_is_found_among_all_that_is_said(converse, script, said: str, value: str):
    conversation = converse(script(f"read line; {said}; read line"))
    assert conversation.command("-anything", timeout=LIMIT)["value"] == value


@pytest.mark.parametrize("said", ["*stopped,frame={a=", "1^done,stack=[frame={}", "=x,a=[{b},c"])
def test_a_damaged_record_ends_the_wait_at_once(converse, script, said: str):
    conversation = converse(script(f"read line; printf '{said}\\n'; read line"))
    with pytest.raises(GdbError, match="GDB sent a damaged record"):
        conversation.command("-anything", timeout=60)


def test_talk_that_is_badly_quoted_is_kept_as_it_is(converse, script):
    conversation = converse(script("read line; printf '~\"a\\\\q\"\\n1^done\\n'; read line"))
    conversation.command("-anything", timeout=LIMIT)
    assert conversation.talk == '~"a\\q"'


def test_gdb_that_dies_in_the_middle_of_a_record_is_dead(converse, script):
    conversation = converse(script("read line; printf '1^done,value=\"5'; exit 1"))
    with pytest.raises(GdbError, match="GDB ended with status 1"):
        conversation.command("-anything", timeout=60)


def test_a_conversation_can_be_closed_twice(converse):
    conversation = converse()
    conversation.close()
    conversation.close()
