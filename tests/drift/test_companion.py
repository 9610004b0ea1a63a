"""Beside a program: what noise explains, what it does not, and on whose side a ReLU turns."""

from __future__ import annotations

import numpy as np
import pytest

from nndbg.compare import Mode, Status
from nndbg.drift import Companion, Drifted
from nndbg.layermap import parse_map
from nndbg.reference import Bounded

ROWS = 3


@pytest.fixture
def layer_map(fake):
    return fake([]).layer_map


class Run:
    """A companion, and a program that does what it is told."""

    def __init__(self, layer_map) -> None:
        self.map, self.companion, self.step = layer_map, Companion(layer_map), 0

    def __call__(self, name: str, actual: np.ndarray, **inputs: np.ndarray) -> Drifted:
        op = self.map.op(name)
        (output,) = op.outputs.values()
        before = {output: np.zeros_like(actual)}
        (found,) = self.companion.follow(self.step, op, inputs, before, {output: actual})
        return found


@pytest.fixture
def follow(layer_map) -> Run:
    return Run(layer_map)


def dense(**changed: np.ndarray) -> dict[str, np.ndarray]:
    """Inputs of the dense layer, by part."""
    random = np.random.default_rng(8)
    inputs = {"x": (ROWS, 3), "W": (3, 2), "b": (2,)}
    return {name: random.random(s, np.float32) - np.float32(0.5) for name, s in inputs.items()} | (
        changed
    )


def test_an_output_as_float32_has_it_is_within_the_noise(follow):
    inputs = dense()
    found = follow("dense", inputs["x"] @ inputs["W"] + inputs["b"], **inputs)
    assert (found.verdict.status, found.verdict.subject.mode) == (Status.AGREE, Mode.TRAJECTORY)
    assert found.point is not None
    assert 0 < found.point.drift < 3 * found.point.floor
    assert found.point.bound is not None
    assert found.point.drift < found.point.bound
    assert not found.departs


def test_what_is_within_the_bound_and_beyond_the_noise_is_left_open_and_told(follow):
    inputs = dense(W=np.full((3, 2), 0.3, np.float32), x=np.full((ROWS, 3), 0.7, np.float32))
    # What the step before left unsure is unsure still, but noise moved it by nothing like that.
    W = inputs["W"].astype(float)
    follow.companion._reference.keep({"W": _with_error(W, 1e-3)})
    wrong = inputs["x"] @ inputs["W"] + inputs["b"] + np.float32(1e-4)
    found = follow("dense", wrong, **inputs)
    assert found.departs
    assert found.verdict.status is Status.UNCHECKED
    assert "times as far from the reference as float32 noise: likely wrong" in found.verdict.says


def _with_error(value: np.ndarray, error: float) -> Bounded:
    return Bounded(value, np.full(value.shape, error))


def test_what_is_beyond_the_bound_is_wrong_and_not_only_likely_so(follow):
    inputs = dense()
    found = follow("dense", inputs["x"] @ inputs["W"], **inputs)
    assert found.departs
    assert found.verdict.status is Status.DIVERGED
    assert found.verdict.says == ""


def test_a_program_without_a_number_where_the_reference_has_one_departs(follow):
    inputs = dense()
    follow.companion._reference.keep({"W": _with_error(inputs["W"].astype(float), np.inf)})
    actual = inputs["x"] @ inputs["W"] + inputs["b"]
    actual[1, 1] = np.nan
    found = follow("dense", actual, **inputs)
    assert found.departs
    assert found.point is not None
    assert np.isinf(found.point.drift)
    assert found.verdict.status is Status.UNCHECKED


def test_where_the_reference_overflows_nothing_departs(follow):
    inputs = dense(W=np.full((3, 2), 3e38, np.float32), x=np.full((ROWS, 3), 3e38, np.float32))
    found = follow("dense", np.full((ROWS, 2), np.inf, np.float32), **inputs)
    assert not found.departs
    assert found.verdict.status is Status.UNCHECKED


def turn(follow: Run, z: float) -> Drifted:
    """The gradient behind a ReLU whose input is `z` in the program, and near 0 in the reference."""
    half = np.full((ROWS, 2), 0.5, np.float32)
    inputs = dense(
        x=np.full((ROWS, 3), 0.1, np.float32),
        W=np.full((3, 2), 0.1, np.float32),
        b=np.full(2, -0.03, np.float32),
    )
    actual = np.full((ROWS, 2), z, np.float32)
    follow("dense", actual, **inputs)
    return follow("dz", np.where(actual > 0, half, 0), grad=half, z=actual)


def test_a_relu_that_noise_turns_is_followed_and_counted(follow):
    exact = 3 * float(np.float32(0.1)) ** 2 - float(np.float32(0.03))
    found = turn(follow, -np.sign(exact) * 1e-10)
    assert found.point is not None
    assert found.point.drift == 0
    assert follow.companion.turns == 2 * ROWS
    assert not found.departs


def test_a_relu_that_turns_without_reason_is_not_followed(follow):
    found = turn(follow, -0.01)
    assert found.point is not None
    assert found.point.drift > 0
    assert follow.companion.turns == 0


def test_the_noise_of_an_output_never_shrinks(follow):
    inputs = dense()
    actual = inputs["x"] @ inputs["W"] + inputs["b"]
    floors = []
    for _ in range(20):
        found = follow("dense", actual, **inputs)
        assert found.point is not None
        floors.append(found.point.floor)
    assert floors == sorted(floors)
    assert len(set(floors)) > 1


def test_integers_have_a_verdict_and_no_distance(fake):
    source = fake([])
    text = source.text.replace('table = { dtype = "f32"', 'table = { dtype = "u8"').replace(
        'x  = { dtype = "f32"', 'x  = { dtype = "u8"'
    )
    text = text[: text.index('[[ops]]\nname = "dense"')]
    run = Run(parse_map(text, "small.toml"))
    table, index = np.arange(15, dtype=np.uint8).reshape(5, 3), np.array([4, 0, 2], np.uint8)
    found = run("load", table[index], table=table, index=index)
    assert (found.verdict.status, found.point, found.departs) == (Status.AGREE, None, False)
