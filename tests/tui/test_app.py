"""The screen as a whole: every command, over a fake program."""

from textual.widgets import Input

from nndbg.compare import Status
from nndbg.culprit.model import Site, Write
from nndbg.errors import UsageError
from nndbg.last_write import LastWrite
from nndbg.tui.dialogs import HelpDialog, StepDialog
from nndbg.tui.keys import KEYS
from nndbg.tui.matrix import Matrix
from nndbg.tui.op_list import OpList
from nndbg.tui.snapshot import Condition
from nndbg.tui.summary import BufferLine

from .fake import FakeSource
from .stage import NARROW, WIDE


def chosen(stage) -> str:
    row = stage.app.query_one(OpList).chosen
    assert row is not None
    return row.op


async def test_the_program_is_started_at_the_step_that_was_asked_for(stage):
    source = FakeSource()
    async with stage(source, step=1) as s:
        await s.settle()
        assert source.starts == [1]
        assert "where step 1 begins" in s.text
        assert "0 of 3 ops" in s.text
    assert source.closed.is_set()


async def test_next_op_shows_what_the_op_made(stage):
    async with stage() as s:
        await s.settle()
        await s.press("n")
        assert chosen(s) == "dense1"
        assert "stopped after dense1 of step 0" in s.text
        assert "z1 [4, 30] f32" in s.text
        assert "✓ dense1" in s.text
        assert "not yet" in s.text
        await s.press("n", "n", "n")
        assert "stopped after dense1 of step 1" in s.text
        assert "1 of 3 ops" in s.text


async def test_next_step_runs_all_ops_and_says_where_the_program_stands(stage):
    async with stage() as s:
        await s.settle()
        await s.press("n", "s")
        assert "step 0 · 3 of 3 ops" in s.text
        assert "where step 1 begins, step 0 is complete" in s.text
        await s.press("s")
        assert "step 1 · 3 of 3 ops" in s.text


async def test_next_step_goes_to_the_op_that_is_wrong(stage):
    async with stage(step=2) as s:
        await s.settle()
        await s.press("s")
        assert chosen(s) == "dense2"
        assert "✗ diverged" in s.text


async def test_the_run_to_the_divergence_lands_on_the_wrong_op_and_element(stage):
    async with stage() as s:
        await s.settle()
        await s.press("d")
        assert chosen(s) == "dense2"
        assert s.app.snapshot.step == 2
        assert "4 of 12 wrong   z2[:, 1]" in s.text
        assert "✗ wrong" in s.text
        assert s.app.query_one(Matrix).cursor[1] == 1


async def test_a_divergence_is_diagnosed_and_the_diagnosis_kept(stage):
    async with stage() as s:
        await s.settle()
        await s.press("d")
        line = s.app.query_one(BufferLine)
        await s.until(lambda: s.app.workbench.diagnoses, "the diagnosis")
        await s.pilot.pause()
        told = line.render().plain.splitlines()
        assert len(told) == 3
        assert told[2] != "looking for the mistake …"
        assert told[2] in s.text
        await s.press("up")
        assert len(line.render().plain.splitlines()) == 2
        await s.press("down")
        assert line.render().plain.splitlines() == told


async def test_a_run_without_a_divergence_ends_with_the_program(stage):
    async with stage(FakeSource(wrong=None)) as s:
        await s.settle()
        await s.press("d")
        assert s.app.snapshot.condition is Condition.ENDED
        assert "ended after step 3, its last words: made up" in s.text
        await s.press("n")
        assert s.app.snapshot.condition is Condition.ENDED
        await s.press("r")
        assert "where step 0 begins" in s.text


async def test_the_run_goes_on_behind_a_divergence(stage):
    async with stage() as s:
        await s.settle()
        await s.press("d", "d")
        assert s.app.snapshot.condition is Condition.ENDED


async def test_brackets_move_between_the_wrong_elements(stage):
    async with stage() as s:
        await s.settle()
        await s.press("d")
        matrix = s.app.query_one(Matrix)
        row = matrix.cursor[0]
        await s.press("right_square_bracket")
        assert matrix.cursor == ((row + 1) % 4, 1)
        await s.press("left_square_bracket", "left_square_bracket")
        assert matrix.cursor == ((row - 1) % 4, 1)


async def test_without_a_wrong_element_brackets_say_so(stage):
    async with stage() as s:
        await s.settle()
        await s.press("n", "right_square_bracket")
        assert "no wrong element here" in s.text
        await s.press("n")
        assert "no wrong element here" not in s.text


