"""The examples run, and come to what their READMEs say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"
TOOLS = {
    "aarch64": ("aarch64-linux-gnu-as", "aarch64-linux-gnu-ld", "qemu-aarch64", "gdb-multiarch"),
    "online": ("nasm", "gcc", "gdb"),
    "openmp": ("gcc", "gdb"),
    "transformer": ("gcc", "gdb"),
}
LIMIT = 60


def console(text: str) -> list[tuple[str, list[str]]]:
    """The commands of a README, each with the lines that it shows of what they print.

    Between the lines, and where one has an ellipsis, there may be more.
    """
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line != "...":
                found[-1][1].append(line.strip())
    return found


def test_every_example_is_run_and_named() -> None:
    here = {path.parent.name for path in EXAMPLES.glob("*/README.md")}
    assert here == TOOLS.keys()
    index = (EXAMPLES / "README.md").read_text()
    assert set(re.findall(r"\((\w+)/README\.md\)", index)) == here


@pytest.mark.parametrize("example", sorted(TOOLS))
def test_an_example_does_what_its_readme_says(example: str, tmp_path: Path) -> None:
    if missing := [tool for tool in TOOLS[example] if shutil.which(tool) is None]:
        pytest.skip(f"{' and '.join(missing)} not installed")
    place = shutil.copytree(EXAMPLES / example, tmp_path / example)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    commands = console((place / "README.md").read_text())
    assert sum("nndbg check" in command for command, _ in commands) >= 2
    for command, shown in commands:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=place,
            env={**os.environ, "PATH": path, "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        wrong = any("divergence" in line for line in shown)
        assert done.returncode == (1 if wrong else 0), (command, done.stdout, done.stderr)
        lines = iter(done.stdout.splitlines())
        for wanted in shown:
            pattern = ".*".join(map(re.escape, wanted.split("…")))
            assert any(re.search(pattern, line) for line in lines), (command, wanted, done.stdout)
