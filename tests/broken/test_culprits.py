"""From a wrong number to the line that made it: broken trainers whose mutated line is known."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import nndbg

from .build import Change, build, changes
from .lines import changed_lines, line_of
from .test_broken import ARGUMENTS, SECONDS, STEPS

# One of each way in which a line is found; tests/benchmarks/culprits.py tries all faults.
NAMED = (
    "W1_overwritten_between_steps",  # a store that is none of the op's
    "W2_updated_twice",  # a second call
    "W3_updated_before_grad_h2",  # an op too early
    "backprop_before_forward",  # an op before what it reads is there
    "bias2_updated_with_dbias3",  # a wrong pointer
    "dbias2_never_computed",  # a call that is missing
    "dense2_stops_at_another_limit",  # a wrong limit
    "dropout_with_another_mask",  # a wrong pointer, of an op that works in place
    "eight_byte_store_of_p",  # a store that is too wide
    "gradient_stored_into_the_bias",  # a wrong place to write to
    "label_offset_by_one",  # an instruction that is off in itself
    "live_xmm_across_exp",  # a register that a call changes
    "previous_tile_is_added",  # a sum that is not cleared
    "sign_of_p_minus_y",  # wrong arithmetic
    "update_of_layer_3_forgotten",  # an op that is never reached
)
FAULTS = {change.name: change for change in changes("faults")}

pytestmark = [
    pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")
    for tool in ("nasm", "gcc", "gdb")
]


@pytest.mark.parametrize("name", NAMED)
def test_the_culprit_is_the_line_that_was_changed(name: str, tmp_path: Path, data: Path) -> None:
    fault: Change = FAULTS[name]
    directory = tmp_path / name
    program = build(fault, directory)
    lines = changed_lines(fault, directory)
    arguments = ["--data", str(data), *ARGUMENTS, *fault.arguments]
    report = nndbg.check(program, steps=STEPS, arguments=arguments, timeout=SECONDS)
    shutil.rmtree(directory)
    assert report.first is not None
    culprit = report.first.culprit
    assert culprit is not None
    assert line_of(culprit.likeliest) in lines, culprit.candidates
    assert len(culprit.candidates) <= 5


def test_nobody_is_accused_unless_asked_for(tmp_path: Path, data: Path) -> None:
    fault = FAULTS["bias2_updated_with_dbias3"]
    program = build(fault, tmp_path / "program")
    arguments = ["--data", str(data), *ARGUMENTS, *fault.arguments]
    report = nndbg.check(program, steps=STEPS, arguments=arguments, timeout=SECONDS, culprit=False)
    assert report.first is not None
    assert report.first.culprit is None
