"""Whatever ends nndbg, neither GDB nor the program outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import LIMIT, NET_MAP, read_pid

NNDBG = Path(sys.executable).with_name("nndbg")

# Holds the program where argv[3] says, until it is killed.
HOLDER = """
import sys
from pathlib import Path
from nndbg.elf import read_executable
from nndbg.inferior.process import Inferior

program, fifo, where = sys.argv[1:]
inferior = Inferior(read_executable(Path(program)), ["report", fifo])
if where == "at a stop":
    Path(fifo).write_text(f"{inferior.pid}\\n")
    sys.stdin.read()
else:
    inferior.resume(600)
"""


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are killed after the test, however it went."""
    begun: list[subprocess.Popen[str]] = []
    yield begun
    for child in begun:
        child.kill()
        child.communicate(timeout=LIMIT)


@pytest.mark.parametrize("where", ["running", "at a stop"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_when_python_is_killed_nothing_is_left(
    net: Path, fifo: Path, watch, children, where: str, number: signal.Signals
):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, net, fifo, where],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    children.append(child)
    program = watch(read_pid(fifo))
    gdb = watch(program.tracer)
    child.send_signal(number)
    child.wait(LIMIT)
    assert program.ends_within(LIMIT)
    assert gdb.ends_within(LIMIT)


@pytest.fixture(params=["0:3", "0:30"], ids=["op by op", "in a sweep"])
def check(request, net: Path, fifo: Path, tmp_path: Path, children) -> subprocess.Popen[str]:
    """`nndbg check` of a program that never reaches its next boundary."""
    path = tmp_path / "net.toml"
    path.write_text(NET_MAP)
    options = ["--steps", request.param, "--map", path, "--timeout", "600"]
    child = subprocess.Popen(
        [NNDBG, "check", *options, net, "--", "report", fifo],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children.append(child)
    return child


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_check_that_is_stopped_leaves_nothing_behind(check, fifo: Path, watch, number, code):
    program = watch(read_pid(fifo))
    gdb = watch(program.tracer)
    check.send_signal(number)
    out, err = check.communicate(timeout=LIMIT)
    assert check.returncode == code
    assert "Traceback" not in err
    assert out == ""
    assert err.strip() == ("nndbg: interrupted." if number == signal.SIGINT else "")
    assert program.ends_within(LIMIT)
    assert gdb.ends_within(LIMIT)


def test_ctrl_c_in_the_terminal_reaches_nndbg_and_not_the_program(check, fifo: Path, watch):
    program = watch(read_pid(fifo))
    gdb = watch(program.tracer)
    assert os.getpgid(gdb.pid) != os.getpgid(check.pid) != os.getpgid(program.pid)
    # What a terminal does: the signal goes to the whole foreground group.
    os.killpg(check.pid, signal.SIGINT)
    check.communicate(timeout=LIMIT)
    assert check.returncode == 130
    assert program.ends_within(LIMIT)
    assert gdb.ends_within(LIMIT)


def test_a_check_whose_gdb_is_killed_fails_and_leaves_nothing_behind(check, fifo: Path, watch):
    program = watch(read_pid(fifo))
    os.kill(program.tracer, signal.SIGKILL)
    _, err = check.communicate(timeout=LIMIT)
    assert check.returncode == 3
    assert "GDB was killed by signal 9" in err
    assert program.ends_within(LIMIT)
