"""Evidence made up: an op with its inputs in a memory of their own, and an output as one likes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nndbg.diagnose import Diagnosis, Evidence, diagnose
from nndbg.layermap.model import Boundary, Op
from nndbg.reference import FLOAT32, FLOAT64, KINDS, Bounded

F = np.float32
_BASE = 0x1000
_GUARD = 64


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Random numbers of both signs, the same ones every time."""
    return np.random.default_rng(seed).standard_normal(shape).astype(F)


@dataclass(frozen=True)
class Scene:
    """An op that is about to run: `inputs` by part, other buffers by name, all in one memory."""

    kind: str
    inputs: Mapping[str, np.ndarray]
    others: Mapping[str, np.ndarray] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)
    before: np.ndarray | None = None
    part: str | None = None

    @property
    def output(self) -> str:
        """The output part that is looked at."""
        return self.part or KINDS[self.kind].outputs[0].name

    @property
    def buffer(self) -> str:
        """The buffer of that output: the input's own where the op works in place."""
        return self.names.get(self.output, self.output if self.output in self.inputs else "out")

    @property
    def expected(self) -> Bounded:
        """What the op should make."""
        parameters = {**KINDS[self.kind].parameters, **self.parameters}
        return KINDS[self.kind].compute(self.inputs, self._format, parameters)[self.output]

    @property
    def right(self) -> np.ndarray:
        """What the op should make, as the program would hold it."""
        expected = self.expected
        return (
            expected.value.astype(self._dtype) if expected.integers is None else expected.integers
        )

    @property
    def _dtype(self) -> np.dtype[Any]:
        found = [a.dtype for a in self.inputs.values() if a.dtype.kind == "f"]
        return found[0] if found else np.dtype(F)

    @property
    def _format(self):
        return FLOAT64 if self._dtype == np.float64 else FLOAT32

    def buffers(self) -> dict[str, np.ndarray]:
        """All buffers in the order in which they lie in memory."""
        right = self.right
        found = {self.names.get(part, part): array for part, array in self.inputs.items()}
        before = np.zeros_like(right) if self.before is None else self.before
        found.setdefault(self.buffer, before.astype(right.dtype))
        return {**found, **self.others}

    def evidence(self, actual: np.ndarray, **more: Any) -> Evidence:
        """What is known of the op if it left `actual`."""
        kind, buffers = KINDS[self.kind], self.buffers()
        addresses, memory = _laid_out(buffers)
        _, after = _laid_out({**buffers, self.buffer: actual})
        op = Op(
            key=("ops", 0),
            name="op",
            kind=kind,
            inputs={p.name: self.names.get(p.name, p.name) for p in kind.inputs},
            outputs={p.name: self.names.get(p.name, "out") for p in kind.outputs}
            | {self.output: self.buffer},
            done=Boundary("enter:op", "enter", ("op",)),
            parameters={**kind.parameters, **self.parameters},
        )
        known = Evidence(
            op=op,
            part=self.output,
            buffer=self.buffer,
            actual=actual,
            before=buffers[self.buffer],
            expected=self.expected,
            inputs=self.inputs,
            shapes={p.name: p.axes for p in kind.inputs},
            others=buffers,
            stale=buffers,
            sizes=self.sizes,
            addresses=addresses,
            memory=memory,
            fmt=self._format,
            after=after,
        )
        return replace(known, **more)

    def told(self, actual: np.ndarray, **more: Any) -> tuple[Diagnosis, ...]:
        """The diagnoses if the op left `actual`."""
        with np.errstate(all="ignore"):
            array = np.asarray(actual)
        return diagnose(self.evidence(array.astype(self.right.dtype), **more))

    def first(self, actual: np.ndarray, **more: Any) -> tuple[str, str]:
        """The kind and the sentence of the first diagnosis; two empty texts where there is none."""
        told = self.told(actual, **more)
        return (told[0].kind, told[0].says) if told else ("", "")


def _laid_out(
    buffers: Mapping[str, np.ndarray],
) -> tuple[dict[str, int], dict[int, memoryview]]:
    """One memory with all buffers, each on a cache line of its own with a guard behind it."""
    addresses, image = {}, bytearray()
    for name, array in buffers.items():
        image += bytes(-len(image) % _GUARD)
        addresses[name] = _BASE + len(image)
        image += array.tobytes() + bytes(_GUARD)
    return addresses, {_BASE: memoryview(bytes(image))}


def dense(rows: int = 12, inputs: int = 20, outputs: int = 10, **more: Any) -> Scene:
    """z = x W + b with three different sizes."""
    parts = {
        "x": numbers(rows, inputs, seed=1),
        "W": numbers(inputs, outputs, seed=2),
        "b": numbers(outputs, seed=3),
    }
    sizes = {"batch": rows, "in": inputs, "out": outputs}
    return Scene("dense", parts, sizes=sizes, names={"z": "z"}, **more)


def sgd(*shape: int, **more: Any) -> Scene:
    """W -= lr dW."""
    shape = shape or (12, 10)
    parts = {"param": numbers(*shape, seed=4), "grad": numbers(*shape, seed=5), "lr": F(0.01)}
    parts = {name: np.asarray(part) for name, part in parts.items()}
    return Scene("sgd", parts, names={"param": "W", "grad": "dW"}, **more)
