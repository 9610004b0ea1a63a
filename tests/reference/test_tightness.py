"""The measured tightness of the bounds: what is in the manual, and of every kind."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from nndbg.reference import FLOAT32, KINDS, Bounded

from .cases import CASES, FORMATS, looseness, tuple_of

ROW = re.compile(r"^\| `(\w+)`([^|]*) \| ([\d,.]+) \| ([\d,.]+) \|$", re.MULTILINE)
MANY = 100


@pytest.fixture(scope="module")
def manual(root: Path) -> str:
    return (root / "docs" / "bounds.md").read_text()


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", CASES)
def test_no_correct_program_is_beyond_its_bound(name: str, dtype: type):
    with np.errstate(all="ignore"):
        assert looseness(name, CASES[name], dtype, seeds=1) >= 1


def test_every_case_is_in_the_table_of_the_manual(manual: str):
    listed = {name + rest for name, rest, *_ in ROW.findall(manual)}
    assert listed == set(CASES)


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_table_of_the_manual_is_what_is_measured(manual: str, dtype: type):
    column = 2 + list(FORMATS).index(dtype)
    for row in ROW.findall(manual):
        told = float(row[column].replace(",", ""))
        with np.errstate(all="ignore"):
            seen = looseness(row[0] + row[1], CASES[row[0] + row[1]], dtype, seeds=1)
        # Another machine's exp and matrix product, and fewer draws.
        assert told / 3 < seen < told * 10, row


def test_every_kind_is_in_the_manual(manual: str):
    assert [kind for kind in KINDS if f"`{kind}`" not in manual] == []


@pytest.mark.parametrize("name", CASES)
def test_uncertain_operands_are_covered_wherever_they_lie(name: str):
    case, random = CASES[name], np.random.default_rng(5)
    parts = case.operands(random)
    # Whole numbers stay; a second moment is never negative.
    spread = {
        part: np.abs(a) * random.random(a.shape) * 1e-3 for part, a in parts.items() if is_real(a)
    }
    uncertain = {
        part: Bounded(a.astype(np.float64), spread[part]) if part in spread else a
        for part, a in parts.items()
    }
    kind = KINDS[case.kind or name]
    with np.errstate(all="ignore"):
        expected = kind.compute(uncertain, FLOAT32, case.parameters).values()
    for _ in range(4):
        moved = [
            a.astype(np.longdouble) + random.choice([-1, 1], a.shape) * spread[part]
            if part in spread
            else a
            for part, a in parts.items()
        ]
        for bound, true in zip(expected, tuple_of(case.ways[0](*moved)), strict=True):
            assert bound.shape == bound.error.shape == true.shape
            # The operands are moved in 80 bits, which rounds as well.
            assert (np.abs(true - bound.value) <= bound.error * (1 + 2.0**-40)).all()
            assert np.isfinite(bound.error).all()


def is_real(operand: np.ndarray) -> bool:
    return operand.dtype.kind == "f"
