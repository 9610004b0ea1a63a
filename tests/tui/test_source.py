"""The source at the stop: where it is looked for, and what is said where it is not."""

import os

import pytest

from nndbg.elf import read_executable
from nndbg.tui.listing import read_listing
from nndbg.tui.source_view import SourceView

from .fake import FakeSource

TEXT = "main:\n\tmov eax, 1 ; one [bold]\x1b[31m\n\tret\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory, and a program in another one."""
    (tmp_path / "here").mkdir()
    (tmp_path / "built" / "asm").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "built" / "program").write_text("")
    return tmp_path


def test_a_source_is_found_beside_the_program(place):
    (place / "built/asm/main.asm").write_text(TEXT)
    listing = read_listing("asm/main.asm", place / "built/program")
    assert listing.lines[0].plain == "main:"
    assert not listing.missing


def test_the_working_directory_comes_first(place):
    (place / "here/asm").mkdir()
    (place / "here/asm/main.asm").write_text("here:\n")
    (place / "built/asm/main.asm").write_text(TEXT)
    assert read_listing("asm/main.asm", place / "built/program").lines[0].plain == "here:"


def test_a_path_from_the_root_is_taken_as_it_is(place):
    (place / "main.asm").write_text(TEXT)
    assert read_listing(str(place / "main.asm"), place / "built/program").lines


def test_what_steers_a_terminal_is_shown_as_an_escape(place):
    (place / "here/main.asm").write_text(TEXT)
    line = read_listing("main.asm", place / "built/program").lines[1]
    assert line.plain == r"        mov eax, 1 ; one [bold]\x1b[31m"
    assert len(line.spans) == 3


def test_a_source_that_is_newer_than_the_program_is_told(place):
    (place / "here/main.asm").write_text(TEXT)
    os.utime(place / "built/program", (1, 1))
    assert read_listing("main.asm", place / "built/program").is_newer


def test_a_missing_source_is_said_with_the_places(place):
    missing = read_listing("asm/gone.asm", place / "built/program").missing
    assert "gone.asm" in missing
    assert str(place / "here/asm") in missing
    assert str(place / "built/asm") in missing


def test_neither_directories_nor_devices_nor_huge_files_are_read(place):
    (place / "here/main.asm").mkdir()
    assert "not found" in read_listing("main.asm", place / "built/program").missing
    os.mkfifo(place / "here/pipe.asm")
    assert "not found" in read_listing("pipe.asm", place / "built/program").missing
    with (place / "here/huge.asm").open("wb") as stream:
        stream.truncate(1 << 23)
    assert "too large" in read_listing("huge.asm", place / "built/program").missing


@pytest.mark.parametrize("name", ["main.s", "main.c", "main.unheard", "Makefile"])
def test_any_language_is_shown(place, name):
    (place / "here" / name).write_text("int x;\n\nint y;\n")
    lines = read_listing(name, place / "built/program").lines
    assert [line.plain for line in lines][:3] == ["int x;", "", "int y;"]


async def test_the_line_of_the_stop_is_marked(stage, program):
    source = FakeSource()
    source.executable = read_executable(program)
    address = source.executable.probe_addresses("nn", "dense1")[0]
    line = source.executable.line_at(address)
    async with stage(source) as s:
        await s.settle()
        s.app.query_one(SourceView).show(address)
        await s.pilot.pause()
        assert f"{line.file}:{line.line}" in s.text
        marked = next(row for row in s.text.splitlines() if "▶" in row)
        assert f"{line.line}" in marked
        assert "dense1" in marked


async def test_without_an_executable_it_is_said(stage):
    async with stage() as s:
        await s.settle()
        assert "no executable, so no source" in s.text
