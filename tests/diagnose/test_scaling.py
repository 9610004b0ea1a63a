"""Factors, and what they are equal to."""

import numpy as np
import pytest

from .scene import F, Scene, dense, numbers, sgd

Z = dense(12, 20, 10, others={"dropout_rate": np.asarray(F(0.2))})


@pytest.mark.parametrize(
    ("factor", "says"),
    [
        (12, "z is 12 times what it should be, which is the size batch"),
        (1 / 12, "which is 1 / batch"),
        (16 / 12, "which is 16 / batch"),
        (20, "which is the size in"),
        (0.5, "which is 1/2"),
        (2, "z is 2 times what it should be"),
        (-3, "z is -3 times"),
        (0.8, "which is 1 - dropout_rate"),
        (1.25, "which is 1 / (1 - dropout_rate)"),
        (255 / 256, "which is 255/256"),
        (0.7361, "z is 0.7361 times"),
    ],
)
def test_a_factor_is_named(factor: float, says: str):
    told = Z.first(Z.right * F(factor))
    assert told[0] == "scale"
    assert says in told[1]
    assert ("which" in told[1]) == ("which" in says)


def test_a_factor_of_a_part_of_the_elements_is_found():
    wrong = Z.right.copy()
    wrong[:, 4:] *= F(12)
    assert Z.first(wrong)[1].endswith("the size batch")


def test_factors_that_differ_are_none():
    wrong = Z.right * (1 + np.random.default_rng(1).random((12, 10)))
    assert Z.told(wrong) == ()


def test_one_wrong_element_has_always_a_factor_and_so_none():
    wrong = Z.right.copy()
    wrong[3, 4] *= F(0.7361)
    assert Z.told(wrong) == ()


def test_one_number_is_scaled_only_by_what_somebody_would_write():
    inputs = {"z": numbers(12, 10), "y": np.arange(12, dtype=np.uint8) % 10}
    loss = Scene("cross_entropy", inputs, names={"loss": "loss"}, sizes={"batch": 12})
    told = loss.first(loss.right * 12)
    assert told == ("scale", "loss is 12 times what it should be, which is the size batch")
    assert loss.told(loss.right * F(11.937)) == ()


def test_the_change_of_a_parameter_has_a_sign_and_a_factor_of_its_own():
    scene = sgd()
    param, grad = scene.inputs["param"], scene.inputs["grad"]
    assert scene.first(param + F(0.01) * grad) == ("sign", "the change of W has the wrong sign")
    told = scene.first(param - F(0.05) * grad)
    assert told == ("scale", "the change of W is 5 times what it should be")
    assert scene.first(param - F(0.01) * np.roll(grad, 1))[0] not in ("sign", "scale")


def test_an_input_that_is_scaled_is_named():
    inputs = {**sgd().inputs, "velocity": numbers(12, 10, seed=6), "momentum": np.asarray(F(0.9))}
    scene = Scene("sgd_momentum", inputs, part="velocity", names={"velocity": "vW"})
    wrong = inputs["velocity"] + inputs["grad"]
    told = scene.first(wrong)
    assert told == ("scale", "vW is taken 1.11111 times what it should be, which is 1 / momentum")


def test_the_width_of_initial_weights_is_named_by_their_sizes():
    inputs = {"W": np.zeros((20, 10), F), "state": np.asarray(np.uint64(5))}
    scene = Scene("glorot_uniform", inputs, names={"W": "W", "state": "weight_state"})
    told = scene.first(scene.right * F(np.sqrt(30 / 20)), shapes={"W": ("in", "h1"), "state": ()})
    assert told[0] == "scale"
    assert "sqrt((in + h1) / in)" in told[1]
