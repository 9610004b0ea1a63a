"""Trainers side by side with their reference: sound ones drift by noise, broken ones leave it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

import nndbg
from nndbg import Mode, Status
from nndbg.report import Report
from nndbg.report.drift import sentences

from .build import SOUND, Change, build, changes

pytestmark = [
    pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")
    for tool in ("nasm", "gcc", "gdb")
]


def side_by_side(
    change: Change, directory: Path, data: Path, steps: range, arguments: Sequence[str] = ()
) -> Report:
    built = build(change, directory / change.name)
    return nndbg.check(
        built,
        steps=steps,
        arguments=["--data", str(data), *change.arguments, *arguments],
        modes=(Mode.TRAJECTORY,),
    )


def fault(name: str, kind: str = "faults") -> Change:
    return next(change for change in changes(kind) if change.name == name)


@pytest.mark.parametrize("isa", ["sse2", "avx2", "avx512"])
def test_the_trainer_drifts_by_float32_noise(isa: str, tmp_path: Path, tiny: Path):
    arguments = ["--isa", isa, "--momentum", "0.9", "--epochs", "5"]
    report = side_by_side(SOUND, tmp_path, tiny, range(7), arguments)
    if report.error is not None and isa in report.error:
        pytest.skip(report.error)
    assert report.agrees, report.error or sentences(report)
    assert report.trajectory.most < 3
    assert {s.buffer for s in report.trajectory.series} >= {"loss", "W1", "b3", "vW2"}


@pytest.mark.parametrize("name", ["sums_kept_in_double", "batch_summed_from_its_end"])
def test_another_order_of_roundings_is_no_departure(name: str, tmp_path: Path, tiny: Path):
    report = side_by_side(fault(name, "harmless"), tmp_path, tiny, range(3))
    assert report.agrees, report.error or sentences(report)
    assert report.trajectory.most < 3


def test_a_trainer_that_is_wrong_from_the_start_is_beyond_the_bound(tmp_path: Path, tiny: Path):
    report = side_by_side(fault("dW3_rows_and_columns_swapped"), tmp_path, tiny, range(2))
    chained = [v for v in report.wrong if v.subject.mode is Mode.TRAJECTORY]
    assert (chained[0].subject.step, chained[0].subject.op) == (0, "dW3")
    assert chained[0].status is Status.DIVERGED


def test_where_the_bound_proves_nothing_any_more_the_noise_tells(tmp_path: Path, tiny: Path):
    # 150 samples: the third batch of each epoch is short, and only there the fault shows.
    arguments = ["--epochs", "2", "--lr", "0.1"]
    report = side_by_side(fault("rows_fixed_at_64"), tmp_path, tiny, range(4), arguments)
    departure = report.trajectory.departure
    assert (departure.step, departure.op) == (2, "grad_z3")
    chained = [v for v in report.verdicts if v.subject.mode is Mode.TRAJECTORY]
    at_fault = next(v for v in chained if v.subject.step == 2 and v.subject.op == "grad_z3")
    assert at_fault.status is Status.UNCHECKED
    W1 = next(s for s in report.trajectory.series if s.buffer == "W1")
    assert W1.open_from is not None
    assert W1.open_from <= 2


def test_one_weight_of_thousands_that_never_learns_is_seen(tmp_path: Path, tiny: Path):
    report = side_by_side(fault("one_weight_never_updated"), tmp_path, tiny, range(2))
    departure = report.trajectory.departure
    assert (departure.step, departure.op, departure.buffer) == (0, "update_W2", "W2")