async def test_enter_on_an_op_goes_into_its_buffer_and_the_cursor_moves_there(stage):
    async with stage() as s:
        await s.settle()
        await s.press("n", "n", "up", "enter")
        matrix = s.app.query_one(Matrix)
        assert s.app.focused is matrix
        assert matrix.tensor.name == "z1"
        for keys, place in (
            (("down", "right"), (1, 1)),
            (("j", "l", "l"), (2, 3)),
            (("k", "h"), (1, 2)),
            (("end",), (1, 29)),
            (("home", "pagedown"), (3, 0)),
            (("pageup",), (0, 0)),
            (("up", "left"), (0, 0)),
            (("ctrl+end",), (3, 29)),
            (("right", "down"), (3, 29)),
            (("ctrl+home",), (0, 0)),
        ):
            await s.press(*keys)
            assert matrix.cursor == place, keys
        await s.press("l")
        assert "z1[0, 1]" in s.text


async def test_an_op_that_has_not_run_has_no_numbers(stage):
    async with stage() as s:
        await s.settle()
        await s.press("n", "end")
        assert chosen(s) == "dense2"
        assert "not yet in step 0" in s.text
        assert s.app.query_one(Matrix).tensor is None


async def test_the_mouse_chooses_an_op_and_an_element(stage):
    async with stage() as s:
        await s.settle()
        await s.press("s")
        await s.pilot.click(OpList, offset=(4, 2))
        assert chosen(s) == "relu1"
        matrix = s.app.query_one(Matrix)
        pane = matrix._layout.panes[1]
        await s.pilot.click(Matrix, offset=(pane.start + pane.cell + 1, 2 + 3))
        assert matrix.cursor == (3, 1)


async def test_go_to_a_step_asks_for_it_and_restarts(stage):
    source = FakeSource()
    async with stage(source) as s:
        await s.settle()
        await s.pilot.press("g")
        assert isinstance(s.app.screen, StepDialog)
        await s.pilot.press(*"3", "enter")
        await s.settle()
        assert source.starts == [0, 3]
        assert "where step 3 begins" in s.text
        await s.press("n", "r")
        assert source.starts == [0, 3, 3]


async def test_a_step_that_is_no_number_is_refused_and_escape_leaves(stage):
    source = FakeSource()
    async with stage(source) as s:
        await s.settle()
        await s.pilot.press("g")
        s.app.screen.query_one(Input).value = "-1"
        await s.pilot.press("enter")
        await s.until(lambda: "type a whole number" in s.text, "the word on what is wrong")
        await s.pilot.press("escape")
        await s.settle()
        assert source.starts == [0]


async def test_a_running_program_is_interrupted_and_goes_on(stage):
    source = FakeSource(blocks=(1, "relu1"))
    async with stage(source) as s:
        await s.settle()
        await s.pilot.press("d")
        await s.until(source.blocked.is_set, "the block")
        await s.until(lambda: "running to the first divergence" in s.text, "the word on it")
        await s.pilot.press("n", "s")
        assert s.app.is_busy
        await s.press("i")
        assert "interrupted in a loop" in s.text
        assert chosen(s) == "dense1"
        await s.press("d")
        assert s.app.snapshot.observations["dense2"].verdicts[0].status is Status.DIVERGED


async def test_an_interrupt_between_two_commands_stops_nothing(stage):
    source = FakeSource(blocks=(0, "relu1"))
    async with stage(source) as s:
        await s.settle()
        await s.press("i", "n")
        assert "stopped after dense1" in s.text
        await s.pilot.press("n")
        await s.until(source.blocked.is_set, "the block")
        # As a signal does that was meant for an earlier command.
        source.interrupt()
        await s.settle()
        assert "stopped after relu1" in s.text


async def test_a_restart_interrupts_what_runs_and_its_late_result_is_dropped(stage):
    source = FakeSource(blocks=(1, "relu1"))
    async with stage(source) as s:
        await s.settle()
        await s.pilot.press("d")
        await s.until(source.blocked.is_set, "the block")
        await s.press("r")
        assert source.starts == [0, 0]
        assert "where step 0 begins" in s.text
        assert s.app.snapshot.condition is Condition.STOPPED


async def test_quitting_interrupts_a_program_that_runs(stage):
    source = FakeSource(blocks=(0, "dense2"))
    async with stage(source) as s:
        await s.settle()
        await s.pilot.press("s")
        await s.until(source.blocked.is_set, "the block")
        await s.pilot.press("q")
    assert source.closed.is_set()


