"""Mistakes that only come up in a long run: bisection finds the step where they begin."""

import shutil
from pathlib import Path

import pytest

import nndbg

from .build import ROOT, SOUND, Change, build, changes

# Thirteen steps an epoch; the last has five rows, which fill no tile.
EPOCH = 13
ARGUMENTS = ("--train-limit", "197", "--test-limit", "64", "--batch", "16", "--epochs", "40")
STEPS = range(40 * EPOCH)
SECONDS = 4.0

pytestmark = [
    pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")
    for tool in ("nasm", "gcc", "gdb")
]


def bisect(change: Change, directory: Path, data: Path, layer_map: Path | None = None):
    program = build(change, directory)
    arguments = ["--data", str(data), *ARGUMENTS, *change.arguments]
    report = nndbg.bisect(program, steps=STEPS, map=layer_map, arguments=arguments, timeout=SECONDS)
    shutil.rmtree(directory)
    return report


def one(kind: str, name: str) -> Change:
    return next(change for change in changes(kind) if change.name == name)


@pytest.mark.parametrize("fault", changes("late"), ids=lambda change: change.name)
def test_the_step_where_it_begins_is_found(fault: Change, tmp_path: Path, data: Path) -> None:
    assert fault.expect is not None
    wanted = fault.expect
    report = bisect(fault, tmp_path / fault.name, data)
    if wanted.error is not None:
        assert report.error is not None
        assert wanted.error in report.error
        assert "step 300" in report.error
        assert report.first is None
    else:
        assert report.error is None
        assert report.first is not None
        verdict = report.first.verdict
        assert (verdict.subject.step, verdict.subject.op) == (wanted.step, wanted.op)
        assert (verdict.subject.buffer, verdict.status) == (wanted.buffer, wanted.status)
        assert report.steps == (wanted.step,)
    before = 299 if wanted.step is None else wanted.step - 1
    assert f"Step {before}, the one before, is right." in report.says
    assert "of 520 steps were checked" in report.says
    assert int(report.says.split()[3]) < 20


def test_nothing_is_found_in_a_sound_trainer(tmp_path: Path, data: Path) -> None:
    report = bisect(SOUND, tmp_path / "sound", data)
    assert report
    assert len(report.steps) < 20
    assert (report.steps[0], report.steps[-1]) == (STEPS[0], STEPS[-1])
    assert f"{len(report.steps)} of 520 steps were checked" in report.says
    assert "comes and goes" in report.says


def test_a_mistake_in_short_batches_alone_is_said_to_come_and_go(
    tmp_path: Path, data: Path
) -> None:
    fault = one("faults", "last_row_of_a_short_batch_skipped")
    report = bisect(fault, tmp_path / fault.name, data)
    assert report.first is not None
    found = report.first.verdict.subject.step
    assert found % EPOCH == EPOCH - 1
    assert f"Step {found - 1}, the one before, is right." in report.says
    assert "comes and goes" in report.says
    assert "arrays of another size" in report.says


def test_a_program_that_cannot_seek_is_swept_to_its_first_wrong_step(
    tmp_path: Path, data: Path
) -> None:
    text = (ROOT / "asm" / "mnist.toml").read_text()
    seek = 'seek    = { boundary = "probe:nn:seek", target = "seek_step" }\n'
    assert seek in text
    layer_map = tmp_path / "no_seek.toml"
    layer_map.write_text(text.replace(seek, ""))
    fault = one("late", "another_layer_from_step_300")
    report = bisect(fault, tmp_path / fault.name, data, layer_map)
    assert report.first is not None
    assert report.first.verdict.subject.step == 300
    assert report.first.verdict.subject.op == "grad_z2"
    assert report.steps == tuple(range(300))
    assert "no `seek`" in report.says
    assert "The rest of step 300 was not checked." in report.says
