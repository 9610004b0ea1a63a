"""What is taken out of the screen: on the clipboard, in files, in a recording."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from textual.widgets import Input

from nndbg.recording import RecordedSource
from nndbg.session import Session
from nndbg.tui.field_dialog import FieldDialog
from nndbg.tui.matrix import Matrix

from .fake import FakeSource


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def ask(s, key: str, answer: str | None = None) -> None:
    """Press a key that asks, and answer; with what is there unless said."""
    await s.pilot.press(key)
    await s.until(lambda: isinstance(s.app.screen, FieldDialog), "the question")
    if answer is not None:
        s.app.screen.query_one(Input).value = answer
    await s.press("enter")


async def closed(s) -> None:
    await s.until(lambda: not isinstance(s.app.screen, FieldDialog), "the end of the question")
    await s.app.workers.wait_for_complete()
    await s.settle()


async def test_numbers_are_copied_as_numpy_text(stage):
    async with stage() as s:
        await s.settle()
        await s.press("y")
        assert "nothing here to copy" in s.text
        await s.press("d")
        tensor = s.app.query_one(Matrix).tensor
        await s.press("y")
        row, column = s.app.query_one(Matrix).cursor
        assert eval(s.app.clipboard, {"np": np}) == tensor.actual[row, column]
        await s.press("Y")
        assert np.array_equal(eval(s.app.clipboard, {"np": np}), tensor.actual[row])
        assert f"copied row {row}, 3 elements" in s.text
        await ask(s, "v", "0:2, ::-1")
        await closed(s)
        assert np.array_equal(eval(s.app.clipboard, {"np": np}), tensor.actual[0:2, ::-1])
        await ask(s, "v", "99")
        assert "out of bounds" in s.text
        await s.press("escape")


async def test_a_buffer_is_saved_for_numpy(stage, directory):
    async with stage() as s:
        await s.settle()
        await s.press("n")
        await ask(s, "a")
        await closed(s)
        assert "wrote z1-step0.npy" in s.text
        saved = np.load(directory / "z1-step0.npy")
        assert np.array_equal(saved, s.app.query_one(Matrix).tensor.actual.reshape(4, 30))


@pytest.mark.parametrize("name", ["r.html", "r.json", "r.md", "r.txt", "r.sarif", "r.xml"])
async def test_the_report_of_the_step_is_written_in_every_format(stage, directory, name):
    async with stage(step=2) as s:
        await s.settle()
        await s.press("s")
        await ask(s, "e", name)
        await closed(s)
        text = (directory / name).read_text()
        assert "dense2" in text
        if name == "r.json":
            report = json.loads(text)
            assert report["first"]["buffer"] == "z2"
            assert len(report["verdicts"]) == 3
        if name == "r.xml":
            assert ElementTree.fromstring(text).get("failures") == "1"


async def test_a_report_of_a_part_of_a_step_says_so(stage, directory):
    async with stage() as s:
        await s.settle()
        await s.press("e")
        assert "nothing has been judged" in s.text
        await s.press("n")
        await ask(s, "e", "part.json")
        await closed(s)
        report = json.loads((directory / "part.json").read_text())
        assert report["says"] == "The rest of step 0 was not checked."


async def test_a_file_that_is_there_is_replaced_only_when_asked_twice(stage, directory):
    (directory / "r.json").write_text("mine")
    async with stage() as s:
        await s.settle()
        await s.press("n")
        await ask(s, "e", "r.json")
        assert "r.json is there already; enter again" in s.text
        assert (directory / "r.json").read_text() == "mine"
        await s.press("enter")
        await closed(s)
        assert "nndbg-report/1" in (directory / "r.json").read_text()
        await ask(s, "e", "r.pdf")
        assert "end it in one of .txt .json" in s.text
        await s.press("escape")
        await ask(s, "e", "none/r.json")
        assert "there is no directory none" in s.text


async def test_a_picture_shows_the_screen_without_the_question(stage, directory):
    async with stage() as s:
        await s.settle()
        await s.press("n")
        await ask(s, "p")
        await closed(s)
        picture = (directory / "nndbg-step0.svg").read_text()
        ElementTree.fromstring(picture)
        assert "dense1" in picture
        assert "Save&#160;a&#160;picture" not in picture


async def test_a_step_is_recorded_and_the_screen_stays_where_it_was(stage, directory):
    async with stage(step=2) as s:
        await s.settle()
        await s.press("n", "n")
        await ask(s, "x", "step.nndbg")
        await closed(s)
        assert "recorded step 2 in step.nndbg" in s.text
        assert s.app.snapshot.capture.op == "relu1"
        await s.press("n")
        assert "✗ diverged" in s.text
    with Session(RecordedSource(directory / "step.nndbg")) as session:
        assert session.source.recording.steps == (2,)
        session.start(2)
        found = {o.op.name: o.verdicts[0].status.is_wrong for o in session.finish_step()}
        assert found == {"dense1": False, "relu1": False, "dense2": True}


async def test_a_step_in_which_the_program_fails_is_recorded_with_the_failure(stage, directory):
    async with stage(FakeSource(fails=(0, "dense2"))) as s:
        await s.settle()
        await s.press("s")
        assert "SIGSEGV" in s.text
        await ask(s, "x", "crash.nndbg")
        await closed(s)
        assert "recorded step 0" in s.text
    async with stage(RecordedSource(directory / "crash.nndbg")) as s:
        await s.settle()
        await s.press("s")
        assert "the program got SIGSEGV in dense2" in s.text


async def test_a_recording_is_shown_as_the_program_was(stage, directory):
    async with stage(step=2) as s:
        await s.settle()
        await s.press("s")
        live = s.text
        await ask(s, "x", "step.nndbg")
        await closed(s)
        assert "recorded step 2" in s.text
    async with stage(RecordedSource(directory / "step.nndbg"), step=2) as s:
        await s.settle()
        await s.press("s")
        assert s.text == live
        await s.press("s")
        assert "the recording ends here, in step 3" in s.text
        await s.press("g", "7", "enter")
        assert "the recording has no step 7. It holds step 2." in s.text