async def test_an_error_is_said_in_words_and_a_restart_goes_on(stage):
    source = FakeSource(fails=(1, "relu1"))
    async with stage(source) as s:
        await s.settle()
        await s.press("d")
        assert "the program got SIGSEGV in relu1 [red]at[/] 0x0." in s.text
        assert "r restarts" in s.text
        assert chosen(s) == "dense1"
        await s.press("n")
        assert s.app.snapshot.condition is Condition.FAILED
        source.fails = None
        await s.press("r")
        assert "SIGSEGV" not in s.text
        await s.press("d")
        assert chosen(s) == "dense2"


async def test_a_program_that_cannot_be_started_is_no_end(stage):
    source = FakeSource(steps=2, wrong=None)
    async with stage(source, step=9) as s:
        await s.settle()
        assert "it has no step 9" in s.text
        await s.pilot.press("g")
        await s.pilot.press(*"1", "enter")
        await s.settle()
        assert "where step 1 begins" in s.text


async def test_a_fault_of_nndbg_is_said_too(stage):
    source = FakeSource()
    async with stage(source) as s:
        await s.settle()
        source.next = lambda: 1 // 0
        await s.press("n")
        assert "nndbg itself failed, please report it: ZeroDivisionError" in s.text


async def test_help_explains_every_key(stage):
    async with stage() as s:
        await s.settle()
        await s.press("question_mark")
        assert isinstance(s.app.screen, HelpDialog)
        for key in KEYS:
            assert key.explained in s.app.screen.query_one("#help Static").content.plain
        await s.press("escape")
        assert not isinstance(s.app.screen, HelpDialog)


async def test_every_key_is_in_the_command_palette(stage):
    async with stage() as s:
        await s.settle()
        titles = [command.title for command in s.app.get_system_commands(s.app.screen)]
        assert {key.title for key in KEYS} <= set(titles)


async def test_a_command_of_the_palette_works(stage):
    async with stage() as s:
        await s.settle()
        commands = {c.title: c.callback for c in s.app.get_system_commands(s.app.screen)}
        await commands["Next op"]()
        await s.settle()
        assert "stopped after dense1 of step 0" in s.text


async def test_a_wide_screen_shows_all_three_sides_at_once(stage):
    async with stage(size=WIDE) as s:
        await s.settle()
        await s.press("d")
        line = next(line for line in s.text.splitlines() if "reference" in line)
        assert "actual" in line
        assert "difference" in line
        assert all(word in s.text for word in ("next op", "help", "quit", "bound ±"))


async def test_a_narrow_screen_shows_one_side_and_keys_the_others(stage):
    async with stage(size=NARROW) as s:
        await s.settle()
        await s.press("n")
        matrix = s.app.query_one(Matrix)
        assert [str(side) for side in matrix.sides] == ["actual"]
        await s.press("2")
        assert [str(side) for side in matrix.sides] == ["reference"]
        await s.press("3")
        assert [str(side) for side in matrix.sides] == ["difference"]
        await s.press("0")
        assert len(matrix.sides) == 3
        for word in ("✓ dense1", "agree", "not yet", "stopped after dense1", "quit", "bound ±"):
            assert word in s.text


async def test_the_screen_may_change_its_size_and_be_tiny(stage):
    async with stage() as s:
        await s.settle()
        await s.press("d")
        for width, height in ((200, 60), (40, 12), (20, 5), (80, 24)):
            await s.pilot.resize_terminal(width, height)
            await s.pilot.pause()
        assert "✗ diverged" in s.text


