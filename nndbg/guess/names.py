"""What the name of a variable says of its role in a network: `dW1`, `fc1_bias`, `net.hidden.z`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Base = Literal[
    "weight", "bias", "pre", "activation", "input", "label", "probability", "loss", "rate",
    "momentum", "rows",
]  # fmt: skip
Of = Literal["", "gradient", "velocity"]

_BASES: Mapping[str, Base] = {
    **dict.fromkeys(("w", "weight", "weights", "kernel"), "weight"),
    **dict.fromkeys(("b", "bias", "biases"), "bias"),
    **dict.fromkeys(("z", "pre", "preact", "logit", "logits"), "pre"),
    **dict.fromkeys(("h", "a", "act", "activation", "activations"), "activation"),
    **dict.fromkeys(("x", "input", "inputs"), "input"),
    **dict.fromkeys(("y", "t", "label", "labels", "target", "targets"), "label"),
    **dict.fromkeys(("p", "prob", "probs", "probabilities", "yhat"), "probability"),
    **dict.fromkeys(("loss", "cost"), "loss"),
    **dict.fromkeys(("lr", "rate", "eta", "alpha"), "rate"),
    **dict.fromkeys(("momentum", "mu"), "momentum"),
}
_GRADIENT = frozenset({"d", "g", "grad", "grads", "gradient", "gradients"})
_DELTA = frozenset({"d", "delta", "deltas", "err", "error"})
_VELOCITY = frozenset({"v", "vel", "velocity"})
_LAYERS = frozenset({"fc", "layer", "layers", "dense", "linear", "hidden", "output", "out"})
_NOISE = frozenset({"batch", "net", "network", "model", "learning", "the", "of", "train", "cur"})
_TOKEN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_SCALARS = frozenset({"loss", "rate", "momentum", "rows"})


@dataclass(frozen=True)
class Role:
    """What an array is: its `base`, the layer it belongs to ("" for none), what it is of it."""

    base: Base
    layer: str
    of: Of

    @property
    def is_scalar(self) -> bool:
        """Whether it is a single number."""
        return self.base in _SCALARS


def role_of(name: str) -> Role | None:
    """Return what the name says, None where it says nothing that is known."""
    lowered = [token.lower() for token in _TOKEN.findall(name)]
    if set(lowered) >= {"batch", "rows"} or set(lowered) >= {"batch", "size"} or name == "batch":
        return Role("rows", "", "")
    numbers = [token for token in lowered if token.isdigit()]
    words = [token for token in _split(lowered) if not token.isdigit() and token not in _NOISE]
    layer = "".join([w for w in words if w in _LAYERS and w not in ("layer", "layers", "fc")])
    layer = "_".join(filter(None, [layer, *numbers[:1]]))
    words = [word for word in words if word not in _LAYERS]
    if len(numbers) > 1 or (not words and not layer):
        return None
    return _role(words, layer)


def _role(words: list[str], layer: str) -> Role | None:
    if not words:
        return None
    if len(words) == 1:
        word = words[0]
        if word in _DELTA and layer:
            return Role("pre", layer, "gradient")
        base = _BASES.get(word)
        return Role(base, layer, "") if base else None
    if len(words) > 2:
        return None
    for marks, of in ((_GRADIENT, "gradient"), (_VELOCITY, "velocity")):
        for mark, word in (words, reversed(words)):
            if mark in marks and word in _BASES and _BASES[word] not in _SCALARS:
                return Role(_BASES[word], layer, of)  # type: ignore[arg-type]
    return None


def _split(tokens: list[str]) -> list[str]:
    """Part `dbias` and `vb` into what they are made of."""
    found: list[str] = []
    for token in tokens:
        marks = (*sorted(_GRADIENT, key=len, reverse=True), "v")
        mark = next((m for m in marks if token.startswith(m) and token[len(m) :] in _BASES), None)
        if mark is not None and token not in _BASES:
            found += [mark, token[len(mark) :]]
        else:
            found.append(token)
    return found


def layer_order(layer: str) -> tuple[int, int, str]:
    """Return where a layer comes among others: by number, what is called output last."""
    number = re.search(r"\d+", layer)
    is_last = layer.split("_", maxsplit=1)[0] in ("output", "out")
    return int(is_last and number is None), int(number[0]) if number else 0, layer
