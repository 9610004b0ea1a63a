"""What each kind of op computes, once more and plainly: float64 NumPy, from the formulas.

Nothing of nndbg's reference is used. A function takes the parts of an op by name, as the program
has them, and returns for each output its value and the scale that its rounding errors grow with:
the sum of the magnitudes that are added up on the way. A scale of None says that the output is
exact: integers, and floats that are only moved or chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Outputs = dict[str, tuple[Array, Array | None]]
Parts = Mapping[str, Array]

_GOLDEN, _MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


def compute(kind: str, parts: Parts, parameters: Mapping[str, float]) -> Outputs:
    """Return the outputs of an op. Raises KeyError for a kind that is not known here."""
    operands = {
        name: part.astype(np.float64) if part.dtype.kind == "f" else part
        for name, part in parts.items()
    }
    with np.errstate(all="ignore"):
        return FORMULAS[kind](operands, parameters)


def _gather(p: Parts, parameters: Mapping[str, float]) -> Outputs:
    picked = p["table"][p["index"]]
    scale = parameters.get("scale", 1.0)
    if scale == 1.0:
        return {"out": (picked, None)}
    value = picked.astype(np.float64) * scale
    return {"out": (value, np.abs(value))}


def _dense(p: Parts, _: Mapping[str, float]) -> Outputs:
    x, W, b = p["x"], p["W"], p["b"]
    return {"z": (x @ W + b, np.abs(x) @ np.abs(W) + np.abs(b))}


def _relu(p: Parts, _: Mapping[str, float]) -> Outputs:
    return {"h": (np.where(p["z"] <= 0, 0.0, p["z"]), None)}


def _softmax(p: Parts, _: Mapping[str, float]) -> Outputs:
    below = p["z"] - p["z"].max(axis=1, keepdims=True)
    e = np.exp(below)
    value = e / e.sum(axis=1, keepdims=True)
    # A difference d is rounded by d u before exp sees it, which makes p off by p d u.
    return {"p": (value, value * (1 + np.abs(below).max(axis=1, keepdims=True)))}


def _cross_entropy(p: Parts, _: Mapping[str, float]) -> Outputs:
    z, y = p["z"], p["y"]
    below = z - z.max(axis=1, keepdims=True)
    logs = np.log(np.exp(below).sum(axis=1))
    chosen = below[np.arange(len(y)), y]
    # One number a step: its error in the sound program is a matter of luck. A sum of n terms rounds
    # by some sqrt(n) u; of equal ones, to one side.
    scale = (np.mean(np.abs(logs) + np.abs(chosen)) + 1) * np.sqrt(len(y))
    return {"loss": (np.mean(logs - chosen), scale)}


def _cross_entropy_grad(p: Parts, _: Mapping[str, float]) -> Outputs:
    chosen = np.zeros_like(p["p"])
    chosen[np.arange(len(p["y"])), p["y"]] = 1
    rows = len(p["y"])
    return {"grad": ((p["p"] - chosen) / rows, (np.abs(p["p"]) + chosen) / rows)}


def _grad_weight(p: Parts, _: Mapping[str, float]) -> Outputs:
    x, g = p["x"], p["grad"]
    return {"dW": (x.T @ g, np.abs(x).T @ np.abs(g))}


def _grad_weight_sgd(p: Parts, _: Mapping[str, float]) -> Outputs:
    x, g, W, lr = p["x"], p["grad"], p["param"], p["lr"]
    scale = np.abs(W) + np.abs(lr) * (np.abs(x).T @ np.abs(g))
    return {"param": (W - lr * (x.T @ g), scale)}


def _grad_bias(p: Parts, _: Mapping[str, float]) -> Outputs:
    return {"db": (p["grad"].sum(axis=0), np.abs(p["grad"]).sum(axis=0))}


def _grad_input(p: Parts, _: Mapping[str, float]) -> Outputs:
    g, W = p["grad"], p["W"]
    return {"dx": (g @ W.T, np.abs(g) @ np.abs(W).T)}


def _relu_grad(p: Parts, _: Mapping[str, float]) -> Outputs:
    return {"dz": (np.where(p["z"] > 0, p["grad"], 0.0), None)}


def _dropout(p: Parts, _: Mapping[str, float]) -> Outputs:
    value = p["h"] * p["mask"]
    return {"out": (value, np.abs(value))}


def _weight_decay(p: Parts, _: Mapping[str, float]) -> Outputs:
    change = p["decay"] * p["param"]
    return {"grad": (p["grad"] + change, np.abs(p["grad"]) + np.abs(change))}


def _sgd(p: Parts, _: Mapping[str, float]) -> Outputs:
    change = p["lr"] * p["grad"]
    return {"param": (p["param"] - change, np.abs(p["param"]) + np.abs(change))}


def _sgd_momentum(p: Parts, _: Mapping[str, float]) -> Outputs:
    kept, lr = p["momentum"] * p["velocity"], p["lr"]
    v, v_scale = kept + p["grad"], np.abs(kept) + np.abs(p["grad"])
    W = p["param"] - lr * v
    return {"velocity": (v, v_scale), "param": (W, np.abs(p["param"]) + np.abs(lr) * v_scale)}


def _draws(state: Array, count: int) -> tuple[list[int], int]:
    """SplitMix64, one draw at a time as its authors wrote it."""
    s, drawn = int(state), []
    for _ in range(count):
        s = (s + _GOLDEN) & _MASK
        t = ((s ^ (s >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        t = ((t ^ (t >> 27)) * 0x94D049BB133111EB) & _MASK
        drawn.append(t ^ (t >> 31))
    return drawn, s


def _units(state: Array, count: int) -> tuple[Array, Array]:
    drawn, after = _draws(state, count)
    return np.array([bits >> 40 for bits in drawn]) / 2.0**24, np.array(after, np.uint64)


def _uniform(p: Parts, fan: int) -> Outputs:
    units, after = _units(p["state"], p["W"].size)
    limit = np.sqrt(6 / fan)
    value = ((2 * units - 1) * limit).reshape(p["W"].shape)
    return {"W": (value, np.abs(value)), "state": (after, None)}


def _glorot(p: Parts, _: Mapping[str, float]) -> Outputs:
    return _uniform(p, sum(p["W"].shape))


def _he(p: Parts, _: Mapping[str, float]) -> Outputs:
    return _uniform(p, p["W"].shape[0])


def _sequence(p: Parts, _: Mapping[str, float]) -> Outputs:
    return {"order": (np.arange(len(p["order"]), dtype=p["order"].dtype), None)}


def _shuffle(p: Parts, _: Mapping[str, float]) -> Outputs:
    order = list(p["order"])
    drawn, after = _draws(p["state"], len(order) - 1)
    for i, bits in zip(reversed(range(1, len(order))), drawn, strict=True):
        j = (bits * (i + 1)) >> 64
        order[i], order[j] = order[j], order[i]
    return {
        "order": (np.array(order, p["order"].dtype), None),
        "state": (np.array(after, np.uint64), None),
    }


def _dropout_mask(p: Parts, _: Mapping[str, float]) -> Outputs:
    units, after = _units(p["state"], p["mask"].size)
    value = np.where(units < p["rate"], 0.0, 1 / (1 - p["rate"])).reshape(p["mask"].shape)
    return {"mask": (value, value), "state": (after, None)}


FORMULAS: Mapping[str, Callable[[Parts, Mapping[str, float]], Outputs]] = {
    "gather": _gather,
    "dense": _dense,
    "relu": _relu,
    "softmax": _softmax,
    "cross_entropy": _cross_entropy,
    "softmax_cross_entropy_grad": _cross_entropy_grad,
    "dense_grad_weight": _grad_weight,
    "dense_grad_weight_sgd": _grad_weight_sgd,
    "dense_grad_bias": _grad_bias,
    "dense_grad_input": _grad_input,
    "relu_grad": _relu_grad,
    "dropout": _dropout,
    "weight_decay": _weight_decay,
    "sgd": _sgd,
    "sgd_momentum": _sgd_momentum,
    "glorot_uniform": _glorot,
    "he_uniform": _he,
    "sequence": _sequence,
    "shuffle": _shuffle,
    "dropout_mask": _dropout_mask,
}
