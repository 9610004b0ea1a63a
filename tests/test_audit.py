"""How an op left the registers: what needs no program to be known."""

from __future__ import annotations

from pathlib import Path

import pytest

from nndbg.audit import RegisterAudit, Registers, Standing
from nndbg.elf import Executable
from nndbg.finding import ALL_AUDITS, Audit

CLEAN = Registers({"rbx": 1, "rbp": 2}, 0x7000, False, 0x1F80, 0x37F, ())
SPOILT = Registers({"rbx": 5, "rbp": 2}, 0x7008, True, 0x7F80, 0x27F, (3,))


@pytest.fixture
def nowhere() -> Executable:
    """A program without any code, in which no way leads from one place to another."""
    return Executable(
        path=Path("/dev/null"),
        is_pie=False,
        entry=0,
        symbols={},
        ambiguous=frozenset(),
        probes=(),
        code=(),
    )


def findings(executable: Executable, done: Registers, thread: str = "1", audits=ALL_AUDITS):
    audit = RegisterAudit(executable, audits)
    enter, end = Standing(0x10, "1", CLEAN, 0), Standing(0x20, thread, done, 0)
    return [
        (f.audit.value, f.level.value) for f in audit.findings(0, "op", enter, end, lambda at: 0)
    ]


@pytest.fixture
def without_code(nowhere: Executable, monkeypatch: pytest.MonkeyPatch) -> Executable:
    monkeypatch.setattr(Executable, "code_at", lambda self, address, size: b"")
    return nowhere


def test_where_no_way_is_seen_flags_are_notes_and_registers_are_left_alone(without_code):
    assert findings(without_code, SPOILT) == [
        ("direction", "note"),
        ("mxcsr", "note"),
        ("mxcsr", "note"),
    ]


def test_another_thread_at_the_end_says_nothing(without_code):
    assert findings(without_code, SPOILT, thread="2") == []


def test_nothing_changed_is_nothing_found(without_code):
    assert findings(without_code, CLEAN) == []


def test_only_what_is_asked_for_is_told(without_code):
    assert findings(without_code, SPOILT, audits={Audit.DIRECTION}) == [("direction", "note")]


def test_an_audit_of_nothing_is_none(nowhere: Executable):
    assert not RegisterAudit(nowhere, {Audit.WRITES, Audit.POISON})
    assert RegisterAudit(nowhere, {Audit.STACK})
