"""The ops that a network with these buffers usually has, forwards, backwards and the update."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

from nndbg.guess.shapes import Shapes

Operands = Mapping[str, str]


@dataclass(frozen=True)
class Template:
    """An op that may be there; operands name buffers. `words` are how functions for it are called.

    `scalars` are the parts that a call need not pass.
    """

    name: str
    kind: str
    inputs: Operands
    outputs: Operands
    words: frozenset[str]
    reason: str
    scalars: frozenset[str] = frozenset()

    @property
    def arrays(self) -> frozenset[str]:
        """The buffers that who computes it has to know."""
        parts = {name for part, name in self.inputs.items() if part not in self.scalars}
        return frozenset(parts | set(self.outputs.values()))


_WORDS = {
    "dense": "dense forward linear matmul gemm fc affine layer",
    "relu": "relu activate activation act",
    "softmax": "softmax probabilities",
    "cross_entropy": "loss cross entropy cost",
    "softmax_cross_entropy_grad": "output error gradient grad delta",
    "dense_grad_weight": "weight gradient grad outer dw",
    "dense_grad_bias": "bias gradient grad add db sum weight",
    "dense_grad_input": "input hidden gradient grad backward dx dh",
    "relu_grad": "relu gradient grad backward derivative",
    "sgd": "update sgd descend step apply",
    "sgd_momentum": "update sgd momentum step apply",
}


def find_ops(shapes: Shapes) -> list[Template]:
    """Return the ops that the buffers suggest, in the order of a step."""
    return list(_Finder(shapes).ops())


class _Finder:
    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes
        self.layers = [x for x in shapes.layers if shapes.get("weight", x)]

    def name(self, base: str, layer: str = "", of: str = "") -> str | None:
        found = self.shapes.get(base, layer, of)
        return found.array.name if found is not None else None

    def ops(self) -> Iterator[Template]:
        entering = self.name("input")
        inputs: dict[str, str | None] = {}
        last = self.layers[-1] if self.layers else ""
        for number, layer in enumerate(self.layers, 1):
            inputs[layer] = entering
            entering = yield from self.forward(number, layer, entering, layer == last)
        if not self.layers:
            return
        made = self.name("probability") or self.name("activation", last) or self.name("pre", last)
        yield from self.loss(last, made)
        yield from self.backward(inputs)
        yield from self.update()

    def forward(
        self, number: int, layer: str, x: str | None, is_last: bool
    ) -> Generator[Template, None, str | None]:
        z, h = self.name("pre", layer), self.name("activation", layer)
        if is_last:
            h = self.name("probability") or h
        weight, bias = self.name("weight", layer), self.name("bias", layer)
        made = z or h
        if made and x and weight and bias:
            inputs = {"x": x, "W": weight, "b": bias}
            yield _op(f"dense{number}", "dense", inputs, {"z": made}, "its weights and their layer")
        if made and is_last:
            yield _op("softmax", "softmax", {"z": made}, {"p": h or made}, "the last layer")
        elif made:
            says = "relu is the most usual activation; `nndbg map fit` tries others"
            yield _op(f"relu{number}", "relu", {"z": made}, {"h": h or made}, says)
        return h or made

    def loss(self, last: str, p: str | None) -> Iterator[Template]:
        z, y, loss = self.name("pre", last), self.name("label"), self.name("loss")
        dz = self.name("pre", last, "gradient")
        if z and y and loss and z != p:
            yield _op(
                "loss", "cross_entropy", {"z": z, "y": y}, {"loss": loss}, "softmax before it"
            )
        if p and y and dz:
            kind = "softmax_cross_entropy_grad"
            yield _op(dz, kind, {"p": p, "y": y}, {"grad": dz}, "probabilities, labels, gradient")

    def backward(self, inputs: Mapping[str, str | None]) -> Iterator[Template]:
        before = dict(zip(self.layers[1:], self.layers[:-1], strict=True))
        for layer in reversed(self.layers):
            dz, x = self.name("pre", layer, "gradient"), inputs[layer]
            dW, db = self.name("weight", layer, "gradient"), self.name("bias", layer, "gradient")
            weight = self.name("weight", layer)
            if dz and x and dW:
                kind = "dense_grad_weight"
                yield _op(dW, kind, {"x": x, "grad": dz}, {"dW": dW}, "overwritten, not added to")
            if dz and db:
                yield _op(db, "dense_grad_bias", {"grad": dz}, {"db": db}, "overwritten")
            if layer in before and dz and weight:
                yield from self.into(before[layer], dz, weight)

    def into(self, below: str, dz: str, weight: str) -> Iterator[Template]:
        dh, dz_below = (
            self.name("activation", below, "gradient"),
            self.name("pre", below, "gradient"),
        )
        z = self.name("pre", below) or self.name("activation", below)
        inputs = {"grad": dz, "W": weight}
        if dh:
            yield _op(dh, "dense_grad_input", inputs, {"dx": dh}, "the gradient of an activation")
            if dz_below and z:
                parts = {"grad": dh, "z": z}
                yield _op(dz_below, "relu_grad", parts, {"dz": dz_below}, "relu, as forwards")
        elif dz_below and z:
            kind = "dense_grad_input + relu_grad"
            says = "no buffer lies between the two"
            yield _op(dz_below, kind, {**inputs, "z": z}, {"dz": dz_below}, says)

    def update(self) -> Iterator[Template]:
        lr, momentum = self.name("rate"), self.name("momentum")
        for layer in self.layers:
            for base in ("weight", "bias"):
                param, grad = self.name(base, layer), self.name(base, layer, "gradient")
                velocity = self.name(base, layer, "velocity")
                if not (param and grad and lr):
                    continue
                inputs = {"param": param, "grad": grad, "lr": lr}
                if velocity and momentum:
                    inputs |= {"velocity": velocity, "momentum": momentum}
                    outputs = {"param": param, "velocity": velocity}
                    name, says = f"momentum_{param}", "there is a velocity"
                    yield _op(name, "sgd_momentum", inputs, outputs, says)
                    inputs = {"param": param, "grad": grad, "lr": lr}
                name, says = f"update_{param}", "parameter, gradient and rate"
                yield _op(name, "sgd", inputs, {"param": param}, says)


def _op(name: str, kind: str, inputs: Operands, outputs: Operands, reason: str) -> Template:
    words = frozenset(word for one in kind.split(" + ") for word in _WORDS[one].split())
    scalars = frozenset(inputs) & {"lr", "momentum", "y"}
    return Template(name, kind, inputs, outputs, words, reason, scalars)
