"""A checker must be seen to fail: every fault is named for what it is, and nothing else is."""

import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

import nndbg

from .build import SOUND, BuildError, Change, Edit, Expectation, build, changes

# The second step has 37 rows: less than a full batch, and no multiple of any vector or tile.
ARGUMENTS = ("--train-limit", "101", "--test-limit", "64")
STEPS = range(2)
KERNEL = re.compile(r"_(sse2|avx2|avx512)\.asm$")
SECONDS = 4.0

pytestmark = [
    pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")
    for tool in ("nasm", "gcc", "gdb")
]


def check(change: Change, directory: Path, data: Path) -> nndbg.Report:
    """What nndbg says of the changed trainer, which is built in `directory` and removed again."""
    program = build(change, directory)
    arguments = ["--data", str(data), *ARGUMENTS, *change.arguments]
    report = nndbg.check(program, steps=STEPS, arguments=arguments, timeout=SECONDS, culprit=False)
    shutil.rmtree(directory)
    return report


def told(report: nndbg.Report) -> str:
    """What a report says, for the message of a failed test."""
    verdicts = [v for v in report.verdicts if v.status is not nndbg.Status.AGREE]
    lines = [
        f"step {v.subject.step} {v.subject.op}/{v.subject.buffer} {v.status}: {v.where} {v.says}"
        for v in verdicts
    ]
    return "\n".join([f"error: {report.error}", *lines])


@pytest.mark.parametrize("fault", changes("faults"), ids=lambda change: change.name)
def test_the_fault_is_named_first(fault: Change, tmp_path: Path, data: Path) -> None:
    report = check(fault, tmp_path / fault.name, data)
    assert not report.agrees
    assert fault.expect is not None
    wanted = fault.expect
    first = report.first.verdict if report.first else None
    found = Expectation(
        step=first.subject.step if first else None,
        op=first.subject.op if first else None,
        buffer=first.subject.buffer if first else None,
        status=first.status.value if first else None,
        where=first.where if first and wanted.where is not None else None,
        error=wanted.error if wanted.error and wanted.error in (report.error or "") else None,
    )
    assert found == wanted, told(report)
    assert (report.error is None) == (wanted.error is None), report.error


@pytest.mark.parametrize("change", [SOUND, *changes("harmless")], ids=lambda change: change.name)
def test_nothing_is_wrong_where_nothing_is(change: Change, tmp_path: Path, data: Path) -> None:
    report = check(change, tmp_path / change.name, data)
    assert report.agrees, told(report)
    assert report.steps == tuple(STEPS)


@pytest.mark.parametrize("kind", ["faults", "harmless"])
def test_a_changed_kernel_is_one_that_runs(kind: str) -> None:
    for change in changes(kind):
        isas = {match[1] for edit in change.edits if (match := KERNEL.search(edit.file))}
        named = [isa for word, isa in pairwise(change.arguments) if word == "--isa"]
        assert not isas or isas == set(named), change.name


def test_a_change_that_no_longer_applies_says_so(tmp_path: Path) -> None:
    stale = Change("stale", "", (Edit("asm/relu_sse2.asm", "no such line", ""),))
    with pytest.raises(BuildError, match=r"stale: .* asm/relu_sse2\.asm: .* occurs 0 times"):
        build(stale, tmp_path / "stale")
