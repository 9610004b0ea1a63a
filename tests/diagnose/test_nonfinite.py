"""Where a NaN or an infinity comes from, by name and place."""

import numpy as np

from .scene import F, Scene, dense, numbers


def test_the_element_that_brings_it_in_is_named():
    scene = dense()
    scene.inputs["W"][7, 3] = np.nan
    told = scene.first(scene.right)
    assert told[0] == "nonfinite_input"
    assert "NaN in W[7, 3], and with it makes 12 elements undefined" in told[1]


def test_of_several_the_first_is_named_and_all_are_counted():
    scene = dense()
    scene.inputs["x"][2, 4] = np.nan
    scene.inputs["x"][5, 1] = np.inf
    told = scene.first(scene.right)
    assert "NaN in x[2, 4] (the first of 2 that are not finite)" in told[1]


def test_a_nan_of_finite_numbers_is_the_op_s_own():
    scene = dense()
    wrong = scene.right
    wrong[4, 5] = np.nan
    assert scene.first(wrong) == (
        "nonfinite",
        "op makes NaN of finite numbers, first in z[4, 5]",
    )


def softmax(largest: float) -> Scene:
    z = numbers(6, 10)
    z[2, 7] = largest
    return Scene("softmax", {"z": z}, names={"z": "z3", "p": "p"})


def test_an_exponential_that_overflows_is_named():
    scene = softmax(120)
    wrong = scene.right
    wrong[2] = 0
    wrong[2, 7] = np.nan
    told = scene.first(wrong)
    assert told[0] == "overflow"
    assert "exp of z3[2, 7] = 120 overflows" in told[1]


def test_a_nan_that_no_exponential_explains_is_no_overflow():
    scene = softmax(60)
    wrong = scene.right
    wrong[2, 7] = np.nan
    assert scene.first(wrong)[0] == "nonfinite"


def entropy(label: int) -> Scene:
    z = numbers(6, 10)
    z[2] = 0
    z[2, 7] = 200
    y = np.array([1, 2, label, 3, 4, 5], np.uint8)
    return Scene("cross_entropy", {"z": z, "y": y}, names={"z": "z3", "loss": "loss"})


def test_a_logarithm_of_zero_is_named_by_its_row_and_label():
    told = entropy(1).first(np.asarray(F(np.inf)))
    assert told[0] == "log_of_zero"
    assert "row 2 z3[2, 1] is 200 below the largest" in told[1]


def test_where_the_label_is_likely_the_logarithm_is_none_of_zero():
    assert entropy(7).first(np.asarray(F(np.inf)))[0] == "overflow"
