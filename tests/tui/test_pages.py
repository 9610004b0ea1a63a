"""The pages of the screen, by key, mouse and palette; over a fake program under a fake debugger."""

import numpy as np
import pytest
from textual.widgets import Input, Log

from nndbg.compare import Mode, Subject, Verdict
from nndbg.culprit import Blame, Write
from nndbg.culprit.model import Site
from nndbg.elf import read_executable
from nndbg.errors import UsageError
from nndbg.ledger import Observation
from nndbg.report import Culprit
from nndbg.report.model import Computed, Suspect, Turn
from nndbg.session import Session
from nndbg.tui import DebuggerApp
from nndbg.tui.breakpoint_list import BreakpointList
from nndbg.tui.console_pane import ConsoleInput
from nndbg.tui.dialogs import BreakpointDialog
from nndbg.tui.disassembly_view import DisassemblyView
from nndbg.tui.heatmap import Heatmap
from nndbg.tui.keys import KEYS
from nndbg.tui.matrix import Matrix
from nndbg.tui.op_list import OpList
from nndbg.tui.source_view import SourceView
from nndbg.tui.tabs import TabLine

from .fake import WRONG, FakeMachine, FakeSource
from .stage import NARROW, WIDE, Stage

VAST = (200, 60)


async def turn(s: Stage, page: str) -> None:
    """Turn to a page by its name, as the palette does."""
    titles = {c.title: c.callback for c in s.app.get_system_commands(s.app.screen)}
    titles[f"Show {page}"]()
    await s.pilot.pause()


@pytest.mark.parametrize("size", [NARROW, WIDE, VAST])
async def test_every_page_shows_something_at_every_size(stage, size):
    async with stage(FakeMachine(wrong=(0, "dense2")), size=size) as s:
        await s.settle()
        await s.press("s")
        told = {
            "numbers": "actual",
            "heatmap": "◆",
            "histogram": "median",
            "source": "no executable",
            "disassembly": "no executable, so no code",
            "registers": "rax",
            "why": "✗ diverged",
            "samples": "no pictures here",
            "training": "nothing yet",
            "breakpoints": "no breakpoints",
            "output": "made up",
            "console": "a command of GDB",
        }
        assert list(told) == [*s.app.workbench.views.names, *s.app.workbench.pages.names]
        seen = told if size == WIDE else ("heatmap", "console")
        for page, word in ((page, told[page]) for page in seen):
            await turn(s, page)
            assert word in s.text, page
            assert page in s.text


async def test_keys_turn_the_pages_the_mouse_picks_one_and_a_part_is_enlarged(stage):
    async with stage() as s:
        await s.settle()
        await s.press("n")
        assert s.app.focused is s.app.query_one(OpList)
        await s.press("V")
        assert s.app.workbench.views.page == "heatmap"
        await s.press("o", "o")
        assert s.app.workbench.pages.page == "registers"
        await s.press("O", "O", "O")
        assert s.app.workbench.pages.page == "console"
        line = s.app.workbench.views.query_one(TabLine)
        await s.pilot.click(line, offset=(2, 0))
        assert s.app.workbench.views.page == "numbers"
        assert s.app.focused is s.app.query_one(Matrix)
        await s.press("m")
        assert "✓ dense1" not in s.text
        await s.press("m")
        assert "✓ dense1" in s.text


async def test_heatmap_and_numbers_share_the_cursor(stage):
    async with stage() as s:
        await s.settle()
        await s.press("d", "V")
        matrix, heatmap = s.app.query_one(Matrix), s.app.query_one(Heatmap)
        assert "bright: wrong" in s.text
        heatmap.focus()
        await s.press("home", "right", "down")
        assert matrix.cursor == (1, 1)
        assert "z2[1, 1]" in s.text
        await s.press("end")
        assert matrix.cursor == (3, 2)
        await s.press("right_square_bracket")
        assert matrix.cursor == (0, 1)
        picture = heatmap._drawn()
        await s.pilot.click(Heatmap, offset=(1 + 2 * picture.columns.each, 1))
        assert matrix.cursor == (0, 2)
        await s.press("3")
        assert "difference" in s.text and "reference  ±" not in s.text
        await s.press("0", "z")
        assert heatmap.is_zoomed
        assert "◆" in s.text


