"""What is read off a Python file without running it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nndbg.own import ScriptError, read_script

FILE = """\
raise SystemExit("this file must not be run to be read")

def step(x, W, *, slope=0.1, mode="fast", shift=-1):
    def inner(a):
        return a
    if mode:
        return {"z": x, "h": W}
    return dict(z=x, p=W)

def one(z):
    return z + 1

def greedy(*arrays):
    return arrays

async def later(z):
    return z
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "ops.py").write_text(FILE)
    return tmp_path


def test_parameters_numbers_and_results_are_read(directory: Path):
    script = read_script("ops.py:step", directory)
    assert script.inputs == ("x", "W")
    assert script.numbers == {"slope": 0.1, "shift": -1.0}
    assert script.results == ("z", "h", "p")
    assert str(script) == f"{directory}/ops.py:3: step"


def test_results_that_are_not_written_out_are_not_known(directory: Path):
    assert read_script("ops.py:one", directory).results is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ops.py", "write FILE.py:FUNCTION"),
        ("ops.py:stepp", "Did you mean step?"),
        ("ops.py:inner", "It has: step, one, greedy, later"),
        ("ops.py:greedy", r"ops.py:13: greedy takes \*args"),
        ("ops.py:later", "is async"),
        ("gone.py:step", "gone.py cannot be read: No such file"),
    ],
)
def test_what_cannot_be_called_is_told(directory: Path, text: str, says: str):
    with pytest.raises(ScriptError, match=says):
        read_script(text, directory)


def test_what_is_no_python_is_told_with_its_line(tmp_path: Path):
    (tmp_path / "ops.py").write_text("a = 1\ndef step(:\n")
    with pytest.raises(ScriptError, match=r"ops.py:2: not Python"):
        read_script("ops.py:step", tmp_path)
