"""A checker must be seen to fail: every fault is named for what it is, and nothing else is."""

import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

import nndbg

from .build import SOUND, BuildError, Change, Edit, Expectation, ExpectedFinding, build, changes

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
    steps = STEPS if change.phase != "init" else range(1)
    report = nndbg.check(
        program,
        steps=steps,
        phase=change.phase,
        arguments=arguments,
        timeout=SECONDS,
        culprit=False,
    )
    shutil.rmtree(directory)
    return report


def told(report: nndbg.Report) -> str:
    """What a report says, for the message of a failed test."""
    verdicts = [v for v in report.verdicts if v.status is not nndbg.Status.AGREE]
    lines = [
        f"step {v.subject.step} {v.subject.op}/{v.subject.buffer} {v.status}: {v.where} {v.says}"
        for v in verdicts
    ]
    known = [f"{d.kind}: {d.says} ({d.explains} of {d.of})" for d in report.diagnosis]
    found = [f"step {f.step} {f.op} {f.audit} ({f.level}): {f.says}" for f in report.findings]
    return "\n".join([f"error: {report.error}", *lines, *known, *found])


def fits(finding: nndbg.Finding, wanted: ExpectedFinding) -> bool:
    """Whether a finding is one that was expected."""
    here = (finding.audit.value, finding.op, finding.level.value)
    return here == (wanted.audit, wanted.op, wanted.level) and wanted.says in finding.says


@pytest.mark.parametrize("fault", changes("faults"), ids=lambda change: change.name)
def test_the_fault_is_named_first(fault: Change, tmp_path: Path, data: Path) -> None:
    report = check(fault, tmp_path / fault.name, data)
    assert not report.agrees
    assert fault.expect is not None
    wanted = fault.expect
    first = report.first.verdict if report.first else None
    known = report.diagnosis[0] if report.diagnosis else None
    found = Expectation(
        step=first.subject.step if first else None,
        op=first.subject.op if first else None,
        buffer=first.subject.buffer if first else None,
        status=first.status.value if first else None,
        where=first.where if first and wanted.where is not None else None,
        diagnosis=(known.kind if known else "") if first else None,
        says=wanted.says if known and wanted.says and wanted.says in known.says else None,
        error=wanted.error if wanted.error and wanted.error in (report.error or "") else None,
        finding=wanted.finding,
    )
    assert found == wanted, told(report)
    assert (report.error is None) == (wanted.error is None), report.error
    if wanted.finding is not None:
        assert any(fits(finding, wanted.finding) for finding in report.findings), told(report)


@pytest.mark.parametrize("change", [SOUND, *changes("harmless")], ids=lambda change: change.name)
def test_nothing_is_wrong_where_nothing_is(change: Change, tmp_path: Path, data: Path) -> None:
    report = check(change, tmp_path / change.name, data)
    assert report.agrees, told(report)
    assert report.steps == tuple(STEPS)
    note = change.expect.finding if change.expect else None
    if note is None:
        assert not report.findings, told(report)
    else:
        assert any(fits(finding, note) for finding in report.findings), told(report)
        assert {finding.audit.value for finding in report.findings} == {note.audit}, told(report)


def test_the_mistake_can_be_told_for_nine_faults_of_ten() -> None:
    """An empty diagnosis is an answer too, and must stay the rare one."""
    told_apart = [f for f in changes("faults") if f.expect and f.expect.op]
    silent = [f.name for f in told_apart if f.expect and not f.expect.diagnosis]
    assert len(silent) * 10 <= len(told_apart), silent


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
