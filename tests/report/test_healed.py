"""How every format tells of a repair."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nndbg.compare import Status
from nndbg.report import Healed, Report
from nndbg.report.write import RENDERERS

HEALED = Healed(
    ops=("dense2",),
    steps={"dense2": (0, 1)},
    is_found=True,
    agrees=True,
    says="Repairing dense2 alone makes every other output agree.",
)


@pytest.fixture
def report(verdict) -> Report:
    return Report("p", (0, 1), (verdict(0, status=Status.DIVERGED),), healed=HEALED)


@pytest.mark.parametrize("form", RENDERERS)
def test_what_came_of_a_repair_is_told_in_every_format(report: Report, form: str):
    assert "Repairing dense2 alone makes every other" in RENDERERS[form](report)
    assert "Repairing" not in RENDERERS[form](replace(report, healed=None))


def test_as_json_it_has_a_key_of_its_own(report: Report):
    assert json.loads(RENDERERS["json"](report))["healed"] == {
        "ops": ["dense2"],
        "steps": {"dense2": [0, 1]},
        "found": True,
        "agrees": True,
        "says": HEALED.says,
    }
    assert json.loads(RENDERERS["json"](replace(report, healed=None)))["healed"] is None


def test_a_repair_takes_nothing_away_from_what_is_wrong(report: Report):
    assert not report.agrees
    assert report.first is not None
