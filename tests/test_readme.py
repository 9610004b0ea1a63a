"""The README's commands run, and come to what it says."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

NNDBG = Path(sys.executable).with_name("nndbg")
# A terminal is a test of its own, in tests/tui.
NEEDS_A_TERMINAL = {"run", "replay"}
# A server does not end by itself: tests/serve.
GOES_ON = {"serve"}


def commands(root: Path) -> list[list[str]]:
    """The commands of the README that a directory with the program and its data is enough for."""
    lines = re.findall(
        r"^\$ ((?:\.venv/bin/nndbg|\./mnist) .*)$", (root / "README.md").read_text(), re.M
    )
    return [shlex.split(line, comments=True) for line in lines]


@pytest.fixture
def place(tmp_path: Path, root: Path, program: Path, gdb: str) -> Path:
    dataset = root / "dataset"
    if not dataset.is_dir() or not NNDBG.is_file():
        pytest.skip("dataset/ or the installed nndbg is not there: run ./build.sh setup")
    (tmp_path / "mnist").symlink_to(program)
    (tmp_path / "dataset").symlink_to(dataset)
    return tmp_path


@pytest.mark.timeout(400)
def test_every_command_ends_well(place: Path, root: Path) -> None:
    found = commands(root)
    assert len(found) > 8
    for command in found:
        program, *arguments = command
        if arguments[0] in NEEDS_A_TERMINAL | GOES_ON:
            continue
        executable = NNDBG if program.endswith("nndbg") else place / "mnist"
        done = subprocess.run(
            [executable, *arguments],
            cwd=place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout[-500:], done.stderr)
    assert (place / "report.json").stat().st_size > 1000


def test_its_python_runs(place: Path, root: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", (root / "README.md").read_text(), re.M | re.S)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "[[" in done.stdout, "the array is printed, and nothing is wrong"


def test_every_document_that_it_names_is_there(root: Path) -> None:
    named = re.findall(r"\((docs/[^)#]+)", (root / "README.md").read_text())
    assert len(named) > 5
    assert not [name for name in named if not (root / name).is_file()]
