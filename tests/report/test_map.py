"""The layer map as nndbg understood it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nndbg.elf import read_executable
from nndbg.layermap import PlacedMap, load_map
from nndbg.report.as_map import render


@pytest.fixture(scope="module")
def placed(program: Path) -> PlacedMap:
    return load_map(read_executable(program))


def test_it_shows_every_size_buffer_and_op(placed: PlacedMap):
    shown = render(placed)
    names = [*placed.layer_map.sizes, *placed.layer_map.buffers]
    names += [op.name for op in placed.layer_map.ops]
    for name in names:
        assert re.search(rf"^  {name} ", shown, re.MULTILINE), name


def test_it_shows_every_address(placed: PlacedMap):
    shown = render(placed)
    places = [*placed.places.values(), *placed.size_places.values()]
    addresses = {place.address for place in places}
    addresses |= {a for found in placed.done.values() for a in found}
    addresses |= {a for found in placed.enter.values() for a in found}
    for address in addresses:
        assert f"{address:#x}" in shown


def test_it_shows_the_source_of_a_boundary(placed: PlacedMap):
    (address,) = placed.done["relu1"]
    line = placed.executable.line_at(address)
    assert line is not None
    assert f"{address:#x} {line}" in render(placed)


def test_it_ends_in_one_line_feed_and_no_line_in_a_space(placed: PlacedMap):
    shown = render(placed)
    assert shown.endswith("\n")
    assert not shown.endswith("\n\n")
    assert not re.search(r" $", shown, re.MULTILINE)


def test_a_map_without_sizes_is_shown_too(program: Path, tmp_path: Path):
    path = tmp_path / "small.toml"
    path.write_text(
        '[program]\nname = "small"\nstep = "enter:main"\n[buffers]\n'
        'b1 = { dtype = "f32", shape = [128] }\nb2 = { dtype = "f32", shape = [64] }\n'
        '[[ops]]\nname = "relu"\nkind = "relu"\nin = "b1"\nout = "b1"\ndone = "enter:main"\n'
    )
    assert "relu" in render(load_map(read_executable(program), path))
