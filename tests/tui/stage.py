"""An application that runs without a terminal: how to press its keys, wait for it and read it."""

from collections.abc import Callable
from time import monotonic

from textual.pilot import Pilot

from nndbg.tui import DebuggerApp

from .fake import DEADLINE

WIDE, NARROW = (120, 40), (80, 24)


class Stage:
    """An application that runs, and the keys to it."""

    def __init__(self, app: DebuggerApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition."""
        limit = monotonic() + DEADLINE
        while not condition():
            assert monotonic() < limit, f"{what} never came"
            await self.pilot.pause()

    async def settle(self) -> None:
        """Wait until the worker has answered and the answer is on the screen."""
        await self.until(lambda: not self.app.is_busy, "an answer of the worker")
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        """Press keys, each after the answer to the one before."""
        for key in keys:
            await self.pilot.press(key)
            await self.settle()

    @property
    def text(self) -> str:
        """What is on the screen, in lines."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)
