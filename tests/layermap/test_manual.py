"""The manual of the layer map says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nndbg.layermap.model import DTYPES
from nndbg.reference import KINDS

ROW = re.compile(r"^\| `(\w+)` \| `([^`]*->[^`]*)` \| (.*) \|(.*)\|$", re.MULTILINE)
PARAMETER = re.compile(r"`(\w+)` \(([^;)]+)")


@pytest.fixture(scope="module")
def manual(root: Path) -> str:
    return (root / "docs" / "layer-map.md").read_text()


def test_every_kind_is_in_the_table_of_the_manual_with_its_signature(manual: str):
    listed = {name: signature for name, signature, _, _ in ROW.findall(manual)}
    known = {
        name: f"{' '.join(map(str, k.inputs))} -> {' '.join(map(str, k.outputs))}"
        for name, k in KINDS.items()
    }
    assert listed == known


def test_every_parameter_is_in_the_table_of_the_manual_with_its_default(manual: str):
    listed = {name: dict(PARAMETER.findall(last)) for name, _, _, last in ROW.findall(manual)}
    known = {name: {p: str(v) for p, v in k.parameters.items()} for name, k in KINDS.items()}
    assert listed == known


def test_every_dtype_is_in_the_manual(manual: str):
    assert f"`{' '.join(DTYPES)}`" in manual


@pytest.mark.parametrize(
    "form", ["probe:PROVIDER:NAME", "enter:SYMBOL", "return:SYMBOL", "FILE:LINE", "*0xADDR"]
)
def test_every_form_of_a_boundary_is_in_the_manual(manual: str, form: str):
    assert f"| `{form}` |" in manual


def test_the_examples_of_the_manual_are_toml(manual: str):
    import tomllib

    blocks = re.findall(r"```toml\n(.*?)```", manual, re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        assert tomllib.loads(block)
