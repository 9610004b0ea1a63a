"""Layer sizes that agree with how many elements the arrays have, and the shapes that follow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from nndbg.guess.arrays import Array
from nndbg.guess.names import Role, layer_order
from nndbg.variables import Variables

_IN = re.compile(r"(n_?)?(in|ins|input|inputs|in_size|input_size|rows)")
_OUT = re.compile(r"(n_?)?(out|outs|output|outputs|out_size|output_size|cols|units)")
Axis = str | int
_WORD = 8


@dataclass(frozen=True)
class Size:
    """A size of the map: its value as TOML, its number where that is known, and why."""

    name: str
    value: str
    number: int | None
    reason: str


@dataclass(frozen=True)
class Shaped:
    """An array with its shape, and why; `dtype` may be another than was thought."""

    array: Array
    shape: tuple[Axis, ...]
    dtype: str
    reason: str


@dataclass
class Shapes:
    """Sizes and buffers of a program, layer by layer; `missed` says what fits nothing, and why."""

    layers: list[str] = field(default_factory=list)
    sizes: dict[str, Size] = field(default_factory=dict)
    buffers: dict[Role, Shaped] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def get(self, base: str, layer: str = "", of: str = "") -> Shaped | None:
        """Return the buffer of a role."""
        return self.buffers.get(Role(base, layer, of))  # type: ignore[arg-type]


def find_shapes(arrays: Iterable[Array], path: Path) -> Shapes:
    """Return the shapes of the arrays, as far as their sizes agree with those of the layers."""
    by_role = {array.role: array for array in arrays}
    shapes = Shapes()
    shapes.layers = sorted(
        {role.layer for role in by_role if role.base == "weight" and not role.of}, key=layer_order
    )
    _Solver(by_role, shapes, path).solve()
    return shapes


class _Solver:
    """Finds the sizes in turn: the width of each layer, what goes into the first, the batch."""

    def __init__(self, arrays: Mapping[Role, Array], shapes: Shapes, path: Path) -> None:
        self.arrays = arrays
        self.shapes = shapes
        self.path = path
        self.widths: dict[str, tuple[str, str]] = {}

    def solve(self) -> None:
        for index, layer in enumerate(self.shapes.layers):
            self.layer(index, layer)
        self.batch()
        for role, array in self.arrays.items():
            self.place(role, array)

    def array(self, base: str, layer: str = "", of: str = "") -> Array | None:
        return self.arrays.get(Role(base, layer, of))  # type: ignore[arg-type]

    def layer(self, index: int, layer: str) -> None:
        weight = self.array("weight", layer)
        assert weight is not None
        last = index == len(self.shapes.layers) - 1
        before = self.widths[self.shapes.layers[index - 1]][1] if index else "in"
        out = "out" if last else f"h{index + 1}"
        known = self.shapes.sizes.get(before)
        if weight.is_pointer:
            self.from_struct(weight, before, out)
            self.widths[layer] = before, out
            return
        width, reason = self.width(weight, layer, known.number if known else None)
        if width is None or not weight.elements or weight.elements % width:
            self.shapes.missed.append(
                f"{weight.place} has {weight.elements} elements, and no width of layer "
                f"{layer or '-'} was found that divides them"
            )
            return
        number = weight.elements // width
        if known is None:
            says = f"{weight.place} has {weight.elements} elements, {width} times as many as this"
            self.shapes.sizes[before] = Size(before, str(number), number, says)
        elif known.number not in (None, number):
            self.shapes.missed.append(
                f"{weight.place} has {weight.elements} elements, {number} x {width}, but the layer "
                f"before has {known.number}"
            )
            return
        self.shapes.sizes[out] = Size(out, str(width), width, reason)
        self.widths[layer] = before, out

    def width(self, weight: Array, layer: str, before: int | None) -> tuple[int | None, str]:
        """Return how many outputs a layer has: of its bias, declaration, or the layer before."""
        bias = self.array("bias", layer) or self.array("bias", layer, "gradient")
        if bias is not None and bias.elements:
            return bias.elements, f"{bias.place} has so many elements: {bias.reason}"
        if len(weight.extents) == 2:
            return weight.extents[1], f"the second extent of {weight.place}"
        if before and weight.elements % before == 0:
            return (
                weight.elements // before,
                f"{weight.place} over the {before} of the layer before",
            )
        return None, ""

    def from_struct(self, weight: Array, before: str, out: str) -> None:
        """Take the sizes from the integers beside the pointers of a record, read at every stop."""
        variables = Variables(self.path)
        owner = weight.struct.split(".")[0].split("[")[0]
        if owner not in variables:
            self.shapes.missed.append(f"{weight.place} is a pointer to no known number of elements")
            return
        members = {
            place.rpartition(".")[2]: (place, variable)
            for place, variable in variables.leaves(owner)
            if place.rpartition(".")[0] == weight.struct and variable.dtype in ("i32", "i64", "u32")
        }
        for name, pattern in ((before, _IN), (out, _OUT)):
            if name in self.shapes.sizes:
                continue
            found = next((m for key, m in members.items() if pattern.fullmatch(key)), None)
            if found is None:
                self.shapes.missed.append(
                    f"{weight.place} is a pointer, and how many elements are there is not known: "
                    f"state the size {name}"
                )
                continue
            place, variable = found
            value = f'{{ symbol = "{place}", dtype = "{variable.dtype}"{self.most(name)} }}'
            says = f"{place} is beside {weight.place}"
            self.shapes.sizes[name] = Size(name, value, None, says)

    def most(self, name: str) -> str:
        """Return what the map says of the largest a size can be, where an array is declared so."""
        array = self.array("input")
        if name != "in" or array is None or array.is_pointer or len(array.extents) != 2:
            return ""
        return f", max = {array.extents[1]}"

    def batch(self) -> None:
        """Find the rows: what activations and the input have over the width of their layer."""
        found: Counter[int] = Counter()
        for role, array in self.arrays.items():
            width = self.row(role)
            size = self.shapes.sizes.get(width or "")
            if len(array.extents) == 2 and role.base in ("input", "pre", "activation"):
                found[array.extents[0]] += 1
                if width == "in" and size is not None and size.number is None:
                    continue
            elif size and size.number and array.elements and array.elements % size.number == 0:
                found[array.elements // size.number] += 1
        if not found:
            return
        most, times = found.most_common(1)[0]
        reason = f"so many rows fit {times} array{'s' * (times > 1)}"
        value, number = str(most), most
        rows = self.array("rows")
        if rows is not None and most > 1:
            value = f'{{ symbol = "{rows.place}", dtype = "{rows.dtype}", max = {most} }}'
            reason = f"{rows.place} by its name; {reason}"
        self.shapes.sizes["batch"] = Size("batch", value, number, reason)

    def row(self, role: Role) -> str | None:
        """Return what a row of an array is as long as, None where it has none."""
        layers = self.shapes.layers
        if role.base == "input":
            return "in"
        if role.base == "probability":
            return self.widths[layers[-1]][1] if layers and layers[-1] in self.widths else None
        if role.base in ("pre", "activation"):
            return self.widths[role.layer][1] if role.layer in self.widths else None
        return None

    def place(self, role: Role, array: Array) -> None:
        """Give an array its shape, or say why it has none."""
        sizes = self.shapes.sizes
        shape: tuple[Axis, ...] | None = None
        dtype = array.dtype
        if role.base == "rows":
            return
        if role.is_scalar:
            shape = ()
        elif role.base == "label" and "batch" in sizes:
            shape = ("batch",)
            each = (len(array.span) // (sizes["batch"].number or 1)) if not array.extents else 0
            dtype = {1: "u8", 2: "u16", 4: "i32", 8: "i64"}.get(each, dtype)
            shape = None if dtype == "f32" else shape
        elif role.layer in self.widths and role.base == "weight":
            shape = self.widths[role.layer]
        elif role.layer in self.widths and role.base == "bias":
            shape = self.widths[role.layer][1:]
        elif (width := self.row(role)) is not None and "batch" in sizes:
            shape = ("batch", width)
        if shape is None or any(axis not in sizes for axis in shape):
            if len(array.span) > _WORD:
                self.shapes.missed.append(f"{array.place}: no shape was found for it")
            return
        numbers = [sizes[str(axis)].number for axis in shape]
        product = prod(number or 0 for number in numbers)
        if product and array.elements and role.base != "label" and product > array.elements:
            self.shapes.missed.append(
                f"{array.place} has {array.elements} elements, and [{', '.join(map(str, shape))}] "
                f"would have {product}"
            )
            return
        why = array.reason or "by its name"
        if role.base == "weight" and len(array.extents) == 2:
            why = f"declared [{array.extents[0]}][{array.extents[1]}]"
        elif role.base == "weight":
            why = f"{why}; [in, out] or [out, in]"
        self.shapes.buffers[role] = Shaped(array, shape, dtype, why)
