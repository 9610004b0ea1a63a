"""The real thing in a real terminal: typed keys, ./mnist under GDB, and what is left afterwards."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

DEADLINE = 30.0
_PAUSE = 0.05


class Tmux:
    """A terminal of a given size in which `nndbg run` was typed, on a tmux server of its own."""

    def __init__(self, directory: Path, size: tuple[int, int], command: str) -> None:
        self.socket = directory / "tmux"
        width, height = map(str, size)
        self.do("new-session", "-d", "-x", width, "-y", height, f"{command}; echo left $?; cat")

    def do(self, *words: str) -> str:
        run = ["tmux", "-S", str(self.socket), "-f", os.devnull, *words]
        return subprocess.run(run, check=True, capture_output=True, text=True, timeout=10).stdout

    def press(self, *keys: str) -> None:
        self.do("send-keys", *keys)

    @property
    def screen(self) -> str:
        return self.do("capture-pane", "-p")

    def until(self, *texts: str) -> None:
        """Wait until all of the texts are on the screen."""
        seen: list[str] = []

        def are_there() -> bool:
            seen[:] = [self.screen]
            return all(text in seen[0] for text in texts)

        wait_for(are_there, lambda: f"{texts} never came:\n{seen[0]}")


def wait_for(condition: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    limit, pause = monotonic() + DEADLINE, Event()
    while not condition():
        assert monotonic() < limit, otherwise()
        pause.wait(_PAUSE)


def processes_about(text: str) -> list[int]:
    """The processes with `text` in their command line, but for tmux and its shell."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(text.encode() == word for word in words):
            found.append(int(path.name))
    return found


@pytest.fixture
def terminal(program, gdb, tiny, tmp_path, root, monkeypatch):
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    monkeypatch.setenv("TERM", "screen-256color")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.chdir(root)
    opened = []

    def open_terminal(size: tuple[int, int] = (120, 40)) -> Tmux:
        start = "import sys; from nndbg.cli import main; sys.exit(main())"
        command = f"{sys.executable} -c '{start}' run {program} -- --data {tiny} --epochs 1"
        opened.append(Tmux(tmp_path, size, command))
        return opened[-1]

    yield open_terminal
    for tmux in opened:
        tmux.do("kill-server")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_a_walk_through_the_trainer(terminal, tiny, size):
    tmux = terminal(size)
    tmux.until("stopped where step 0 begins", "· dense1")
    tmux.press("n")
    tmux.until("stopped after load_x of step 0", "[64, 784] f32")
    tmux.press("s")
    tmux.until("step 0 is complete", "✓ grad_z2", "▶")
    tmux.press("?")
    tmux.until("Run until an op is wrong.")
    tmux.press("q")
    wait_for(lambda: "Run until an op" not in tmux.screen, lambda: "the help stays")
    tmux.press("d")
    tmux.until("ended")
    tmux.press("q")
    tmux.until("left 0")
    assert processes_about(str(tiny)) == []


def test_quitting_while_the_program_runs_leaves_nothing(terminal, tiny):
    tmux = terminal()
    tmux.until("stopped where step 0 begins")
    tmux.press("d", "q")
    tmux.until("left 0")
    assert processes_about(str(tiny)) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_closes_the_screen_and_leaves_nothing(terminal, tiny, number):
    tmux = terminal()
    tmux.until("stopped where step 0 begins")
    parents = [pid for pid in processes_about(str(tiny)) if pid in processes_about("-c")]
    os.kill(max(parents), number)
    tmux.until(f"left {128 + number}")
    assert processes_about(str(tiny)) == []


def test_a_terminal_that_is_closed_leaves_nothing(terminal, tiny):
    tmux = terminal()
    tmux.until("stopped where step 0 begins")
    tmux.press("d")
    tmux.do("kill-session")
    tmux.do("new-session", "-d", "cat")
    wait_for(lambda: processes_about(str(tiny)) == [], lambda: "something is left")
