"""What `import nndbg` offers, on the trainer itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nndbg
from nndbg.errors import ExitCode

PUBLIC = {
    "Audit",
    "Finding",
    "Level",
    "blame",
    "GdbError",
    "LastWrite",
    "MapError",
    "Mode",
    "NndbgError",
    "ProgramError",
    "Report",
    "Session",
    "Status",
    "UsageError",
    "Verdict",
    "back_to_write",
    "bisect",
    "check",
    "open",
    "replay",
}


@pytest.fixture
def arguments(tiny: Path, gdb: str) -> tuple[str, ...]:
    del gdb
    return ("--data", str(tiny), "--epochs", "1")


def test_the_public_names_are_these():
    assert set(nndbg.__all__) == PUBLIC
    assert all(hasattr(nndbg, name) for name in PUBLIC)
    assert all(getattr(nndbg, name).__doc__ for name in PUBLIC)


def test_the_version_is_the_one_that_is_installed():
    from importlib.metadata import version

    assert nndbg.__version__ == version("nndbg")


def test_check_returns_a_report_that_is_true_where_all_agrees(program: Path, arguments):
    report = nndbg.check(program, steps=range(2), arguments=arguments)
    assert isinstance(report, nndbg.Report)
    assert report
    assert report.steps == (0, 1)
    assert all(v.status is nndbg.Status.AGREE for v in report.verdicts)


def test_check_takes_both_modes(program: Path, arguments):
    modes = (nndbg.Mode.LOCAL, nndbg.Mode.CHAIN)
    report = nndbg.check(str(program), steps=range(1), arguments=arguments, modes=modes)
    assert report
    assert {v.subject.mode for v in report.verdicts} == set(modes)


def test_check_puts_a_program_that_fails_into_the_report(program: Path, gdb: str):
    del gdb
    report = nndbg.check(program, steps=range(1), arguments=("--epochs", "many"))
    assert not report
    assert report.error is not None
    assert "exit code 2" in report.error


def test_open_gives_a_session_to_walk_through(program: Path, arguments):
    with nndbg.open(program, arguments=arguments) as session:
        assert isinstance(session, nndbg.Session)
        dense = session.run_to("dense1")
        z1 = session["z1"]
        assert z1.shape == (64, 128)
        np.testing.assert_allclose(z1, session["x"] @ session["W1"] + session["b1"], atol=1e-4)
        assert np.abs(z1 - dense.expected["z1"].value).max() < 1e-4
        with pytest.raises(ValueError, match="read-only"):
            z1[0, 0] = 1
        assert session.program == str(program.resolve())


def test_open_runs_nothing_before_the_first_call(program: Path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    session = nndbg.open(program)
    with pytest.raises(nndbg.GdbError):
        session.start()
    session.close()


@pytest.mark.parametrize("name", ["gone", "."])
def test_what_is_no_program_is_refused_before_anything_runs(tmp_path: Path, name: str):
    with pytest.raises(nndbg.UsageError):
        nndbg.check(tmp_path / name)


def test_a_map_that_does_not_fit_is_refused_before_anything_runs(program: Path, tmp_path: Path):
    path = tmp_path / "map.toml"
    path.write_text('[program]\nname = "x"\n')
    with pytest.raises(nndbg.MapError, match=r"map.toml:1: "):
        nndbg.open(program, map=path)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (nndbg.NndbgError, ExitCode.USAGE),
        (nndbg.UsageError, ExitCode.USAGE),
        (nndbg.MapError, ExitCode.USAGE),
        (nndbg.ProgramError, ExitCode.PROGRAM),
        (nndbg.GdbError, ExitCode.PROGRAM),
    ],
)
def test_every_error_is_one_to_catch_and_has_its_exit_code(error: type, code: ExitCode):
    assert issubclass(error, nndbg.NndbgError)
    assert error("x").exit_code == code


def test_the_exit_codes_are_what_was_promised():
    assert {e.name: e.value for e in ExitCode} == {
        "AGREES": 0,
        "DIVERGED": 1,
        "USAGE": 2,
        "PROGRAM": 3,
        "INTERRUPTED": 130,
    }
