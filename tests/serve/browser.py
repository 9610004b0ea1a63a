"""A real browser without a window, spoken to by its own debugging protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

DEADLINE = 30.0
PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


class Page:
    """A page; `received` is what its websockets have heard from the server."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._heard = asyncio.Event()
        self.received = ""
        self.requested: list[str] = []

    async def listen(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            data = json.loads(message.data)
            if "id" in data:
                self._answers.pop(data["id"]).set_result(data)
            elif data["method"] == "Network.webSocketFrameReceived":
                frame = data["params"]["response"]
                payload = frame["payloadData"]
                if frame["opcode"] == 2:
                    payload = base64.b64decode(payload).decode(errors="replace")
                self.received += payload
                self._heard.set()
            elif data["method"] == "Network.requestWillBeSent":
                self.requested.append(data["params"]["request"]["url"])

    async def do(self, method: str, **parameters: object) -> Any:
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        return (await asyncio.wait_for(answer, DEADLINE))["result"]

    async def evaluate(self, script: str) -> Any:
        found = await self.do(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def press(self, key: str) -> None:
        await self.do("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        await self.do("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def until(self, text: str) -> None:
        """Wait until a text has come from the server."""
        async with asyncio.timeout(DEADLINE):
            while text not in self.received:
                self._heard.clear()
                await self._heard.wait()

    async def open(self, address: str) -> None:
        """Go to an address, and wait for the page."""
        await self.do("Page.navigate", url=address)
        ready = "document.readyState === 'complete' && location.href"
        async with asyncio.timeout(DEADLINE):
            while await self.evaluate(ready) != address:
                await asyncio.sleep(0)


@asynccontextmanager
async def open_page(directory: Path) -> AsyncIterator[Page]:
    assert PROGRAM is not None
    browser = await asyncio.create_subprocess_exec(
        PROGRAM,
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--remote-debugging-port=0", f"--user-data-dir={directory}", "--no-first-run"),
        *("--disable-extensions", "--disable-background-networking", "about:blank"),
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert browser.stderr is not None
    try:
        async with asyncio.timeout(DEADLINE):
            line = b""
            while not line.startswith(b"DevTools listening on "):
                line = await browser.stderr.readline()
                assert line, "the browser ended"
        drain = asyncio.create_task(browser.stderr.read())
        port = line.split(b"/")[2].decode().rpartition(":")[2]
        async with ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                targets = await answer.json()
            address = next(t for t in targets if t["type"] == "page")["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=0) as socket:
                page = Page(socket)
                listening = asyncio.create_task(page.listen())
                for domain in ("Page", "Network", "Runtime"):
                    await page.do(f"{domain}.enable")
                yield page
                listening.cancel()
        drain.cancel()
    finally:
        browser.kill()
        await browser.wait()
