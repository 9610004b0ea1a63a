"""Broken trainers that are repaired while they run: which ops have to be, and which cannot."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import nndbg
from nndbg.report import Healed

from .build import Change, build, changes
from .test_broken import ARGUMENTS, SECONDS

FAULTS = {change.name: change for change in changes("faults")}
MODES = (nndbg.Mode.LOCAL, nndbg.Mode.CHAIN)
# The ops that have to be repaired: one of each way in which a fault reaches further than its op.
NEEDED = {
    "bias2_updated_with_dbias3": ("update_b2",),  # into the next step
    "dense1_writes_into_z2": ("dense1",),  # into a buffer of another op
    "dW_accumulates": ("dW3", "dW2"),  # into what the next step begins with
    "dropout_keeps_what_it_drops": ("drop_mask1", "drop_mask2"),  # two outputs, both integers
    "label_offset_by_one": ("load_y",),  # integers, down the chain
    "minus_one_missing": ("grad_z3",),  # down the chain
    "softmax_without_maximum": ("softmax",),
}

pytestmark = [
    pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")
    for tool in ("nasm", "gcc", "gdb")
]


def healed(change: Change, directory: Path, data: Path, *heal: str) -> tuple[nndbg.Report, Healed]:
    program = build(change, directory)
    arguments = ["--data", str(data), *ARGUMENTS, *change.arguments]
    report = nndbg.check(
        program,
        steps=range(2),
        modes=MODES,
        arguments=arguments,
        timeout=SECONDS,
        culprit=False,
        heal=heal,
    )
    assert report.healed is not None
    return report, report.healed


@pytest.mark.parametrize("name", NEEDED)
def test_the_ops_that_have_to_be_repaired_are_found(name: str, tmp_path: Path, data: Path) -> None:
    report, found = healed(FAULTS[name], tmp_path / name, data, "auto")
    assert found.ops == NEEDED[name], found.says
    assert found.agrees
    # What is wrong is still told, and nothing but that.
    assert {v.subject.op for v in report.wrong} == set(NEEDED[name])


def test_two_independent_faults_need_two_ops(tmp_path: Path, data: Path) -> None:
    one, other = FAULTS["minus_one_missing"], FAULTS["bias2_updated_with_dbias3"]
    both = replace(one, edits=(*one.edits, *other.edits))
    _, alone = healed(both, tmp_path / "alone", data, "grad_z3")
    assert not alone.agrees
    assert "update_b2 is still wrong, first in step 0 (b2)" in alone.says
    _, found = healed(both, tmp_path / "both", data, "auto")
    assert (found.ops, found.agrees) == (("grad_z3", "update_b2"), True)


@pytest.mark.parametrize(
    ("name", "says"),
    {
        "op_jumped_over_before_a_crash": "it never came to its boundary in step 0",
        "backprop_before_forward": "it was complete before an op that the map has before it",
        "NaN_in_the_weights": "in step 0 it is given NaNs",
    }.items(),
)
def test_what_cannot_be_repaired_is_said_to_be(
    name: str, says: str, tmp_path: Path, data: Path
) -> None:
    _, found = healed(FAULTS[name], tmp_path / name, data, "auto")
    assert not found.agrees
    assert says in found.says
