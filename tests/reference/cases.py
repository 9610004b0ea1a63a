"""Every kind on inputs as a training has them, and the ways in which correct programs compute it.

Measures how near an element comes to its bound. Sizes are those of the bundled trainer, four in
five pixels are zero. The true value is computed in the 80-bit format, which adds 11 bits to
float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nndbg.reference import FLOAT32, FLOAT64, KINDS

from .programs import (
    ADAMS,
    backwards,
    dot_by,
    dot_fused,
    fma,
    in_lanes,
    pairwise,
    sequential,
)

Array = NDArray[np.floating]
Operands = dict[str, NDArray]
Way = Callable[..., Array | tuple[Array, ...]]

FORMATS = {np.float32: FLOAT32, np.float64: FLOAT64}
ORDERS = [sequential, backwards, pairwise, in_lanes(4), in_lanes(8), in_lanes(16)]
LANES = 16
SPLIT = [in_lanes(LANES)]
SAMPLES, INPUTS, OUTPUTS, CLASSES = 64, 784, 32, 10
RATE, SLOPE, FACTOR = 0.2, 0.01, 0.1
DRAWS = 10


@dataclass(frozen=True)
class Case:
    """A kind, what it is given, and the ways in which correct programs compute it.

    The first way, in the 80-bit format, tells the true value. `fused` are for float32 alone. A
    result of one element is drawn more often.
    """

    operands: Callable[[np.random.Generator], Operands]
    ways: Sequence[Way]
    fused: Sequence[Way] = ()
    parameters: Mapping[str, float] = field(default_factory=dict)
    kind: str = ""
    draws: int = 1


def pixels(random: np.random.Generator) -> Array:
    x = random.integers(0, 256, (SAMPLES, INPUTS)) / 255
    return np.where(random.random(x.shape) < 0.8, 0, x)


def normal(*shape: int, scale: float = 1.0) -> Callable[[np.random.Generator], Array]:
    return lambda random: random.standard_normal(shape) * scale


def given(**parts: Callable[[np.random.Generator], NDArray]) -> Callable:
    return lambda random: {name: draw(random) for name, draw in parts.items()}


def constant(value: float) -> Callable[[np.random.Generator], Array]:
    return lambda _: np.asarray(value)


def labels(random: np.random.Generator) -> NDArray:
    return random.integers(0, CLASSES, SAMPLES)


# What programs do. Each function takes the parts of its kind, in their order.


def exp(z: Array) -> Array:
    """Rounded once in float32; elsewhere as NumPy has it, to 1 ulp."""
    return np.exp(z.astype(np.float64)).astype(np.float32) if z.dtype == np.float32 else np.exp(z)


def log(z: Array) -> Array:
    return np.log(z.astype(np.float64)).astype(np.float32) if z.dtype == np.float32 else np.log(z)


def one(a: Array) -> Array:
    return a.dtype.type(1)


def weight_by(dot: Callable) -> Way:
    return lambda x, grad: dot(x.T, grad)


def weight_accumulate_by(dot: Callable) -> Way:
    return lambda x, grad, dW: dot(x.T, grad) + dW


def weight_sgd_by(dot: Callable) -> Way:
    return lambda x, grad, param, lr: param - lr * dot(x.T, grad)


def input_by(dot: Callable) -> Way:
    return lambda grad, W: dot(grad, W.T)


def input_accumulate_by(dot: Callable) -> Way:
    return lambda grad, W, dx: dot(grad, W.T) + dx


def along(order: Callable, axis: int | None, mean: bool = False) -> Way:
    def summed(a: Array) -> Array:
        terms = list(a.reshape(-1, 1)) if axis is None else list(np.moveaxis(a, axis, 0))
        total = order(terms)
        total = total.reshape(()) if axis is None else total
        return total / a.dtype.type(len(terms)) if mean else total

    return summed


def softmax_by(order: Callable, shifted: bool, reciprocal: bool) -> Way:
    def softmax(z: Array) -> Array:
        powers = exp(z - z.max(axis=1, keepdims=True) if shifted else z)
        sums = order(list(powers.T))[:, None]
        return powers * (one(z) / sums) if reciprocal else powers / sums

    return softmax


def loss_by(order: Callable, formula: str) -> Way:
    def loss(z: Array, y: NDArray) -> Array:
        rows, most = np.arange(len(z)), z.max(axis=1)
        if formula == "without maximum":
            each = log(order(list(exp(z).T))) - z[rows, y]
        else:
            powers = exp(z - most[:, None])
            sums = order(list(powers.T))
            if formula == "of p":
                each = -log((powers / sums[:, None])[rows, y])
            else:
                each = log(sums) + (most - z[rows, y])
        return order([np.asarray(a) for a in each]) / z.dtype.type(len(z))

    return loss


def softmax_grad(p: Array, y: NDArray) -> Array:
    return (p - np.eye(CLASSES, dtype=p.dtype)[y]) / p.dtype.type(len(p))


def softmax_grad_by_product(p: Array, y: NDArray) -> Array:
    return (p - np.eye(CLASSES, dtype=p.dtype)[y]) * (one(p) / p.dtype.type(len(p)))


def momentum(param: Array, grad: Array, velocity: Array, lr: Array, momentum: Array) -> tuple:
    v = momentum * velocity + grad
    return param - lr * v, v


def tanh_of_powers(z: Array) -> Array:
    e = exp(z + z)
    return (e - one(z)) / (e + one(z))


def tanh_beside_one(z: Array) -> Array:
    e = exp(z + z)
    return one(z) - (one(z) + one(z)) / (e + one(z))


def tanh(z: Array) -> Array:
    return np.tanh(z.astype(np.float64)).astype(np.float32) if z.dtype == np.float32 else np.tanh(z)


def adam_by(update: Callable) -> Way:
    return lambda param, grad, m, v, lr, step: update(param, grad, m, v, int(step), lr)


def fused_sgd(param: Array, grad: Array, lr: Array) -> Array:
    return fma(np.broadcast_to(-lr, grad.shape), grad, param)


DOTS, FUSED = [dot_by(order) for order in ORDERS], [dot_fused(n) for n in (1, 4, 16)]
LAYER = {"x": pixels, "grad": normal(SAMPLES, OUTPUTS, scale=1e-3)}
WEIGHTS = normal(INPUTS, OUTPUTS, scale=0.05)
BACK = {"grad": normal(SAMPLES, OUTPUTS, scale=1e-3), "W": WEIGHTS}
TABLE = given(a=normal(SAMPLES, 128))
PARAMETERS = {"param": WEIGHTS, "grad": normal(INPUTS, OUTPUTS, scale=1e-3)}
LR = {"lr": constant(0.01)}
FORMULAS = ["of logits", "without maximum", "of p"]


def layers(dots: Sequence[Callable], fused: Sequence[Callable], **parameters: float) -> dict:
    """The cases of a dense layer, whose sums are added by these."""

    def case(by: Callable, operands: Callable) -> Case:
        return Case(operands, [by(d) for d in dots], [by(d) for d in fused], parameters)

    bias = given(x=pixels, W=WEIGHTS, b=normal(OUTPUTS, scale=0.01))
    return {
        "dense": Case(bias, list(dots), list(fused), parameters),
        "dense_grad_weight": case(weight_by, given(**LAYER)),
        "dense_grad_weight_accumulate": case(
            weight_accumulate_by, given(**LAYER, dW=normal(INPUTS, OUTPUTS, scale=1e-3))
        ),
        "dense_grad_weight_sgd": case(weight_sgd_by, given(**LAYER, param=WEIGHTS, **LR)),
        "dense_grad_input": case(input_by, given(**BACK)),
        "dense_grad_input_accumulate": case(
            input_accumulate_by, given(**BACK, dx=normal(SAMPLES, INPUTS, scale=1e-3))
        ),
    }


def sums(orders: Sequence[Callable], **parameters: float) -> dict[str, Case]:
    """The cases of sums that are added by these."""
    cases = {
        name: Case(
            TABLE,
            [along(order, axis) for order in orders],
            parameters=parameters,
            draws=DRAWS if axis is None else 1,
        )
        for name, axis in (("sum", 0), ("row_sum", 1), ("sum_all", None))
    }
    grad = given(grad=normal(SAMPLES, OUTPUTS, scale=1e-3))
    cases["dense_grad_bias"] = Case(
        grad, [lambda grad, o=order: o(list(grad)) for order in orders], (), parameters
    )
    return cases


def split(cases: Mapping[str, Case]) -> dict[str, Case]:
    """The same cases for programs that state their accumulators."""
    return {f"{name}, {LANES} accumulators": replace(c, kind=name) for name, c in cases.items()}


CASES: dict[str, Case] = {
    **layers(DOTS, FUSED),
    **split(layers([dot_by(SPLIT[0])], [dot_fused(LANES)], accumulators=LANES)),
    **sums(ORDERS),
    **split(sums(SPLIT, accumulators=LANES)),
    "dense_grad_bias_accumulate": Case(
        given(grad=normal(SAMPLES, OUTPUTS, scale=1e-3), db=normal(OUTPUTS, scale=1e-3)),
        [lambda grad, db, o=order: o([db, *grad]) for order in ORDERS],
    ),
    **{
        name: Case(
            TABLE,
            [along(order, axis, mean=True) for order in ORDERS],
            draws=DRAWS if axis is None else 1,
        )
        for name, axis in (("mean", 0), ("row_mean", 1), ("mean_all", None))
    },
    "gather": Case(
        given(table=lambda r: r.integers(0, 256, (9, 784)) * 1.0, index=lambda _: np.arange(9)),
        [lambda table, index: table[index] * table.dtype.type(1 / 255)],
        parameters={"scale": 1 / 255},
    ),
    "leaky_relu": Case(
        given(z=normal(SAMPLES, 128)),
        [lambda z: np.where(z > 0, z, z * z.dtype.type(SLOPE))],
        parameters={"slope": SLOPE},
    ),
    "leaky_relu_grad": Case(
        given(grad=normal(SAMPLES, 128), z=normal(SAMPLES, 128)),
        [lambda grad, z: np.where(z > 0, grad, grad * z.dtype.type(SLOPE))],
        parameters={"slope": SLOPE},
    ),
    "sigmoid": Case(
        given(z=normal(SAMPLES, 128, scale=3)),
        [lambda z: one(z) / (one(z) + exp(-z)), lambda z: exp(z) / (one(z) + exp(z))],
        parameters={"exp_ulps": 1},
    ),
    "sigmoid_grad": Case(
        given(grad=normal(SAMPLES, 128), h=lambda r: r.random((SAMPLES, 128))),
        [lambda grad, h: grad * h * (one(h) - h), lambda grad, h: grad * (h - h * h)],
    ),
    "tanh": Case(given(z=normal(SAMPLES, 128)), [tanh], parameters={"tanh_ulps": 1}),
    "tanh, of powers": Case(
        given(z=normal(SAMPLES, 128)),
        [tanh, tanh_of_powers, tanh_beside_one],
        parameters={"tanh_ulps": 1, "exp_ulps": 1},
        kind="tanh",
    ),
    "tanh_grad": Case(
        given(grad=normal(SAMPLES, 128), h=lambda r: r.random((SAMPLES, 128)) * 2 - 1),
        [
            lambda grad, h: grad * (one(h) - h) * (one(h) + h),
            lambda grad, h: grad * (one(h) - h * h),
            lambda grad, h: grad - grad * (h * h),
        ],
    ),
    "softmax": Case(
        given(z=normal(SAMPLES, CLASSES, scale=3)),
        [softmax_by(o, s, r) for s in (True, False) for r in (False, True) for o in ORDERS],
        parameters={"exp_ulps": 1},
    ),
    "cross_entropy": Case(
        given(z=normal(SAMPLES, CLASSES, scale=3), y=labels),
        [loss_by(order, formula) for formula in FORMULAS for order in ORDERS],
        parameters={"exp_ulps": 1, "log_ulps": 1},
        draws=DRAWS,
    ),
    "cross_entropy, 1 sample": Case(
        given(z=normal(1, CLASSES, scale=3), y=lambda r: r.integers(0, CLASSES, 1)),
        [loss_by(order, formula) for formula in FORMULAS for order in ORDERS],
        parameters={"exp_ulps": 1, "log_ulps": 1},
        draws=DRAWS,
        kind="cross_entropy",
    ),
    "softmax_cross_entropy_grad": Case(
        given(
            p=lambda r: r.dirichlet(np.full(CLASSES, 0.3), SAMPLES - 1), y=lambda r: labels(r)[1:]
        ),
        [softmax_grad, softmax_grad_by_product],
    ),
    "dropout": Case(
        given(h=normal(SAMPLES, 128), mask=lambda r: (r.random((SAMPLES, 128)) >= RATE) * 1.25),
        [lambda h, mask: h * mask],
    ),
    "weight_decay": Case(
        given(grad=PARAMETERS["grad"], param=WEIGHTS, decay=constant(1e-4)),
        [lambda grad, param, decay: grad + decay * param],
    ),
    "sgd": Case(
        given(**PARAMETERS, **LR), [lambda param, grad, lr: param - lr * grad], [fused_sgd]
    ),
    "sgd_momentum": Case(
        given(**PARAMETERS, velocity=WEIGHTS, **LR, momentum=constant(0.9)), [momentum]
    ),
    "adam, step 1": Case(
        given(
            **PARAMETERS,
            m=lambda _: np.zeros((INPUTS, OUTPUTS)),
            v=lambda _: np.zeros((INPUTS, OUTPUTS)),
            lr=constant(1e-3),
            step=lambda _: np.asarray(1),
        ),
        [adam_by(update) for update in (ADAMS[1], ADAMS[0], ADAMS[2])],
        kind="adam",
    ),
    "adam, step 1000": Case(
        given(
            **PARAMETERS,
            m=normal(INPUTS, OUTPUTS, scale=1e-3),
            v=lambda r: r.random((INPUTS, OUTPUTS)) * 1e-6,
            lr=constant(1e-3),
            step=lambda _: np.asarray(1000),
        ),
        [adam_by(update) for update in (ADAMS[1], ADAMS[0], ADAMS[2])],
        kind="adam",
    ),
    "add": Case(given(a=normal(9999), b=normal(9999)), [lambda a, b: a + b]),
    "multiply": Case(given(a=normal(9999), b=normal(9999)), [lambda a, b: a * b]),
    "scale": Case(
        given(a=normal(9999)),
        [lambda a: a * a.dtype.type(FACTOR)],
        parameters={"factor": FACTOR},
    ),
    "scale_by": Case(given(a=normal(9999), factor=constant(0.1)), [lambda a, factor: a * factor]),
}


def looseness(name: str, case: Case, dtype: type, seeds: int) -> float:
    """Return the bound over the error, where an element comes nearest to its bound."""
    worst = 0.0
    for seed in range(seeds * case.draws):
        parts = case.operands(np.random.default_rng(seed))
        operands = {
            part: a.astype(dtype) if a.dtype.kind == "f" else a for part, a in parts.items()
        }
        long = {
            part: a.astype(np.longdouble) if a.dtype.kind == "f" else a
            for part, a in operands.items()
        }
        kind = KINDS[case.kind or name]
        expected = kind.compute(operands, FORMATS[dtype], case.parameters).values()
        true = tuple_of(case.ways[0](*long.values()))
        for way in [*case.ways, *(case.fused if dtype is np.float32 else ())]:
            for bound, result, exact in zip(
                expected, tuple_of(way(*operands.values())), true, strict=True
            ):
                assert result.dtype == dtype, (name, result.dtype)
                error = np.abs(result.astype(np.longdouble) - exact)
                share = np.divide(error, bound.error, out=np.zeros(error.shape), where=error > 0)
                worst = max(worst, float(share.max()))
    assert worst <= 1, f"{name}: an error of {worst} times the bound"
    return 1 / worst if worst else np.inf


def tuple_of(results: Array | tuple[Array, ...]) -> tuple[Array, ...]:
    return results if isinstance(results, tuple) else (np.asarray(results),)
