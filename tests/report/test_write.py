"""Where a report goes: stdout, or a file that is whole or untouched."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nndbg.compare import Status
from nndbg.errors import UsageError
from nndbg.report import Report
from nndbg.report.write import RENDERERS, write_report

from .conftest import Once


@pytest.fixture
def report(verdict) -> Report:
    return Report("p", (0,), (verdict(0),))


@pytest.mark.parametrize("form", RENDERERS)
def test_without_a_path_it_goes_to_stdout(report, capsys, form: str):
    write_report(report, form, None)
    assert capsys.readouterr().out == RENDERERS[form](report)


@pytest.mark.parametrize("form", RENDERERS)
def test_with_a_path_it_goes_there_alone(report, capsys, tmp_path: Path, form: str):
    path = tmp_path / "report"
    write_report(report, form, path)
    assert path.read_text() == RENDERERS[form](report)
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("form", RENDERERS)
def test_no_output_costs_another_pass_through_the_verdicts(verdict, form: str):
    passes = []
    for count in (1, 30):
        verdicts = Once(
            tuple(
                verdict(step, f"op{n}", status)
                for step, status in enumerate((Status.DIVERGED, Status.UNCHECKED))
                for n in range(count)
            )
        )
        RENDERERS[form](Report("p", (0, 1), verdicts, "it crashed"))
        passes.append(verdicts.passes)
    assert passes[0] == passes[1] < 10


def test_a_file_that_is_there_is_replaced(report, tmp_path: Path):
    path = tmp_path / "report"
    path.write_text("old" * 10_000)
    write_report(report, "json", path)
    assert json.loads(path.read_text())["agrees"] is True


def test_a_file_has_the_rights_that_the_user_s_mask_leaves(report, tmp_path: Path):
    mask = os.umask(0o077)
    try:
        write_report(report, "json", tmp_path / "report")
    finally:
        os.umask(mask)
    assert (tmp_path / "report").stat().st_mode & 0o777 == 0o600


def test_a_directory_that_is_not_there_is_refused(report, tmp_path: Path):
    with pytest.raises(UsageError, match=r"gone/report: the output cannot be written: No such"):
        write_report(report, "json", tmp_path / "gone" / "report")


def test_where_it_cannot_be_written_nothing_is_left_behind(report, tmp_path: Path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(UsageError, match="taken: the output cannot be written: Is a directory"):
        write_report(report, "json", tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_pipe_is_written_into_and_stays_a_pipe(report, tmp_path: Path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_report(report, "json", path)
        assert path.is_fifo()
        assert json.loads(os.read(reader, 1 << 16))["program"] == "p"
    finally:
        os.close(reader)


def test_a_link_is_followed_and_stays_a_link(report, tmp_path: Path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_report(report, "json", link)
    assert link.is_symlink()
    assert json.loads(target.read_text())["program"] == "p"
