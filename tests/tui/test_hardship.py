"""What may happen while the program runs: the screen stays there, and can be left."""

from time import monotonic

import pytest

from nndbg.errors import GdbError
from nndbg.tui.snapshot import Condition

from .fake import FakeSource


class WithoutGdb(FakeSource):
    """A program whose GDB dies in the second op, once."""

    def next(self):
        if self._next == 1 and not self.closed.is_set() and len(self.starts) == 1:
            raise GdbError("GDB has died (killed by SIGKILL). Start the program again.")
        return super().next()


async def test_the_screen_may_change_its_size_while_the_program_runs(stage):
    source = FakeSource(blocks=(0, "relu1"))
    async with stage(source) as s:
        await s.settle()
        await s.press("n")
        await s.pilot.press("n")
        await s.until(source.blocked.is_set, "the block")
        for size in ((80, 24), (200, 60), (20, 5), (120, 40)):
            await s.pilot.resize_terminal(*size)
            assert s.app.is_busy
            assert len(s.text.splitlines()) == size[1]
        await s.press("i")
        assert s.app.snapshot.condition is Condition.INTERRUPTED
        await s.press("n")
        assert "after relu1 of step 0" in s.text


async def test_a_crash_of_the_program_is_said_and_a_restart_goes_on(stage):
    source = FakeSource(fails=(0, "relu1"))
    async with stage(source) as s:
        await s.settle()
        await s.press("s")
        assert "the program got SIGSEGV in relu1" in s.text
        assert "✓ dense1" in s.text
        source.fails = None
        await s.press("r", "s")
        assert "step 0 is complete" in s.text


async def test_the_death_of_gdb_is_said_and_a_restart_goes_on(stage):
    async with stage(WithoutGdb()) as s:
        await s.settle()
        await s.press("n", "n")
        assert "GDB has died" in s.text
        assert s.app.snapshot.condition is Condition.FAILED
        await s.press("r", "n", "n")
        assert "after relu1 of step 0" in s.text


@pytest.mark.parametrize("key", ["q", "question_mark"])
async def test_quit_and_help_answer_at_once_while_the_program_is_blocked(stage, key):
    source = FakeSource(blocks=(0, "dense1"))
    async with stage(source) as s:
        await s.settle()
        await s.pilot.press("n")
        await s.until(source.blocked.is_set, "the block")
        began = monotonic()
        await s.pilot.press(key)
        if key == "q":
            await s.until(lambda: not s.app.is_running, "the end")
        else:
            await s.until(lambda: "Run until the next op" in s.text, "the help")
            assert s.app.is_busy
        # A generous limit: the machine may be busy; the program would block for ever.
        assert monotonic() - began < 5
    assert source.closed.is_set()
