"""`nndbg blame`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nndbg
from nndbg.cli import main

from .conftest import MAP, PROGRAM

BUFFERS = 'a = { dtype = "i32", shape = [2] }'


@pytest.fixture
def program(build, tmp_path: Path) -> tuple[str, str]:
    """A program that writes into a[1], and its map."""
    reserved = "    global a:data 8\na: resd 2"
    path = tmp_path / "stores.toml"
    path.write_text(MAP.format(buffers=BUFFERS))
    code = "mov dword [a + 4], 7"
    return str(build("stores", PROGRAM.format(code=code, reserved=reserved))), str(path)


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as leave:
        main(list(words))
    return int(leave.value.code or 0)


def test_the_history_goes_to_stdout(program, capsys):
    assert run("blame", program[0], "a[1]", "--op", "work", "--map", program[1]) == 0
    out = capsys.readouterr().out
    assert "a[1] is 7 after work of step 0: 1 write since the step began" in out
    assert "mov dword [rel" in out


def test_it_is_json_when_asked_for(program, capsys):
    words = ("--op", "work", "--map", program[1], "--format", "json")
    assert run("blame", program[0], "a[1]", *words) == 0
    assert json.loads(capsys.readouterr().out)["writes"][0]["after"] == 7


def test_a_buffer_that_no_op_writes_needs_an_op(program, capsys):
    assert run("blame", program[0], "a[1]", "--map", program[1]) == 2
    assert "no op of this phase writes a. Name one with --op." in capsys.readouterr().err


def test_an_op_that_is_not_there_is_refused(program, capsys):
    assert run("blame", program[0], "a[1]", "--op", "wrk", "--map", program[1]) == 2
    assert "no op wrk. It has: work" in capsys.readouterr().err


def test_python_can_ask_as_well(program):
    blame = nndbg.blame(program[0], "a[1]", op="work", map=program[1])
    assert [(write.before, write.after) for write in blame.writes] == [(0, 7)]
