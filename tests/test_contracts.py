"""Who may import whom, proved by importing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nndbg

PACKAGE = Path(nndbg.__file__).parent


def imported_by(module: str) -> set[str]:
    """The modules that a fresh interpreter has after importing `module`."""
    script = f"import sys; import {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module", ["reference", "compare", "ledger", "layermap", "session", "report", "elf", "errors"]
)
def test_the_core_imports_no_debugger_no_command_line_and_no_screen(module: str):
    roots = {name.split(".")[0] for name in imported_by(f"nndbg.{module}")}
    assert not roots & {"pygdbmi", "click", "rich_click", "textual"}


@pytest.mark.parametrize("module", ["reference", "compare"])
def test_the_reference_and_the_comparison_know_no_program(module: str):
    loaded = imported_by(f"nndbg.{module}")
    assert not loaded & {"nndbg.inferior", "nndbg.session", "nndbg.elf", "nndbg.layermap"}


def test_the_package_itself_imports_neither_command_line_nor_screen():
    roots = {name.split(".")[0] for name in imported_by("nndbg")}
    assert not roots & {"click", "rich_click", "textual"}


def test_the_command_line_imports_no_screen_until_it_is_asked_for():
    assert "textual" not in imported_by("nndbg.cli")


def imports(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it, by their full names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {node.module or "", *(f"{node.module}.{a.name}" for a in node.names)}
    return found


COMMANDS = ("cli.py", "recording_commands.py", "screen_commands.py")
FILES = sorted(PACKAGE.rglob("*.py"))


def names(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", FILES, ids=names)
def test_only_the_inferior_package_speaks_to_gdb(path: Path):
    speaks = any(name.split(".")[0] == "pygdbmi" for name in imports(path))
    assert not speaks or path.is_relative_to(PACKAGE / "inferior")


@pytest.mark.parametrize("path", FILES, ids=names)
def test_only_the_front_ends_import_their_libraries(path: Path):
    commands = [*COMMANDS, "parameters.py"]
    allowed = {
        "click": commands,
        "rich_click": commands,
        "textual": ["tui"],
        "aiohttp": ["serve"],
        "textual_serve": ["serve"],
    }
    for library, places in allowed.items():
        if any(name.split(".")[0] == library for name in imports(path)):
            assert names(path).split("/")[0] in places, f"{names(path)} imports {library}"


def test_nothing_below_the_front_ends_imports_them():
    for path in FILES:
        if names(path).split("/")[0] in (*COMMANDS, "tui"):
            continue
        assert not {n for n in imports(path) if n.startswith(("nndbg.cli", "nndbg.tui"))}, path


@pytest.mark.parametrize("path", FILES, ids=names)
def test_nothing_knows_the_bundled_trainer(path: Path):
    # Its data set has a package of its own, and ./mnist is what commands fall back on.
    if path.is_relative_to(PACKAGE / "dataset"):
        return
    tree = ast.parse(path.read_text())
    texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    known = {"dense1", "W1", "z1", "grad_h1", "batch_rows", "learning_rate", "seek_step"}
    assert not texts & known


def test_the_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()
