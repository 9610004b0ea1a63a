"""What follows from a map alone."""

from __future__ import annotations

from nndbg.layermap import parse_map


def test_a_step_hands_on_what_it_writes_and_has_read_by_then(fake):
    layer_map = parse_map(fake([]).text, "small.toml")
    assert layer_map.carried(layer_map.ops) == {"W"}


def test_what_is_written_before_it_is_read_begins_anew_in_every_step(fake):
    layer_map = fake([]).layer_map
    ops = {op.name: op for op in layer_map.ops}
    assert layer_map.carried([ops["dense"], ops["relu"]]) == set()
    assert layer_map.carried([ops["relu"], ops["dense"]]) == {"z"}


def test_what_an_op_updates_in_place_is_handed_on(fake):
    layer_map = fake([]).layer_map
    ops = {op.name: op for op in layer_map.ops}
    assert layer_map.carried([ops["update"]]) == {"W"}
