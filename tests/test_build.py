"""build.sh, run for real on copies of the project: what it makes, leaves alone and says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILD_TOOLS = ("bash", "nasm", "gcc")

# Stands in for Python where a test is about when the environment is set up, not about what pip does
# with a network: it writes down what it is asked, and fails to install while `offline` exists.
RECORDING_PYTHON = """#!/bin/bash
echo "$*" >>"$CALLS"
case "$*" in
    "-m venv --clear .venv")
        rm -rf .venv
        mkdir -p .venv/bin
        cp "$0" .venv/bin/python ;;
    "-m pip install"*)
        if [[ -e offline ]]; then echo "no network" >&2; exit 1; fi
        printf '#!/bin/bash\\necho "nndbg $*" | tee -a "$CALLS"\\n' >.venv/bin/nndbg
        chmod +x .venv/bin/nndbg ;;
esac
"""


def build(project: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [project / "build.sh", *args],
        cwd=project.parent,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def copy_of_the_sources(to: Path) -> Path:
    to.mkdir()
    shutil.copytree(ROOT / "asm", to / "asm")
    for name in ("build.sh", "pyproject.toml"):
        shutil.copy2(ROOT / name, to)
    return to


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    absent = [tool for tool in BUILD_TOOLS if not shutil.which(tool)]
    if absent:
        pytest.skip(f"needs {', '.join(absent)}")
    project = copy_of_the_sources(tmp_path_factory.mktemp("built") / "project")
    done = build(project)
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def project(built_once: Path, tmp_path: Path) -> Path:
    """A built project of the test's own, at a path with a space in it."""
    return shutil.copytree(built_once, tmp_path / "the project")


def assembled(done: subprocess.CompletedProcess[str]) -> list[str]:
    lines = done.stderr.splitlines()
    return [line.removeprefix("build: asm/") for line in lines if line.startswith("build: asm/")]


def any_source(project: Path) -> Path:
    return min((project / "asm").glob("*.asm"))


# --- the commands ---


def test_an_unknown_command_is_a_usage_error() -> None:
    done = build(ROOT, "biuld")
    assert done.returncode == 2
    assert "no such command: biuld" in done.stderr
    assert "usage: ./build.sh" in done.stderr
    assert done.stdout == ""


def test_help_is_an_answer_on_stdout() -> None:
    done = build(ROOT, "help")
    assert done.returncode == 0
    for command in ("run", "setup", "test", "clean"):
        assert f"./build.sh {command}" in done.stdout


def test_clean_leaves_the_sources_and_the_data_set(project: Path) -> None:
    sources = sorted((project / "asm").rglob("*"))
    (project / "dataset").mkdir()
    (project / ".venv").mkdir()
    assert build(project, "clean").returncode == 0
    assert sorted(path.name for path in project.iterdir()) == sorted(
        ["asm", "build.sh", "dataset", "pyproject.toml"]
    )
    assert sorted((project / "asm").rglob("*")) == sources


def test_clean_all_removes_the_data_set_too(project: Path) -> None:
    (project / "dataset").mkdir()
    assert build(project, "clean", "--all").returncode == 0
    assert not (project / "dataset").exists()


def test_a_misspelt_option_of_clean_removes_nothing(project: Path) -> None:
    assert build(project, "clean", "--al").returncode == 2
    assert (project / "mnist").exists()


# --- the program ---


def test_the_program_is_a_static_executable(project: Path) -> None:
    assert os.access(project / "mnist", os.X_OK)
    if not shutil.which("readelf"):
        pytest.skip("needs readelf")
    headers = subprocess.run(
        ["readelf", "-hlW", project / "mnist"], capture_output=True, text=True, check=True
    ).stdout
    assert "EXEC" in headers
    assert "INTERP" not in headers


