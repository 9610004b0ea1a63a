"""The recomputation is the formula, for every kind of op."""

import tomllib

import numpy as np
import pytest

from tests.broken.build import ROOT

from .arithmetic import FORMULAS, compute

Z = np.array([[1.0, 2.0], [3.0, -1.0]], np.float32)
W = np.array([[1.0, 0.5], [-2.0, 4.0]], np.float32)
Y = np.array([1, 0], np.uint8)
RATE = np.array(0.5, np.float32)


def first(kind: str, **parts: np.ndarray) -> list[float]:
    made = compute(kind, parts, {})
    return list(np.ravel(next(iter(made.values()))[0]).tolist())


def test_every_kind_of_op_of_the_trainer_has_a_formula() -> None:
    layer_map = tomllib.loads((ROOT / "asm" / "mnist.toml").read_text())
    assert set(FORMULAS) == {op["kind"] for op in layer_map["ops"]}


@pytest.mark.parametrize(
    ("kind", "parts", "expected"),
    [
        ("gather", {"table": Z, "index": Y}, [3, -1, 1, 2]),
        ("dense", {"x": Z, "W": W, "b": np.ones(2, np.float32)}, [-2, 9.5, 6, -1.5]),
        ("relu", {"z": Z}, [1, 2, 3, 0]),
        ("softmax", {"z": np.zeros((1, 2), np.float32)}, [0.5, 0.5]),
        ("softmax_cross_entropy_grad", {"p": Z, "y": Y}, [0.5, 0.5, 1, -0.5]),
        ("dense_grad_weight", {"x": Z, "grad": W}, [-5, 12.5, 4, -3]),
        ("dense_grad_weight_sgd", {"x": Z, "grad": W, "param": W, "lr": RATE}, [
            *(3.5, -5.75, -4, 5.5),
        ]),
        ("dense_grad_bias", {"grad": Z}, [4, 1]),
        ("dense_grad_input", {"grad": Z, "W": W}, [2, 6, 2.5, -10]),
        ("relu_grad", {"grad": W, "z": Z}, [1, 0.5, -2, 0]),
        ("dropout", {"h": Z, "mask": W}, [1, 1, -6, -4]),
        ("weight_decay", {"grad": Z, "param": W, "decay": RATE}, [1.5, 2.25, 2, 1]),
        ("sgd", {"param": Z, "grad": W, "lr": RATE}, [0.5, 1.75, 4, -3]),
        ("sequence", {"order": Y}, [0, 1]),
    ],
)  # fmt: skip
def test_a_formula_by_hand(kind: str, parts: dict[str, np.ndarray], expected: list[float]) -> None:
    assert first(kind, **parts) == pytest.approx(expected)


def test_the_loss_is_the_mean_of_minus_log_p() -> None:
    p = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    expected = -np.mean([np.log(p[0, 1]), np.log(p[1, 0])])
    assert first("cross_entropy", z=Z, y=Y) == pytest.approx([expected])


def test_momentum_keeps_a_part_of_the_velocity() -> None:
    made = compute(
        "sgd_momentum",
        {"param": Z, "grad": W, "velocity": Z, "lr": RATE, "momentum": RATE},
        {},
    )
    assert made["velocity"][0].ravel().tolist() == [1.5, 1.5, -0.5, 3.5]
    assert made["param"][0].ravel().tolist() == [0.25, 1.25, 3.25, -2.75]


def test_the_first_draws_are_those_of_the_published_generator() -> None:
    # Vigna's splitmix64.c with x = 1234567 begins with 6457827717110365317.
    state = np.array(1234567, np.uint64)
    made = compute("he_uniform", {"W": np.zeros((1, 1), np.float32), "state": state}, {})
    unit = (6457827717110365317 >> 40) / 2**24
    assert made["W"][0].item() == pytest.approx((2 * unit - 1) * 6**0.5)
    assert int(made["state"][0]) == 1234567 + 0x9E3779B97F4A7C15


def test_a_shuffle_moves_every_sample_once() -> None:
    order = np.arange(9, dtype=np.uint32)
    moved = first("shuffle", order=order, state=np.array(5, np.uint64))
    assert sorted(moved) == order.tolist() != moved


def test_a_mask_is_zero_or_the_inverse_of_what_is_kept() -> None:
    mask = np.zeros(64, np.float32)
    made = first("dropout_mask", mask=mask, state=np.array(5, np.uint64), rate=RATE)
    assert set(made) == {0.0, 2.0}
