"""Dataclasses through JSON: what comes back is what went in, or a word on what is wrong."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from nndbg.compare import Status
from nndbg.recording.plain import ShapeError, from_plain, to_plain


@dataclass(frozen=True)
class Inner:
    name: str
    at: int | None


@dataclass(frozen=True)
class Outer:
    share: float
    is_good: bool
    status: Status
    inner: tuple[Inner, ...]
    by_name: Mapping[str, int]
    by_number: Mapping[int, tuple[int, ...]]
    names: frozenset[str]


OUTER = Outer(
    0.5,
    True,
    Status.AGREE,
    (Inner("a", 3), Inner("b", None)),
    {"x": 1},
    {7: (1, 2)},
    frozenset("ba"),
)


def test_what_was_written_is_read_again():
    assert from_plain(Outer, json.loads(json.dumps(to_plain(OUTER)))) == OUTER


def test_what_a_newer_writer_says_besides_is_skipped():
    assert from_plain(Inner, {"name": "a", "at": 1, "color": "red"}) == Inner("a", 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"share": "much"}, "Outer.share is str, not float"),
        ({"share": True}, "Outer.share is bool, not float"),
        ({"is_good": 1}, "Outer.is_good is int, not bool"),
        ({"status": "fine"}, "Outer.status is 'fine', which is no Status"),
        ({"inner": {}}, "Outer.inner is dict, not list"),
        ({"inner": [{"name": "a"}]}, "Outer.inner has no at"),
        ({"inner": [{"name": "a", "at": 0.5}]}, "Outer.inner.at is float"),
        ({"by_name": {"x": None}}, "Outer.by_name.x is nothing, not int"),
        ({"by_number": {"-1": []}}, "Outer.by_number has the key '-1', which is no number"),
        ({"names": ["a", 3]}, "Outer.names is int, not str"),
    ],
)
def test_what_has_another_shape_is_refused(change, says):
    with pytest.raises(ShapeError, match=says):
        from_plain(Outer, {**to_plain(OUTER), **change})
