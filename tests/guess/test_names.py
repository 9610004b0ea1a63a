"""Names of variables, as people give them, and what they say."""

from __future__ import annotations

import pytest

from nndbg.guess.names import layer_order, role_of

SAID = [
    ("W1", ("weight", "1", "")),
    ("b2", ("bias", "2", "")),
    ("z1", ("pre", "1", "")),
    ("a3", ("activation", "3", "")),
    ("x", ("input", "", "")),
    ("batch_y", ("label", "", "")),
    ("dW1", ("weight", "1", "gradient")),
    ("dbias1", ("bias", "1", "gradient")),
    ("grad_h1", ("activation", "1", "gradient")),
    ("W2_grad", ("weight", "2", "gradient")),
    ("d1", ("pre", "1", "gradient")),
    ("delta2", ("pre", "2", "gradient")),
    ("vW1", ("weight", "1", "velocity")),
    ("vb1", ("bias", "1", "velocity")),
    ("velocity_w1", ("weight", "1", "velocity")),
    ("fc1_w", ("weight", "1", "")),
    ("fc1.weight", ("weight", "1", "")),
    ("layer1_weights", ("weight", "1", "")),
    ("w_hidden", ("weight", "hidden", "")),
    ("hidden_bias", ("bias", "hidden", "")),
    ("net.output.dz", ("pre", "output", "gradient")),
    ("layers[0].W", ("weight", "0", "")),
    ("learning_rate", ("rate", "", "")),
    ("batch_rows", ("rows", "", "")),
    ("loss", ("loss", "", "")),
]


@pytest.mark.parametrize(("name", "said"), SAID)
def test_a_name_says_the_role_the_layer_and_what_it_is_of(name: str, said: tuple[str, str, str]):
    role = role_of(name)
    assert role is not None
    assert (role.base, role.layer, role.of) == said


@pytest.mark.parametrize("name", ["mask1", "step", "printf", "train_count", "stdout", "W1_2_3"])
def test_other_names_say_nothing(name: str):
    assert role_of(name) is None


def test_layers_come_by_number_and_the_output_last():
    layers = ["output", "10", "2", "hidden"]
    assert sorted(layers, key=layer_order) == ["hidden", "2", "10", "output"]
