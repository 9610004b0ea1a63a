"""Ops without a buffer in between are the ops one after the other."""

import numpy as np
import pytest

from nndbg.reference import FLOAT32, KINDS
from nndbg.reference.fusion import FusionError, fuse


def of(*names: str):
    return fuse([KINDS[name] for name in names])


@pytest.mark.parametrize(
    ("names", "signature"),
    [
        (("dense", "relu"), "x[n,i] W[i,o] b[o] -> h[n,o]"),
        (("dense", "softmax"), "x[n,i] W[i,o] b[o] -> p[n,o]"),
        (("dense", "relu", "dropout"), "x[n,i] W[i,o] b[o] mask[n,o] -> out[n,o]"),
        (("dense_grad_input", "relu_grad"), "grad[n,o] W[i,o] z[n,i] -> dz[n,i]"),
        (("dense_grad_weight", "sgd"), "x[n,i] grad[n,o] param[i,o] lr[] -> param[i,o]"),
    ],
)
def test_the_parts_are_those_that_are_left(names, signature):
    kind = of(*names)
    inputs, outputs = " ".join(map(str, kind.inputs)), " ".join(map(str, kind.outputs))
    assert f"{inputs} -> {outputs}" == signature


def test_a_single_kind_stays_what_it_is():
    assert of("dense") is KINDS["dense"]


def test_values_and_bounds_are_those_of_one_op_after_the_other():
    random = np.random.default_rng(1)
    x, W, b = (random.normal(size=s).astype(np.float32) for s in ((5, 7), (7, 4), (4,)))
    fused = of("dense", "softmax").compute({"x": x, "W": W, "b": b}, FLOAT32, {"exp_ulps": 2})["p"]
    z = KINDS["dense"].compute({"x": x, "W": W, "b": b}, FLOAT32, {})["z"]
    p = KINDS["softmax"].compute({"z": z}, FLOAT32, {"exp_ulps": 2})["p"]
    assert np.array_equal(fused.value, p.value)
    assert np.array_equal(fused.error, p.error)
    assert (
        fused.error
        > KINDS["softmax"]
        .compute({"z": z.value.astype(np.float32)}, FLOAT32, {"exp_ulps": 2})["p"]
        .error
    ).all()


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("sgd_momentum", "relu"), "several outputs"),
        (("cross_entropy", "softmax"), "does not have the axes"),
        (("dense", "softmax_cross_entropy_grad", "gather"), "cannot be table"),
        (("dense", "dense"), r"W\[i,o\] of dense is no W"),
    ],
)
def test_kinds_that_cannot_follow_one_another_are_refused(names, says):
    with pytest.raises(FusionError, match=says):
        of(*names)
