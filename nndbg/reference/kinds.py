"""The kinds of op: what parts each takes and gives, and the function that computes it.

A kind is a function with a signature such as `x[n,i] W[i,o] b[o] -> z[n,o]`: parts with their
axes, equal names for equal sizes, `..` for any axes. The function takes the parts by name, the
format of the program, and the kind's parameters with their defaults. Floating-point parts arrive as
`Bounded`, integer ones (labels, indices, pixels) as the arrays they are.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from nndbg.reference.bounded import Bounded, Format, exact, whole

Parameter = float
Integers = NDArray[np.integer[Any]]
# Integers of which some may not be known: those have an infinite error.
Chosen = Bounded
Value = Bounded | Integers
Result = Value | tuple[Value, ...]
_PART = re.compile(r"(\w+)\[([^\]]*)\]")


Numbers = Literal["floating-point", "integer", "any"]
_NUMBERS: Mapping[str, Numbers] = {
    "Bounded": "floating-point",
    "Integers": "integer",
    "Chosen": "integer",
    "Bounded | Integers": "any",
}


@dataclass(frozen=True)
class Part:
    """A named operand of a kind and the names of its axes; `..` stands for any number of them.

    `numbers` says what it is made of. One that `is_turned` is the transpose of what the formula
    has, and `axes` are those that it has in memory. What is not `is_read` gives no numbers: only
    its shape counts.
    """

    name: str
    axes: tuple[str, ...]
    numbers: Numbers
    is_turned: bool = False
    is_read: bool = True

    def __str__(self) -> str:
        return f"{self.name}[{','.join(self.axes)}]"


@dataclass(frozen=True)
class Kind:
    """An operation that the reference can compute.

    `source` says where the user's own function is, empty for what is built in: its bounds are
    estimates, and what it would make of other inputs is not known.
    """

    name: str
    inputs: tuple[Part, ...]
    outputs: tuple[Part, ...]
    parameters: Mapping[str, Parameter]
    function: Callable[..., Result]
    source: str = ""

    @property
    def is_drawn(self) -> bool:
        """Whether its numbers come from a generator, one after the other as they lie in memory."""
        return any(part.name == "state" for part in self.outputs)

    def compute(
        self,
        inputs: Mapping[str, Bounded | NDArray[Any]],
        fmt: Format,
        parameters: Mapping[str, Parameter],
    ) -> dict[str, Bounded]:
        """Return every output part by name, from every input part by name.

        Arrays of floating-point numbers are taken as exact.
        """
        operands = {name: operand(value, fmt) for name, value in inputs.items()}
        with np.errstate(all="ignore"):
            result = self.function(**operands, fmt=fmt, **parameters)
        results = result if isinstance(result, tuple) else (result,)
        return {
            part.name: value if isinstance(value, Bounded) else whole(value)
            for part, value in zip(self.outputs, results, strict=True)
        }


def operand(value: Bounded | NDArray[Any], fmt: Format) -> Value:
    """Return `value` as a kind takes it: bounded where it is floating-point, as it is otherwise."""
    if isinstance(value, Bounded) or value.dtype.kind in "iu":
        return value
    return exact(value, fmt)


F = TypeVar("F", bound=Callable[..., Result])

KINDS: dict[str, Kind] = {}


def kind(signature: str, unread: Collection[str] = ()) -> Callable[[F], F]:
    """Register the decorated function as the kind of its own name.

    Of the inputs `unread` it takes the shape alone.
    """
    left, _, right = signature.partition("->")

    def register(function: F) -> F:
        # The annotations are texts: what a part is made of is read off them.
        declared = inspect.signature(function).parameters
        returned = str(inspect.signature(function).return_annotation)
        inputs = tuple(
            replace(part, is_read=part.name not in unread)
            for part in _parts(left, [p.annotation for p in declared.values()])
        )
        outputs = _parts(right, returned.removeprefix("tuple[").removesuffix("]").split(", "))
        defaults: dict[str, Any] = {
            name: parameter.default
            for name, parameter in declared.items()
            if name != "fmt" and parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }
        KINDS[function.__name__] = Kind(function.__name__, inputs, outputs, defaults, function)
        return function

    return register


def _parts(text: str, annotations: Sequence[str]) -> tuple[Part, ...]:
    return tuple(
        Part(
            name=name,
            axes=tuple(axis.strip() for axis in axes.split(",") if axis.strip()),
            numbers=_NUMBERS.get(annotation, "any"),
        )
        for (name, axes), annotation in zip(_PART.findall(text), annotations, strict=False)
    )
