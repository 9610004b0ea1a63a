"""The screen in a browser: a real one, the trainer under GDB behind it, and who is kept out."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import monotonic

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from nndbg.cli import commands
from nndbg.errors import UsageError
from nndbg.serve import Gate

from .browser import DEADLINE, PROGRAM, open_page

START = "import sys; from nndbg.cli import main; sys.exit(main())"
OPENING = """new Promise(tell => {
    const socket = new WebSocket(%r);
    socket.onopen = () => { tell("open"); socket.close(); };
    socket.onerror = () => tell("refused");
})"""


def processes_about(word: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if word.encode() in words:
            found.append(int(path.name))
    return found


class Server:
    """`nndbg serve`, and the processes that it started: all have `word` in their command lines."""

    def __init__(self, process: subprocess.Popen[str], word: str) -> None:
        self.process = process
        self.word = word
        assert process.stdout is not None
        self.address = process.stdout.readline().strip()
        self.origin = "/".join(self.address.split("/")[:3])
        self.socket = self.address.replace("http", "ws") + "ws?width=100&height=30"

    @property
    def children(self) -> list[int]:
        return [pid for pid in processes_about(self.word) if pid != self.process.pid]

    def wait_for_children(self) -> None:
        """Wait until all of them have gone."""
        limit, pause = monotonic() + DEADLINE, Event()
        while self.children:
            assert monotonic() < limit, f"left: {self.children}"
            pause.wait(0.05)


@pytest.fixture
def server(program, gdb, tiny, root) -> Iterator[Server]:
    """`nndbg serve` of the trainer. The name of its data has what a shell would not leave alone."""
    data = tiny.with_name("$(touch shell) tiny")
    tiny.rename(data)
    process = subprocess.Popen(
        [sys.executable, "-c", START, "serve", program, "--", "--data", data, "--epochs", "1"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    )
    server = Server(process, str(data))
    yield server
    process.kill()
    process.wait()
    server.wait_for_children()


async def status(session: ClientSession, url: str, **headers: str) -> int:
    async with session.get(url, headers=headers) as answer:
        return answer.status


async def handshake(session: ClientSession, url: str, **headers: str) -> int:
    try:
        async with session.ws_connect(url, headers=headers) as socket:
            await socket.close()
        return 101
    except WSServerHandshakeError as refusal:
        return refusal.status


@pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")
async def test_a_browser_shows_the_screen_and_steps_and_others_are_refused(server, tmp_path, root):
    async with open_page(tmp_path / "profile") as page:
        await page.open(server.origin + "/")
        shown = await page.evaluate("document.body.innerText")
        assert shown.strip() == "403: this address needs its token."
        tokenless = server.origin.replace("http", "ws") + "/ws"
        assert await page.evaluate(OPENING % tokenless) == "refused"
        await page.open("about:blank")
        assert await page.evaluate(OPENING % server.socket) == "refused"
        assert server.children == []

        await page.open(server.address)
        await page.until("where step 0 begins")
        assert await page.evaluate("document.body.classList.contains('-first-byte')")
        assert await page.evaluate("document.title") == "mnist - nndbg"
        await page.press("n")
        await page.until("after load_x of step 0")
        assert all(
            url.startswith((server.address, server.origin, "data:", "about:"))
            for url in page.requested
        ), page.requested
        assert len(server.children) >= 2
        assert not (root / "shell").exists()

        await page.open("about:blank")
        await asyncio.to_thread(server.wait_for_children)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(DEADLINE) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_server_that_ends_takes_its_screens_along(server, number):
    async with ClientSession() as session:
        # Those who have the token still need the right origin, and a name that is ours.
        assert await status(session, server.address) == 200
        assert await status(session, server.address, Origin="http://evil.example") == 403
        assert await status(session, server.address, Host="evil.example") == 403
        for path in ("/", "/ws", "/static/js/textual.js", "/x/", "//", "/download/1"):
            assert await status(session, server.origin + path) == 403
        assert await handshake(session, server.socket) == 403
        assert await handshake(session, server.socket, Origin="null") == 403
        assert await handshake(session, server.socket, Origin="http://127.0.0.1:1") == 403
        async with session.ws_connect(server.socket, headers={"Origin": server.origin}) as socket:
            heard = ""
            async with asyncio.timeout(DEADLINE):
                while "where step 0 begins" not in heard:
                    heard += (await socket.receive_bytes()).decode(errors="replace")
            assert len(server.children) >= 2
            server.process.send_signal(number)
            await asyncio.to_thread(server.process.wait, DEADLINE)
    await asyncio.to_thread(server.wait_for_children)


def test_the_gate_admits_its_own_page_and_nobody_else():
    gate = Gate(8000)
    token, host, own = gate.token, "127.0.0.1:8000", "http://127.0.0.1:8000"
    assert len(token) >= 43
    assert Gate(8000).token != token
    assert token not in repr(gate)
    assert gate.admits(f"/{token}/ws", host, own, is_websocket=True)
    assert gate.admits(f"/{token}/", host, None, is_websocket=False)
    for path, name, origin, is_websocket in (
        ("/", host, None, False),
        (f"/{token}x/", host, None, False),
        (f"//{token}/", host, None, False),
        (f"/{token[:-1]}/", host, None, False),
        ("/é/", host, None, False),
        (f"/{token}/", "localhost:8000", None, False),
        (f"/{token}/", None, None, False),
        (f"/{token}/", host, "null", False),
        (f"/{token}/ws", host, None, True),
        (f"/{token}/ws", host, "http://localhost:8000", True),
        (f"/{token}/ws", host, own + "0", True),
    ):
        assert not gate.admits(path, name, origin, is_websocket), (path, name, origin)


def test_a_port_that_is_taken_is_said(program):
    import socket

    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UsageError, match=r"cannot be had: .*Name another with --port"),
    ):
        commands.main(
            ["serve", str(program), "--port", str(taken.getsockname()[1])], standalone_mode=False
        )


def test_a_program_that_is_not_there_is_said_before_anything_is_served():
    with pytest.raises(UsageError, match="no such program"):
        commands.main(["serve", "/no/such/program"], standalone_mode=False)
    assert os.environ.get("TEXTUAL_DRIVER") is None
