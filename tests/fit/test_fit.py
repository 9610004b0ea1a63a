"""Maps fitted to a run: what a first guess got wrong is put right, and a wrong program is not."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import nndbg
from nndbg.elf import read_executable
from nndbg.fit import Fit, fit_map, read_document
from nndbg.fitting import fit_program, run_phases
from nndbg.guess import draft_map
from tests.guess.programs import FLAGS, ONLINE

Fitted = Callable[..., tuple[Path, Path, Fit]]


@pytest.fixture(scope="module")
def fitted(build, gdb: str, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """Guesses a map of the program, changed in places, and fits it to a run."""
    del gdb

    def fitted(
        *changes: tuple[str, str], map_changes: tuple[tuple[str, str], ...] = ()
    ) -> tuple[Path, Path, Fit]:
        source = ONLINE
        for old, new in changes:
            assert old in source
            source = source.replace(old, new, 1)
        program = build("fitted", source, *FLAGS)
        path = tmp_path_factory.mktemp("fit") / "map.toml"
        text = draft_map(read_executable(program))
        for old, new in map_changes:
            assert old in text
            text = text.replace(old, new, 1)
        path.write_text(text)
        fit = fit_program(program, path, steps=3)
        path.write_text(fit.text)
        return program, path, fit

    return fitted


@pytest.fixture(scope="module")
def sound(fitted: Fitted) -> tuple[Path, Path, Fit]:
    return fitted()


def test_what_the_guess_got_wrong_is_put_right(sound):
    _, path, fit = sound
    assert fit.is_whole
    assert fit.agree == 14
    assert fit.open_ == ()
    ops = {op["name"]: op for op in tomllib.loads(path.read_text())["ops"]}
    assert ops["dense1"]["in"]["W"] == "W1.T"
    assert ops["relu1"]["kind"] == "tanh"
    assert ops["d1"]["kind"] == "dense_grad_input + tanh_grad"
    assert ops["dW2"]["kind"] == "dense_grad_weight_accumulate"
    assert ops["dW2"]["out"] == "dW2.T"
    assert ops["db1"]["kind"] == "dense_grad_bias_accumulate"
    assert ops["update_W1"]["in"] == {"param": "W1", "grad": "dW1", "lr": "rate"}
    assert (ops["clear_dW1"]["kind"], ops["clear_dW1"]["done"]) == (
        "fill",
        ops["update_W1"]["done"],
    )
    assert tomllib.loads(path.read_text())["buffers"]["W2"]["shape"] == ["out", "h1"]


def test_the_fitted_map_agrees_in_a_check_and_has_nothing_left_to_fit(sound):
    program, path, _ = sound
    assert nndbg.check(program, map=path, steps=range(2), audits=(), culprit=False)
    done = subprocess.run(
        [Path(sys.executable).with_name("nndbg"), "map", "fit", program, "--map", path, "--diff"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == "nndbg: 18 of 18 ops agree with steps 0-2\n"


def test_a_map_whose_boundaries_are_exchanged_is_put_right(fitted: Fitted, sound):
    text = sound[1].read_text()
    done = {op["name"]: op["done"] for op in tomllib.loads(text)["ops"]}
    one, other = f'"{done["d1"]}"', f'"{done["dW2"]}"'
    _, path, fit = fitted(map_changes=((other, "@"), (one, other), ("@", one)))
    ops = {op["name"]: op for op in tomllib.loads(path.read_text())["ops"]}
    assert fit.is_whole
    assert fit.hints == {}
    assert ops["d1"]["done"] == done["d1"]
    assert any("d1: complete with dW2" in change for change in fit.changes)


def test_without_time_to_try_every_boundary_that_is_said(sound, tmp_path: Path):
    program, fitted, _ = sound
    text, path = fitted.read_text(), tmp_path / "map.toml"
    done = {op["name"]: op["done"] for op in tomllib.loads(text)["ops"]}
    path.write_text(text.replace(f'"{done["d1"]}"', f'"{done["dW2"]}"', 1))
    heard: list[tuple[str, int, int]] = []
    runs = run_phases(program, path, steps=2)
    document = read_document(path.read_text())
    fit = fit_map(
        document, runs, "map.toml", None, seconds=0, tell=lambda *told: heard.append(told)
    )
    # What d1 leaves is not there yet where dW1 takes it.
    assert fit.disagree == ("d1", "dW1")
    assert all("no time to try every boundary" in fit.hints[op] for op in fit.disagree)
    assert ("trying boundaries", 0, 2) in heard


def test_an_op_that_the_program_gets_wrong_is_not_fitted_to(fitted: Fitted):
    _, _, fit = fitted(("add_outer(d1, x, dW1, 4, 5);", "add_outer(x, d1, dW1, 5, 4);"))
    assert fit.disagree == ("dW1",)
    assert not fit.is_whole
    says = next(told for told in fit.told() if told.startswith("dW1: "))
    assert says.endswith("it would if it were stored the other way round than the weights")


def test_what_a_run_cannot_tell_is_said(sound, tmp_path: Path):
    """In the first step every gradient is 0 before it is added to."""
    program, _, _ = sound
    path = tmp_path / "map.toml"
    path.write_text(draft_map(read_executable(program)))
    runs = run_phases(program, path, steps=1)
    fit = fit_map(read_document(path.read_text()), runs, "map.toml", None)
    assert fit.disagree == ()
    assert "dW1: or it adds to dW1.T, does not overwrite it; both agree" in fit.open_
