"""The process apart: what the user's code may do to it, and what is said of that."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

import numpy as np
import pytest

from nndbg.errors import UsageError
from nndbg.own import Worker, own_kind, read_script
from nndbg.reference import FLOAT32, Bounded
from nndbg.reference.kinds import Part

FILE = """\
import os
import beside
calls = 0

def twice(z):
    print("to stdout", flush=True)
    os.write(1, b"straight to stdout")
    return beside.two * z

def index(z):
    return helper(z)

def helper(z):
    return z[99]

def loop(z):
    while True:
        pass

def leave(z):
    os._exit(7)

def give_up(z):
    raise SystemExit("enough")

def counts(z):
    global calls
    calls += 1
    return z + calls
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("own")
    (place / "ops.py").write_text(FILE)
    (place / "beside.py").write_text("two = 2\n")
    (place / "broken.py").write_text("import nowhere_to_be_found\n\ndef step(z):\n    return z\n")
    return place


@pytest.fixture(scope="module")
def worker() -> Worker:
    return Worker(60.0)


Z = np.array([1.0, 2.0, 3.0], np.float32)


def computed(directory: Path, worker: Worker, text: str) -> Bounded:
    part = Part("out", ("..",), "any")
    script = read_script(text, directory)
    kind = own_kind(script, [Part("z", ("..",), "any")], [part], worker)
    return kind.compute({"z": Z}, FLOAT32, {})["out"]


def test_a_function_is_computed_and_what_it_prints_goes_nowhere(
    directory: Path, worker: Worker, capfd: pytest.CaptureFixture[str]
):
    assert computed(directory, worker, "ops.py:twice").value.tolist() == [2, 4, 6]
    assert capfd.readouterr() == ("", "")
    assert not (directory / "__pycache__").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ops.py:index", r"ops.py:14: index raised IndexError: index 99 is out of bounds"),
        ("ops.py:give_up", r"ops.py:24: give_up raised SystemExit: enough"),
        ("ops.py:leave", r"ops.py: leave ended its process \(exit code 7\)"),
        ("ops.py:counts", r"ops.py:26: counts returns another out when it is called again"),
        ("broken.py:step", r"broken.py:1: step raised ModuleNotFoundError: No module named"),
    ],
)
def test_what_goes_wrong_is_told_in_one_line_with_its_place(
    directory: Path, worker: Worker, text: str, says: str
):
    with pytest.raises(UsageError, match=says) as caught:
        computed(directory, worker, text)
    assert "\n" not in str(caught.value)
    assert str(directory) in str(caught.value)


def test_a_function_that_does_not_return_is_told_and_ended(directory: Path):
    own = Worker(60.0)
    computed(directory, own, "ops.py:twice")
    own._limit = 0.5
    with pytest.raises(UsageError, match=r"ops.py: loop has not returned within 0.5 s"):
        computed(directory, own, "ops.py:loop")
    assert own._running is None


def test_after_an_error_the_next_function_is_computed(directory: Path, worker: Worker):
    with pytest.raises(UsageError, match="ended its process"):
        computed(directory, worker, "ops.py:leave")
    assert computed(directory, worker, "ops.py:twice").value.tolist() == [2, 4, 6]


def test_the_process_ends_with_its_owner(directory: Path):
    own = Worker(10.0)
    computed(directory, own, "ops.py:twice")
    assert own._running is not None
    number = own._running._process.pid
    own.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_a_process_whose_parent_is_killed_ends_though_it_loops(directory: Path):
    """A fork asks for what never returns, and is killed: its worker must not stay behind."""
    own, (read, write) = Worker(60.0), os.pipe()
    child = os.fork()
    if child == 0:
        computed(directory, own, "ops.py:twice")
        assert own._running is not None
        os.write(write, str(own._running._process.pid).encode())
        computed(directory, own, "ops.py:loop")
        os._exit(0)
    worker = os.pidfd_open(int(os.read(read, 20)))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    ended, _, _ = select.select([worker], [], [], 20)
    assert ended
    for number in (read, write, worker):
        os.close(number)
