"""The server: textual-serve's page and protocol, with a guard before them and no shell behind.

Each browser tab has a screen of its own: a process that ends with the tab, or with the server.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from nndbg.errors import UsageError
from nndbg.serve.gate import HOST, Gate

# So many screens at once; each runs GDB and the program.
_MOST = 4
# How long a screen may take to end when it is told to, in seconds, before it is killed.
_PATIENCE = 8.0
_SHUTDOWN = 10.0
_PR_SET_PDEATHSIG = 1
_HERE = Path(__file__).parent


def serve(words: Sequence[str], title: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve the screen that the command `words` opens, until a signal ends it.

    `port` may be 0 for any that is free; `announce` is called with the address, once it answers.
    Raises UsageError where the port cannot be had.
    """
    try:
        listener = socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"port {port} cannot be had: {error}. Name another with --port."
        ) from error
    gate = Gate(listener.getsockname()[1])
    server = _Server(words, title, gate)

    async def app() -> web.Application:
        made = await server.guarded()
        made.on_startup.append(lambda _: _said(announce, gate.address))
        return made

    with listener:
        web.run_app(app(), sock=listener, shutdown_timeout=_SHUTDOWN, print=_silent)


class _Server(Server):
    """textual-serve's server, under the token and with processes that no shell starts."""

    def __init__(self, words: Sequence[str], title: str, gate: Gate) -> None:
        super().__init__(
            "", HOST, gate.port, title=title, public_url=gate.origin, templates_path=_HERE
        )
        self._words = tuple(words)
        self._gate = gate
        self._screens: set[web.WebSocketResponse] = set()

    async def guarded(self) -> web.Application:
        """Return the application: everything under the token, and a guard before it."""
        outer = web.Application(middlewares=[self._gate.guard()])
        outer.on_response_prepare.append(self._gate.sign)
        inner = await self._make_app()
        inner.router.add_get("/focus.js", _focus)
        outer.add_subapp(f"/{self._gate.token}", inner)
        return outer

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing: the command says what there is to be said."""

    async def on_shutdown(self, app: web.Application) -> None:
        """Close all screens."""
        for websocket in tuple(self._screens):
            await websocket.close()

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Run a screen for as long as the browser stays."""
        if len(self._screens) >= _MOST:
            raise web.HTTPServiceUnavailable(text=f"{_MOST} screens are open. Close one first.\n")
        websocket = web.WebSocketResponse(heartbeat=15)
        self._screens.add(websocket)
        screen = _Screen(self._words, websocket, self.download_manager)
        try:
            await websocket.prepare(request)
            width, height = (to_int(request.query.get(n, ""), 80) for n in ("width", "height"))
            await screen.start(min(max(width, 1), 1000), min(max(height, 1), 1000))
            # A browser that sends nonsense is let go.
            with suppress(ValueError, KeyError, IndexError, TypeError, AssertionError):
                await self._process_messages(websocket, screen)
        finally:
            self._screens.discard(websocket)
            await screen.stop()
            await websocket.close()
        return websocket


class _Screen(AppService):
    """One screen and its process."""

    def __init__(
        self, words: Sequence[str], websocket: web.WebSocketResponse, downloads: Any
    ) -> None:
        super().__init__(
            "",
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=self._close,
            download_manager=downloads,
        )
        self._words = tuple(words)
        self._websocket = websocket

    async def _close(self) -> None:
        await self._websocket.close()

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        environment: Mapping[str, str] = self._build_environment(width=width, height=height)
        self._process = process = await asyncio.create_subprocess_exec(
            *self._words,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
            preexec_fn=_end_with_parent,
        )
        self._stdin = process.stdin
        return process

    async def stop(self) -> None:
        """Tell the process to end, and see to it that it does."""
        process = self._process
        if process is None:
            return
        with suppress(TimeoutError, ConnectionError):
            await asyncio.wait_for(super().stop(), _PATIENCE)
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _PATIENCE)
            except TimeoutError:
                process.kill()
                await process.wait()


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM when the server is gone, however it went."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        os._exit(1)


async def _focus(request: web.Request) -> web.StreamResponse:
    del request
    return web.FileResponse(_HERE / "focus.js")


async def _said(announce: Callable[[str], None], address: str) -> None:
    announce(address)


def _silent(*_: object) -> None:
    """Say nothing."""