async def test_without_colours_the_heatmap_has_signs(stage, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage() as s:
        await s.settle()
        await s.press("d", "V")
        rows = [line for line in s.text.splitlines() if "#" in line and "◆" not in line]
        assert rows
        assert "▀" not in s.text


async def test_registers_show_lanes_and_what_changed(stage):
    async with stage(FakeMachine(wrong=None), size=VAST) as s:
        await s.settle()
        await turn(s, "registers")
        assert "rax     0x0" in s.text
        await s.press("full_stop")
        assert "rax    *0x1" in s.text
        assert "*        1       1.5" in s.text
        assert "eflags  0x246  PF ZF" in s.text
        assert "k0 are 0" in s.text
        assert "xmm1 are 0" in s.text
        await s.press("f", "f")
        assert "vectors as int32" in s.text
        assert "1065353216" in s.text


async def test_the_console_has_a_history_and_waits_for_the_program(stage):
    source = FakeMachine(wrong=None, blocks=(0, "relu1"))
    async with stage(source) as s:
        await s.settle()
        await s.press("n", "colon")
        assert isinstance(s.app.focused, ConsoleInput)
        await s.press(*"info", "space", *"frame", "enter")
        assert "the answer to info frame" in s.text
        await s.press(*"bt", "enter", "up", "up")
        assert s.app.focused.value == "info frame"
        await s.press("down", "down")
        assert s.app.focused.value == ""
        await s.press("escape")
        assert s.app.focused is s.app.query_one(OpList)
        await s.pilot.press("n")
        await s.until(source.blocked.is_set, "the block")
        await s.pilot.press("colon", *"bt", "enter")
        await s.pilot.pause()
        assert "the program runs" in "\n".join(s.app.workbench.console.query_one(Log).lines)
        await s.pilot.press("escape", "i")
        await s.settle()
        assert source.asked == ["info frame", "bt"]


async def test_breakpoints_are_set_listed_met_and_taken_away(stage):
    async with stage(FakeSource(wrong=None)) as s:
        await s.settle()
        assert "continue" not in s.text
        await s.press("down", "t")
        assert "c runs to relu1" in s.text
        assert "continue" in s.text
        await s.press("S")
        assert isinstance(s.app.screen, BreakpointDialog)
        s.app.screen.query_one(Input).value = "isnan(z9).any()"
        await s.press("enter")
        assert "column 7: there is no buffer z9" in s.text
        s.app.screen.query_one(Input).value = "x.max() < 0.9"
        await s.press("enter")
        await turn(s, "breakpoints")
        assert "after the op    relu1" in s.text
        assert "when it holds   x.max() < 0.9" in s.text
        await s.press("c")
        assert "after relu1 of step 0: relu1" in s.text
        s.app.query_one(BreakpointList).focus()
        await s.press("delete", "c")
        assert "after dense1 of step 1: x.max() < 0.9 holds" in s.text
        await s.press("t")
        assert s.app.breakpoints == ()


async def test_an_element_is_watched_and_no_longer(stage):
    source = FakeMachine(wrong=None)
    async with stage(source) as s:
        await s.settle()
        await s.press("W")
        assert "no element here" in s.text
        await s.press("n", "enter", "right", "W", "n")
        assert [str(place) for place in source.halts[1]] == ["z1[0,1]"]
        assert [one.text for one in s.app.breakpoints] == ["z1[0,1]"]
        s.app.query_one(OpList).focus()
        await s.press("home", "W")
        assert s.app.breakpoints == ()


async def test_the_list_runs_to_an_op_and_the_dialog_goes_to_one(stage):
    source = FakeSource(wrong=None)
    async with stage(source) as s:
        await s.settle()
        await s.press("end", "u")
        assert "after dense2 of step 0" in s.text
        await s.press("g")
        s.app.screen.query_one(Input).value = "1 nothing"
        await s.press("enter")
        assert "there is no op nothing" in s.text
        s.app.screen.query_one(Input).value = "1 relu1"
        await s.press("enter")
        assert "after relu1 of step 1" in s.text
        assert source.starts == [0, 1]


async def test_heal_poison_and_kill_say_what_they_did(stage):
    source = FakeSource(wrong=(0, "dense1"))
    async with stage(source) as s:
        await s.settle()
        await s.press("n", "H")
        assert s.app.snapshot.healed == {"dense1"}
        assert "healed: dense1" in s.text
        await s.press("P")
        assert "with poison" in s.text
        await s.press("K")
        assert "killed in step 0" in s.text
        await s.press("r")
        assert "where step 0 begins" in s.text


SITE = Site(0x401234, "dense", "dense.asm", 42, "vmovups [rdi], ymm0")


def told(element: str, step: int, op: str) -> Blame:
    if element == "z2[0,0]":
        raise UsageError("no debug registers here")
    write = Write(SITE, op, 0.25, 0.5 + WRONG, "ymm0", 3, ())
    return Blame(element, step, op, (write,), 7, "hardware watchpoint", 1.0)


def accused(verdict: Verdict, observation: Observation) -> Culprit:
    assert observation.op.name == "dense2"
    assert verdict.subject == Subject(2, "dense2", "dense", "z2", Mode.LOCAL)
    says = "the lane is never written"
    suspect = Suspect(0x401234, "dense", "dense.asm", 42, "vmovups [rdi], ymm0", says)
    turns = (Turn("k = 0", "x[0,0], W[0,1]", 0.5, 0.5, 1e-7), Turn("k = 1", "", 2.0, 1.0, 1e-7))
    how = Computed("z2[0,1]", "the sum was right until k = 1", turns, "lane 1 of ymm0")
    return Culprit("z2[0,1]", (suspect,), computed=how)


async def test_who_made_an_element_is_asked_in_another_run_and_told():
    app = DebuggerApp(Session(FakeSource()), writes=told, accuse=accused)
    async with app.run_test(size=WIDE) as pilot:
        s = Stage(app, pilot)
        await s.settle()
        await s.press("d", "X")
        await s.until(lambda: "who wrote" in s.text, "the answer")
        for words in (
            "who is to blame for z2[0,1]",
            "✗ vmovups [rdi], ymm0   dense.asm:42 in dense",
            "the lane is never written",
            "how z2[0,1] was computed: the sum was right until k = 1",
            "in lane 1 of ymm0",
            "✗ behind k = 1: the lane held 2, expected 1 ±1e-07",
            "in step 2 until dense2   hardware watchpoint, read 7 times",
            "0.25 → 1",
        ):
            assert words in s.text
        await s.press("enter", "ctrl+home", "X")
        await s.until(lambda: "no debug registers here" in s.text, "the refusal")


async def test_what_needs_a_program_under_a_debugger_is_refused_without(stage):
    async with stage(FakeSource(wrong=None)) as s:
        await s.settle()
        await s.press("n", "X")
        assert "no program here that could be run again" in s.text
        await s.press("W")
        assert "stops at ops and conditions only" in s.text
        assert s.app.breakpoints == ()


async def test_source_and_disassembly_take_breakpoints_and_mark_them(stage, program):
    source = FakeMachine(wrong=None)
    source.executable = read_executable(program)
    probe = source.executable.probe_addresses("nn", "dense1")[0]
    async with stage(source) as s:
        await s.settle()
        view = s.app.query_one(SourceView)
        view.show(probe)
        view.focus()
        await s.press("t")
        (first,) = s.app.breakpoints
        assert probe in first.addresses
        assert first.text == view.place
        await s.pilot.pause()
        assert any("●" in line and "dense1" in line for line in s.text.splitlines())
        await s.press("t")
        assert s.app.breakpoints == ()
        await turn(s, "disassembly")
        code = s.app.query_one(DisassemblyView)
        code.show(probe)
        await s.pilot.pause()
        assert "nop" in s.text
        code.focus()
        await s.press("down", "t")
        (second,) = s.app.breakpoints
        assert second.addresses[0] > probe
        await s.press("u")
        assert source.halts[0] >= {second.addresses[0]}


def test_every_key_is_given_once():
    keys = [key.keys for key in KEYS]
    assert len(keys) == len(set(keys))


def test_the_numbers_of_the_fake_are_what_the_tests_take_them_for():
    assert np.float32(0.5 + WRONG) == 1
