"""A buffer beside its reference, as rows and columns."""

import numpy as np
import pytest

from nndbg.capture import Capture
from nndbg.compare import Mode, Status, Subject, judge
from nndbg.layermap import Buffer, parse_map
from nndbg.ledger import Observation
from nndbg.reference import Bounded
from nndbg.reference.bounded import whole
from nndbg.session import Session
from nndbg.tui.tensor import tensor, verdict_on

from .fake import MAP, FakeSource


@pytest.fixture
def observations() -> dict[str, Observation]:
    """The ops of the step in which dense2 is wrong."""
    with Session(FakeSource()) as session:
        session.start(2)
        return {o.op.name: o for o in session.finish_step()}


def of(observation: Observation, buffer: str):
    found = tensor(observation, parse_map(MAP, "fake.toml").buffers[buffer])
    assert found is not None
    return found


def with_shape(observation: Observation, actual: np.ndarray, expected: Bounded | None):
    """A tensor of any shape, by way of an observation of its own."""
    buffer = Buffer("any", "f32", actual.shape, "any")
    flat = {"any": actual.ravel()}
    capture = Capture(0, "op", 0, 0, {}, {"any": 0}, flat)
    verdicts = ()
    if expected is not None:
        subject = Subject(0, "op", "kind", "any", Mode.LOCAL)
        verdicts = (judge(subject, actual, actual + np.float32(1), expected),)
    own = {"any": expected} if expected is not None else {}
    made = {"capture": capture, "expected": own, "verdicts": verdicts}
    fields = {name: getattr(observation, name) for name in observation.__dataclass_fields__}
    return tensor(Observation(**{**fields, **made}), buffer), verdicts


def test_the_wrong_elements_are_those_of_the_verdict(observations):
    found = of(observations["dense2"], "z2")
    assert found.wrong.sum() == observations["dense2"].verdicts[0].bad == 4
    assert found.wrong[:, 1].all()
    assert not of(observations["dense1"], "z1").wrong.any()


def test_integers_that_floats_cannot_tell_apart_are_compared_as_integers(observations):
    actual = np.array([2**53 + 1, 7], np.int64)
    found, verdicts = with_shape(
        observations["dense1"], actual, whole(np.array([2**53, 7], np.int64))
    )
    assert verdicts[0].bad == 1
    assert found.wrong.ravel().tolist() == [True, False]


def test_what_is_not_finite_is_wrong_exactly_where_the_comparison_says_so(observations):
    nan, inf = np.nan, np.inf
    sides = np.array([0.0, 1.0, nan, inf, -inf])
    actual, value = (a.ravel().astype(np.float32) for a in np.meshgrid(sides, sides))
    for error in (0.0, 0.5, inf):
        bounds = np.full(actual.shape, error)
        found, verdicts = with_shape(observations["dense1"], actual, Bounded(value * 1.0, bounds))
        assert found.wrong.sum() == verdicts[0].bad
    assert not found.wrong[(actual == 0) & (value == 1)].any()


@pytest.mark.parametrize(
    ("shape", "rows", "columns", "place", "label"),
    [
        ((), 1, 1, (), ""),
        ((7,), 7, 1, (4,), "4"),
        ((4, 3), 4, 3, (2, 1), "2"),
        ((2, 3, 5), 6, 5, (1, 2, 4), "1,2"),
    ],
)
def test_every_shape_has_rows_and_columns(observations, shape, rows, columns, place, label):
    actual = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    found, _ = with_shape(observations["dense1"], actual, Bounded(actual * 1.0, actual * 0.0))
    assert (found.rows, found.columns) == (rows, columns)
    at = found.place(place)
    assert found.index(*at) == place
    assert found.row_label(at[0]) == label
    assert found.element(*at).actual == actual[place]


def test_an_index_outside_is_shown_at_the_nearest_place(observations):
    assert of(observations["dense2"], "z2").place((9, 9)) == (3, 2)


def test_an_element_is_judged_as_the_comparison_does(observations):
    worst = observations["dense2"].verdicts[0].worst
    found = of(observations["dense2"], "z2")
    assert found.element(*found.place(worst.index)) == worst


def test_an_element_without_a_bound_is_described_all_the_same(observations):
    actual = np.array([2.0], np.float32)
    found, _ = with_shape(observations["dense1"], actual, Bounded(actual * 1.5, actual + np.inf))
    element = found.element(0, 0)
    assert (element.actual, element.expected, element.ulps) == (2.0, 3.0, None)


def test_the_next_wrong_element_goes_around_the_end(observations):
    found = of(observations["dense2"], "z2")
    assert found.next_wrong(0, 0) == (0, 1)
    assert found.next_wrong(0, 1) == (1, 1)
    assert found.next_wrong(3, 1) == (0, 1)
    assert found.next_wrong(0, 1, forward=False) == (3, 1)
    assert found.next_wrong(2, 0, forward=False) == (1, 1)
    assert of(observations["dense1"], "z1").next_wrong(0, 0) is None


def test_a_buffer_that_is_none_of_the_outputs_has_no_reference(observations):
    actual = np.zeros((2, 2), np.float32)
    found, _ = with_shape(observations["dense1"], actual, None)
    assert found.expected is None
    assert found.element(0, 0) is None
    assert np.isnan(found.difference(0, 0))


def test_a_null_pointer_has_no_tensor(observations):
    assert tensor(observations["dense1"], Buffer("gone", "f32", (4,), "gone", True)) is None


def test_the_verdict_on_a_buffer_is_a_wrong_one_before_one_that_agrees(observations):
    observation = observations["dense1"]
    agrees = observation.verdicts[0]
    assert verdict_on(observation, "z1") is agrees
    assert verdict_on(observation, "z2") is None
    assert agrees.status is Status.AGREE


def test_both_infinities_differ_by_nothing(observations):
    actual = np.array([np.inf], np.float32)
    found, _ = with_shape(observations["dense1"], actual, Bounded(actual * 1.0, np.zeros(1)))
    assert found.difference(0, 0) == 0
    assert not found.wrong.any()
