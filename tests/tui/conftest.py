"""What the tests of the screen share: an application over a fake program."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from nndbg.last_write import back_to_write
from nndbg.session import Session
from nndbg.source import Source
from nndbg.tui import DebuggerApp
from nndbg.tui.driver import GoBack

from .fake import FakeSource
from .stage import WIDE, Stage


@pytest.fixture(autouse=True)
def _no_settings(tmp_path_factory, monkeypatch):
    """Whoever runs the tests may have settings of their own."""
    monkeypatch.setenv("NNDBG_CONFIG", str(tmp_path_factory.getbasetemp() / "no_config.toml"))
    for name in ("NNDBG_THEME", "NNDBG_MOUSE", "NNDBG_ANIMATION", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    # The same colours on every machine.
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "truecolor")


@pytest.fixture
def stage():
    """Open an application over a source."""

    @asynccontextmanager
    async def open_stage(
        source: Source | None = None,
        size: tuple[int, int] = WIDE,
        step: int = 0,
        to_write: GoBack = back_to_write,
    ) -> AsyncIterator[Stage]:
        app = DebuggerApp(Session(source or FakeSource()), step, to_write)
        async with app.run_test(size=size) as pilot:
            yield Stage(app, pilot)
        assert not app.worker.is_alive

    return open_stage
