"""A program behind a gdbserver: everything but single steps is as it is on this machine."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import nndbg
from nndbg.elf import read_executable
from nndbg.errors import GdbError, InterruptedByUser, ProgramError, UsageError
from nndbg.inferior.process import Inferior
from tests.inferior.conftest import LIMIT, NET, NET_MAP, Process, line_of, read_pid

STEPS = range(3)


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., str]]:
    """Starts gdbservers on free ports; all are ended after the tests."""
    if shutil.which("gdbserver") is None:
        pytest.skip("gdbserver is not installed")
    running: list[subprocess.Popen[bytes]] = []

    def serve(*words: object) -> str:
        server = subprocess.Popen(
            ["gdbserver", *(str(word) for word in words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        running.append(server)
        assert server.stderr is not None
        heard = b""
        while b"Listening on port " not in heard or not heard.endswith(b"\n"):
            assert select.select([server.stderr], [], [], LIMIT)[0], "gdbserver does not listen"
            heard += server.stderr.read1()
        port = heard.partition(b"Listening on port ")[2].split()[0]
        return f"localhost:{int(port)}"

    yield serve
    for server in running:
        server.kill()
        server.wait()
        assert server.stderr is not None
        server.stderr.close()


@pytest.fixture(scope="module")
def server(serve: Callable[..., str], net: Path) -> str:
    """A server that was given the network; every run after the first it starts itself."""
    return serve("localhost:0", net)


@pytest.fixture(scope="module")
def net_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("map") / "net.toml"
    path.write_text(NET_MAP)
    return path


def test_a_sound_program_agrees_at_a_server(server: str, net: Path, net_map: Path):
    report = nndbg.check(net, map=net_map, steps=STEPS, remote=server)
    assert report.agrees
    assert len(report.verdicts) == 6


def test_a_wrong_number_is_found_at_a_server_and_who_wrote_it(
    server: str, net: Path, net_map: Path
):
    here = nndbg.check(net, map=net_map, steps=STEPS, arguments=("wrong",))
    there = nndbg.check(net, map=net_map, steps=STEPS, arguments=("wrong",), remote=server)
    assert list(there.verdicts) == list(here.verdicts)
    assert there.diagnosis == here.diagnosis
    assert there.first is not None
    assert there.first.verdict.subject.op == "relu"
    culprit = there.first.culprit
    assert culprit is not None
    assert culprit.likeliest.line == line_of("h[1][2] += 0.5f")
    assert "followed back" in culprit.notes[0]
    assert culprit.likeliest.says == "writes h[1,2] last"


def test_the_history_of_an_element_is_told_at_a_server(server: str, net: Path, net_map: Path):
    here, there = (
        nndbg.blame(net, "h[1,2]", step=1, map=net_map, arguments=("wrong",), remote=remote)
        for remote in (None, server)
    )
    assert there == here
    assert len(there.writes) == 2


def test_a_server_without_a_program_starts_it(serve: Callable[..., str], net: Path, net_map: Path):
    remote = serve("--multi", "localhost:0")
    report = nndbg.check(net, map=net_map, steps=STEPS, arguments=("wrong",), remote=remote)
    assert report.first is not None
    assert report.first.culprit is not None


def test_a_server_that_runs_a_program_once_says_so(
    serve: Callable[..., str], net: Path, net_map: Path
):
    remote = serve("--once", "localhost:0", net, "wrong")
    wanted = {"map": net_map, "steps": STEPS, "arguments": ("wrong",), "remote": remote}
    report = nndbg.check(net, **wanted)
    assert report.first is not None
    assert report.first.verdict.subject.op == "relu"
    assert report.first.culprit is None
    assert report.error is None
    assert "again with poison" in report.says
    assert "--once" in report.says


def test_a_sound_program_agrees_at_a_server_that_runs_it_once(
    serve: Callable[..., str], net: Path, net_map: Path
):
    report = nndbg.check(net, map=net_map, steps=STEPS, remote=serve("--once", "localhost:0", net))
    assert report.agrees
    assert "again with poison" in report.says


def test_a_crash_at_a_server_is_explained(server: str, net: Path, net_map: Path):
    here, there = (
        nndbg.check(net, map=net_map, steps=STEPS, arguments=("crash",), remote=remote)
        for remote in (None, server)
    )
    assert there.crash is not None
    assert there.crash == here.crash
    assert there.crash.line == line_of("line of the crash")


def test_a_loop_without_an_end_is_ended_at_the_server_too(
    server: str,
    net: Path,
    net_map: Path,
    fifo: Path,
    watch: Callable[[int], Process],
):
    listening = os.open(fifo, os.O_RDWR)
    arguments = ("report", str(fifo))
    session = nndbg.open(net, map=net_map, arguments=arguments, remote=server, timeout=1)
    with session:
        session.start(1)
        session.next_op()
        with pytest.raises(ProgramError, match=r"within 1 s\. It was in spin") as error:
            session.next_op()
        program = watch(read_pid(fifo))
        os.close(listening)
    assert f":{line_of('line of the loop')})" in str(error.value)
    assert program.ends_within(LIMIT)


def test_an_interrupt_ends_the_wait_for_a_server(server: str, net: Path, net_map: Path, fifo: Path):
    session = nndbg.open(net, map=net_map, arguments=("report", str(fifo)), remote=server)

    def interrupt() -> None:
        read_pid(fifo)
        session.interrupt()

    with session:
        session.start(1)
        session.next_op()
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(InterruptedByUser, match="interrupted in"):
            session.next_op()
        thread.join(LIMIT)


def test_memory_that_is_not_there_is_the_programs_fault(server: str, net: Path):
    with closing(Inferior(read_executable(net), remote=server)) as inferior:
        start = inferior.executable.symbols["table"].address
        data = bytes(range(20))
        inferior.memory.write(start, data)
        assert bytes(inferior.memory.read(start, 20)) == data
        assert bytes(inferior.memory.read(start, 0)) == b""
        for address in (0, 16, 1 << 46):
            with pytest.raises(ProgramError, match="no memory there"):
                inferior.memory.read(address, 8)
            with pytest.raises(ProgramError, match="8 bytes cannot be written"):
                inferior.memory.write(address, bytes(8))


def test_another_program_at_the_server_is_refused(server: str, net: Path, build):
    other = build("other", NET.replace("+= 0.5f", "+= 0.7f"), "-g", "-O0", "-static", "-no-pie")
    with pytest.raises(UsageError, match="it differs in what is loaded at"):
        Inferior(read_executable(other), remote=server)


def test_arguments_that_only_the_server_knows_are_asked_for(serve: Callable[..., str], net: Path):
    remote = serve("localhost:0", net, "wrong")
    with pytest.raises(UsageError, match="the arguments wrong, and each run needs them"):
        Inferior(read_executable(net), remote=remote)


@pytest.mark.parametrize("arguments", [("two words",), ("",)])
def test_arguments_that_a_server_breaks_up_are_refused(net: Path, arguments: tuple[str, ...]):
    with pytest.raises(UsageError, match="empty or has white space"):
        Inferior(read_executable(net), arguments, remote="localhost:1")


@pytest.mark.parametrize("address", ["localhost", "| rm x", "a b:1", "host:123456", ""])
def test_what_is_no_address_is_refused(net: Path, address: str):
    with pytest.raises(UsageError, match="no HOST:PORT"):
        Inferior(read_executable(net), remote=address)


def test_where_no_server_answers_nothing_is_started(net: Path, fifo: Path):
    with pytest.raises(GdbError, match="no GDB server answers at localhost:1 "):
        Inferior(read_executable(net), ("report", str(fifo)), remote="localhost:1")