def test_a_second_build_does_and_says_nothing(project: Path) -> None:
    before = (project / "mnist").stat()
    done = build(project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    after = (project / "mnist").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_changed_source_is_assembled_alone(project: Path) -> None:
    source = any_source(project)
    source.touch()
    done = build(project)
    assert done.returncode == 0, done.stderr
    assert assembled(done) == [source.name]
    assert (project / "mnist").stat().st_mtime_ns > source.stat().st_mtime_ns


@pytest.mark.parametrize("shared", ["include", "layer map"])
def test_a_changed_file_that_all_share_assembles_everything(project: Path, shared: str) -> None:
    asm = project / "asm"
    changed = asm / "mnist.toml" if shared == "layer map" else min((asm / "include").iterdir())
    changed.touch()
    done = build(project)
    assert done.returncode == 0, done.stderr
    assert sorted(assembled(done)) == sorted(source.name for source in asm.glob("*.asm"))


def test_a_syntax_error_fails_and_leaves_no_program_of_yesterday(project: Path) -> None:
    source = any_source(project)
    right = source.read_text()
    source.write_text(right + "\n    movv eax, 1\n")
    done = build(project)
    assert done.returncode == 1
    line = right.count("\n") + 2
    assert f"asm/{source.name}:{line}: error" in done.stderr
    assert not (project / "mnist").exists()

    assert build(project).returncode == 1, "a second try must not take the failure for done"

    source.write_text(right)
    assert build(project).returncode == 0
    assert (project / "mnist").exists()


def test_a_deleted_source_leaves_the_program(project: Path) -> None:
    extra = project / "asm" / "extra.asm"
    extra.write_text(
        "global extra_symbol:data 4\n"
        "section .data\n"
        "extra_symbol: dd 1\n"
        "section .note.GNU-stack noalloc noexec nowrite progbits\n"
    )
    assert build(project).returncode == 0
    assert b"extra_symbol" in (project / "mnist").read_bytes()
    extra.unlink()
    assert build(project).returncode == 0
    assert not (project / "build" / "extra.o").exists()
    assert b"extra_symbol" not in (project / "mnist").read_bytes()


def test_build_sh_passes_shellcheck() -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("needs shellcheck")
    scripts = [ROOT / "build.sh", ROOT / ".ci" / "run"]
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# --- the tools ---


def path_with_all_but(tools: tuple[str, ...], directory: Path) -> str:
    """A PATH of one directory: every command there is but `tools`, and nobody is root."""
    directory.mkdir()
    for place in reversed(os.get_exec_path()):
        if not Path(place).is_dir():
            continue
        for command in Path(place).iterdir():
            link = directory / command.name
            link.unlink(missing_ok=True)
            link.symlink_to(command)
    for tool in (*tools, "id", "sudo"):
        (directory / tool).unlink(missing_ok=True)
    (directory / "id").write_text("#!/bin/sh\necho 1000\n")
    (directory / "id").chmod(0o755)
    return str(directory)


@pytest.mark.parametrize(
    ("command", "tools"),
    [((), ("nasm",)), (("run",), ("gdb", "nasm"))],
    ids=["build without nasm", "run without gdb and nasm"],
)
def test_without_root_the_command_to_type_is_named(
    project: Path, tmp_path: Path, command: tuple[str, ...], tools: tuple[str, ...]
) -> None:
    path = path_with_all_but(tools, tmp_path / "bin")
    done = build(project, *command, PATH=path, PYTHON=sys.executable)
    assert done.returncode == 2
    command_to_type = f"apt-get update && apt-get install -y {' '.join(tools)}"
    assert command_to_type in map(str.strip, done.stderr.splitlines())
    assert not (project / ".venv").exists()


# --- the set-up ---


class SetUp:
    """A project whose Python is RECORDING_PYTHON."""

    def __init__(self, project: Path, python: Path) -> None:
        self.project = project
        self.python = python
        self.calls_file = python.with_name("calls")

    def start(
        self, *args: str, command: str = "run", **env: str
    ) -> subprocess.CompletedProcess[str]:
        self.calls_file.write_text("")
        names = {"PYTHON": str(self.python), "CALLS": str(self.calls_file)}
        return build(self.project, command, *args, **names, **env)

    @property
    def did(self) -> list[str]:
        """What was set up in the last start, in order."""
        steps = {"-m venv": "venv", "-m pip": "pip", "nndbg data": "data", "nndbg check": "check"}
        calls = self.calls_file.read_text().splitlines()
        return [step for call in calls for prefix, step in steps.items() if call.startswith(prefix)]


@pytest.fixture
def set_up(project: Path, tmp_path: Path) -> SetUp:
    if not shutil.which("gdb"):
        pytest.skip("needs gdb")
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        data = project / "dataset" / f"{part}-ubyte"
        data.parent.mkdir(exist_ok=True)
        data.write_bytes(b"not empty")
    python = tmp_path / "recording-python"
    python.write_text(RECORDING_PYTHON)
    python.chmod(0o755)
    return SetUp(project, python)


def test_without_a_terminal_run_starts_check_with_its_arguments(set_up: SetUp) -> None:
    done = set_up.start("--steps", "0:1", "a b")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "nndbg check --steps 0:1 a b\n"


def test_a_second_run_sets_up_nothing(set_up: SetUp) -> None:
    set_up.start()
    assert set_up.did == ["venv", "pip", "check"]
    assert set_up.start().stderr == ""
    assert set_up.did == ["check"]


def test_setup_prepares_a_run_and_starts_nothing(set_up: SetUp) -> None:
    assert set_up.start(command="setup").stdout == ""
    assert set_up.did == ["venv", "pip"]
    set_up.start()
    assert set_up.did == ["check"]


def test_an_interrupted_set_up_begins_again(set_up: SetUp) -> None:
    (set_up.project / "offline").touch()
    failed = set_up.start()
    assert failed.returncode == 1
    assert "no network" in failed.stderr
    (set_up.project / "offline").unlink()
    set_up.start()
    assert set_up.did == ["venv", "pip", "check"]


def test_new_requirements_are_installed_into_the_environment_there_is(set_up: SetUp) -> None:
    set_up.start()
    with (set_up.project / "pyproject.toml").open("a") as pyproject:
        pyproject.write("\n# changed\n")
    set_up.start()
    assert set_up.did == ["pip", "check"]


def test_a_moved_project_makes_its_environment_anew(set_up: SetUp) -> None:
    set_up.start()
    set_up.project = set_up.project.rename(set_up.project.with_name("moved"))
    set_up.start()
    assert set_up.did == ["venv", "pip", "check"]


def test_missing_data_is_fetched_from_the_directory_that_is_named(set_up: SetUp) -> None:
    (set_up.project / "dataset" / "t10k-labels-idx1-ubyte").unlink()
    done = set_up.start(NNDBG_MNIST_DIR="/some where")
    assert set_up.did == ["venv", "pip", "data", "check"]
    assert "nndbg data --from /some where" in done.stderr
    assert done.stdout == "nndbg check\n"
