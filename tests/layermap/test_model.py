"""What follows from a map alone."""

from __future__ import annotations

from nndbg.layermap import carried, parse_map


def test_a_step_hands_on_what_it_writes_and_has_read_by_then(fake):
    assert carried(parse_map(fake([]).text, "small.toml").ops) == {"W"}


def test_what_is_written_before_it_is_read_begins_anew_in_every_step(fake):
    ops = {op.name: op for op in fake([]).layer_map.ops}
    assert carried([ops["dense"], ops["relu"]]) == set()
    assert carried([ops["relu"], ops["dense"]]) == {"z"}


def test_what_an_op_updates_in_place_is_handed_on(fake):
    ops = {op.name: op for op in fake([]).layer_map.ops}
    assert carried([ops["update"]]) == {"W"}
