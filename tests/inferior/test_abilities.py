"""What the machine can do is tried, not assumed."""

from pathlib import Path

import pytest

from nndbg.errors import GdbError
from nndbg.inferior.abilities import can_trace, can_watch, gdb_version


def test_the_version_is_what_gdb_says_first(gdb: str):
    assert gdb_version(gdb).startswith("GNU gdb")


def test_a_gdb_that_is_not_there_has_no_version():
    with pytest.raises(GdbError, match="no nosuchgdb on this machine"):
        gdb_version("nosuchgdb")


@pytest.mark.parametrize("body", ["exit 1", "kill -9 $$"])
def test_a_gdb_that_does_not_run_has_no_version(tmp_path: Path, body: str):
    path = tmp_path / "gdb"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    with pytest.raises(GdbError, match="does not run"):
        gdb_version(str(path))


def test_a_gdb_that_says_nothing_has_no_version(tmp_path: Path):
    path = tmp_path / "gdb"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    with pytest.raises(GdbError):
        gdb_version(str(path))


def test_a_program_can_be_traced_here(gdb: str):
    del gdb
    can_trace()


def test_watching_is_answered_with_yes_or_no(gdb: str):
    del gdb
    assert can_watch() in (True, False)