async def test_without_colour_the_signs_remain(stage, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage() as s:
        await s.settle()
        await s.press("d")
        assert s.app.no_color
        colours = {
            segment.style.color.triplet
            for strip in s.app.screen._compositor.render_strips()
            for segment in strip.apply_filter(s.app._filters[0], s.app.screen.styles.background)
            if segment.style and segment.style.color and segment.style.color.triplet
        }
        assert all(len(set(triplet)) == 1 for triplet in colours)
        assert "✗ dense2" in s.text


async def test_back_goes_from_op_to_op_and_into_the_step_before(stage):
    source = FakeSource()
    async with stage(source) as s:
        await s.settle()
        await s.press("s", "n", "n", "b")
        assert "stopped after dense1 of step 1" in s.text
        assert chosen(s) == "dense1"
        assert list(s.app.snapshot.observations) == ["dense1"]
        await s.press("b")
        assert "stopped where step 1 begins" in s.text
        await s.press("b")
        assert "stopped after dense2 of step 0" in s.text
        assert "step 0 · 3 of 3 ops" in s.text
        await s.press("n")
        assert "stopped after dense1 of step 1" in s.text


async def test_back_a_step_goes_to_where_it_begins_and_then_to_the_one_before(stage):
    async with stage() as s:
        await s.settle()
        await s.press("s", "n", "B")
        assert "where step 1 begins" in s.text
        await s.press("B")
        assert "where step 0 begins" in s.text
        assert "0 of 3 ops" in s.text


async def test_before_the_beginning_there_is_nothing_to_go_back_to(stage):
    source = FakeSource()
    async with stage(source) as s:
        await s.settle()
        await s.press("b")
        assert "step 0 begins here, and no stop comes before it." in s.text
        assert source.starts == [0]
        await s.press("n")
        assert "no stop comes before it" not in s.text
        assert "stopped after dense1 of step 0" in s.text


async def test_back_from_the_end_goes_to_the_last_op(stage):
    async with stage(FakeSource(wrong=None)) as s:
        await s.settle()
        await s.press("d", "b")
        assert s.app.snapshot.condition is Condition.STOPPED
        assert "stopped after dense2 of step 3" in s.text
        await s.press("n")
        assert s.app.snapshot.condition is Condition.ENDED


async def test_back_from_a_crash_goes_to_the_last_op_that_was_complete(stage):
    async with stage(FakeSource(fails=(1, "relu1"))) as s:
        await s.settle()
        await s.press("d", "b")
        assert "stopped after dense1 of step 1" in s.text
        assert "SIGSEGV" not in s.text
        await s.press("n")
        assert s.app.snapshot.condition is Condition.FAILED


async def test_a_program_that_is_another_when_run_again_is_told(stage):
    async with stage(FakeSource(drift=0.1)) as s:
        await s.settle()
        await s.press("n", "n", "b")
        assert s.app.snapshot.condition is Condition.FAILED
        assert "this program is not deterministic: x where step 0 begins" in s.text
        await s.press("b")
        assert s.app.snapshot.condition is Condition.FAILED
        await s.press("r", "n")
        assert "stopped after dense1 of step 0" in s.text


WRITTEN = Write(
    site=Site(0x401234, "gemm", "gemm.asm", 42, "vmovups [rbp], zmm1"),
    op="relu1",
    before=0.25,
    after=0.5,
    register="zmm1",
    lane=1,
    chain=(),
)


async def test_back_to_the_write_says_who_wrote_the_element_under_the_cursor(stage):
    asked = []

    def to_write(session, element):
        asked.append(element)
        return LastWrite(element, 0, WRITTEN, session.back())

    async with stage(to_write=to_write) as s:
        await s.settle()
        await s.press("n", "n", "enter", "down", "right", "w")
        assert asked == ["h1[1,1]"]
        assert "h1[1,1]: 0.25 -> 0.5 by vmovups [rbp], zmm1, gemm.asm:42 in gemm" in s.text
        assert "stopped after dense1 of step 0" in s.text
        assert chosen(s) == "relu1"
        await s.press("w")
        assert asked == ["h1[1,1]"] * 2
        await s.press("n")
        assert "gemm.asm" not in s.text


async def test_where_no_write_can_be_found_the_screen_stays_and_says_so(stage):
    def to_write(session, element):
        raise UsageError(f"no instruction wrote {element} in step 0.")

    async with stage(to_write=to_write) as s:
        await s.settle()
        await s.press("n", "n", "w")
        assert "no instruction wrote h1[0,0] in step 0." in s.text
        assert s.app.snapshot.condition is Condition.STOPPED
        assert chosen(s) == "relu1"
        await s.press("n")
        assert "stopped after dense2 of step 0" in s.text


async def test_without_an_element_there_is_no_write_to_go_back_to(stage):
    async with stage() as s:
        await s.settle()
        await s.press("w")
        assert "no element here" in s.text


async def test_a_program_that_hangs_when_run_again_is_interrupted(stage):
    source = FakeSource()
    async with stage(source) as s:
        await s.settle()
        await s.press("n", "n")
        source.blocks = (0, "dense1")
        await s.pilot.press("b")
        await s.until(source.blocked.is_set, "the block")
        await s.press("i")
        assert s.app.snapshot.condition is Condition.INTERRUPTED
        await s.press("r", "n")
        assert "stopped after dense1 of step 0" in s.text
