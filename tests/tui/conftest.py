"""What the tests of the screen share: an application over a fake program."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from nndbg.last_write import back_to_write
from nndbg.session import Session
from nndbg.tui import DebuggerApp
from nndbg.tui.driver import GoBack

from .fake import FakeSource
from .stage import WIDE, Stage


@pytest.fixture
def stage():
    """Open an application over a source."""

    @asynccontextmanager
    async def open_stage(
        source: FakeSource | None = None,
        size: tuple[int, int] = WIDE,
        step: int = 0,
        to_write: GoBack = back_to_write,
    ) -> AsyncIterator[Stage]:
        app = DebuggerApp(Session(source or FakeSource()), step, to_write)
        async with app.run_test(size=size) as pilot:
            yield Stage(app, pilot)
        assert not app.worker.is_alive

    return open_stage
