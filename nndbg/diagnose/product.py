"""The sum of products inside of an op, found by the axes of its kind: what is summed, over what."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from nndbg.diagnose.image import Image
from nndbg.diagnose.model import Evidence
from nndbg.reference.bounded import Array
from nndbg.reference.kinds import Part

_NAMES = {"i": "k", "o": "k", "c": "k"}
_CLOSE = 1e-9


@dataclass(frozen=True, eq=False)
class Product:
    """output = rest + factor (left @ right), summed over the `terms` of `axis`.

    `left` is [rows, terms] and `right` [terms, columns]; a factor that is only a sum has ones on
    its left. `names` are the buffers that are multiplied.
    """

    left: Array
    right: Array
    factor: float
    axis: str
    names: tuple[str, ...]
    evidence: Evidence
    parts: tuple[tuple[Part, bool], ...]

    @property
    def terms(self) -> int:
        """How many terms each element sums."""
        return len(self.right)

    @property
    def is_in_memory(self) -> bool:
        """Whether it is known what lies behind the factors."""
        known = self.evidence.addresses
        return all(self.evidence.op.inputs[part.name] in known for part, _ in self.parts)

    def part(self, which: slice, times: float = 1.0) -> Array:
        """Return what these terms add to the output, so many times."""
        added: Array = times * self.factor * (self.left[:, which] @ self.right[which])
        return added

    def but(self, which: slice) -> Array:
        """Return what all other terms add to the output."""
        return self.part(slice(None)) - self.part(which)

    def exchanged(self, j: int, k: int) -> Array:
        """Return what the output lacks where terms j and k meet each other's partners."""
        off = np.outer(self.left[:, j] - self.left[:, k], self.right[j] - self.right[k])
        return self.factor * off

    def past_the_end(self, extra: int) -> Array:
        """Return what the output lacks where `extra` more terms are added from what lies behind."""
        left, right = self._extended(extra)
        return -self.factor * (left @ right)

    def _extended(self, extra: int) -> tuple[Array, Array]:
        """Return the factors of `extra` more terms, read on from where each factor's terms end."""
        image = Image(self.evidence.memory)
        found = []
        for part, is_left in self.parts:
            array = self.evidence.inputs[part.name]
            address = self.evidence.addresses[self.evidence.op.inputs[part.name]]
            rows, columns = array.shape
            runs_along = part.axes.index(self._summed) == 1
            shape = (rows, columns + extra) if runs_along else (rows + extra, columns)
            read = image.rows(address, shape, columns, array.dtype).astype(np.float64)
            more = read[:, columns:] if runs_along else read[rows:]
            # As [rows, extra] on the left and [extra, columns] on the right.
            found.append(more if runs_along == is_left else more.T)
        if len(found) == 1:
            return np.ones((1, extra)), found[0]
        return found[0], found[1]

    @property
    def _summed(self) -> str:
        part, _ = self.parts[0]
        output = next(p for p in self.evidence.op.kind.outputs if p.name == self.evidence.part)
        return next(a for a in part.axes if a not in output.axes)


def find_product(evidence: Evidence) -> Product | None:
    """Return the sum of products that `evidence.op` computes, None where it is something else.

    Two parts that share an axis which the output lacks are multiplied and summed over it, and one
    alone is summed. That this is what the op does, and by which factor, is tried with its numbers.
    """
    output = next(part for part in evidence.op.kind.outputs if part.name == evidence.part)
    matrices = [
        part
        for part in evidence.op.kind.inputs
        if len(part.axes) == 2 and evidence.inputs[part.name].dtype.kind == "f"
    ]
    if len(output.axes) == 2:
        row, column = output.axes
        for a, b in permutations(matrices, 2):
            shared = set(a.axes) & set(b.axes) - set(output.axes)
            if len(shared) == 1 and row in a.axes and column in b.axes:
                return _tried(evidence, (a, b), shared.pop(), row)
    if len(output.axes) == 1:
        for part in matrices:
            if output.axes[0] in part.axes:
                (summed,) = set(part.axes) - set(output.axes)
                return _tried(evidence, (part,), summed, None)
    return None


def _tried(
    evidence: Evidence, parts: tuple[Part, ...], summed: str, row: str | None
) -> Product | None:
    arrays = [evidence.inputs[part.name].astype(np.float64) for part in parts]
    if len(parts) == 2:
        left = arrays[0] if parts[0].axes.index(summed) == 1 else arrays[0].T
        right = arrays[1] if parts[1].axes.index(summed) == 0 else arrays[1].T
        placed: tuple[tuple[Part, bool], ...] = ((parts[0], True), (parts[1], False))
    else:
        right = arrays[0] if parts[0].axes.index(summed) == 0 else arrays[0].T
        left = np.ones((1, len(right)))
        placed = ((parts[0], False),)
    without = {parts[0].name: np.zeros_like(evidence.inputs[parts[0].name])}
    added = np.atleast_2d(evidence.expected.value - evidence.compute(**without).value)
    product = left @ right
    if not np.isfinite(product).all() or not np.isfinite(added).all() or not product.any():
        return None
    largest = np.unravel_index(int(np.argmax(np.abs(product))), product.shape)
    factor = float(added[largest] / product[largest])
    scale = float(np.abs(evidence.expected.value).max()) + float(np.abs(added).max())
    if factor == 0 or np.abs(added - factor * product).max() > _CLOSE * scale:
        return None
    names = tuple(evidence.op.inputs[part.name] for part in parts)
    return Product(left, right, factor, _NAMES.get(summed, summed), names, evidence, placed)
