"""The steps of a formula that takes one element of each input, beside what the lanes held.

A result that is made of the elements that a step takes, and of nothing else, is that step's. Where
the program goes another way to the same result nothing is said of its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nndbg.culprit.forward import Forward, Result
from nndbg.culprit.model import site
from nndbg.culprit.needs import Needs
from nndbg.culprit.partial import Parting
from nndbg.culprit.slicing import Slice, Trace
from nndbg.culprit.terms import STRANGE, Set
from nndbg.diagnose import Evidence
from nndbg.places import Place, Places
from nndbg.reference import Bounded, Format
from nndbg.reference.bounded import exact, multiply, multiply_add
from nndbg.report.model import Computed, Turn

Parts = Mapping[str, Bounded]


@dataclass(frozen=True)
class _Step:
    """A step of a formula by name: the parts it takes, and what it makes of them."""

    name: str
    takes: frozenset[str]
    compute: Callable[[Parts, Format], Bounded]


def _velocity(p: Parts, fmt: Format) -> Bounded:
    return multiply_add(p["grad"], p["momentum"], p["velocity"], fmt)


_STEPS: Mapping[str, tuple[_Step, ...]] = {
    "sgd": (
        _Step(
            "lr * grad",
            frozenset({"lr", "grad"}),
            lambda p, fmt: multiply(p["lr"], p["grad"], fmt),
        ),
    ),
    "sgd_momentum": (
        _Step(
            "momentum * velocity",
            frozenset({"momentum", "velocity"}),
            lambda p, fmt: multiply(p["momentum"], p["velocity"], fmt),
        ),
        _Step("momentum * velocity + grad", frozenset({"momentum", "velocity", "grad"}), _velocity),
        _Step(
            "lr * (momentum * velocity + grad)",
            frozenset({"lr", "momentum", "velocity", "grad"}),
            lambda p, fmt: multiply(p["lr"], _velocity(p, fmt), fmt),
        ),
    ),
    "weight_decay": (
        _Step(
            "decay * param",
            frozenset({"decay", "param"}),
            lambda p, fmt: multiply(p["decay"], p["param"], fmt),
        ),
    ),
}


def follow_steps(
    trace: Trace, made: Slice, evidence: Evidence, needed: Needs, places: Places, element: str
) -> Parting | None:
    """Return the first step of the formula whose result is wrong; None where none is seen to be."""
    steps = _STEPS.get(evidence.op.kind.name)
    if steps is None or not all(map(places.has, evidence.op.inputs.values())):
        return None
    values: dict[str, Bounded] = {}
    bits: dict[int, Set] = {}
    sets: dict[str, Set] = {}
    names: dict[Place, Set] = {}
    for number, (part, fixed) in enumerate(needed.parts.items()):
        index = tuple(at for at in fixed if at is not None)
        values[part] = exact(evidence.inputs[part][index], evidence.fmt)
        sets[part] = STRANGE << 2 + number
        place = Place(evidence.op.inputs[part], index)
        names[place] = sets[part]
        for at in range(places.width(place.buffer)):
            bits[places.address(place) + at] = sets[part]
    if set(bits.values()) != set(sets.values()):
        return None
    found: list[Parting] = []
    wanted = {sum(sets[part] for part in step.takes): step for step in steps}

    def judge(result: Result) -> Set:
        step = wanted.get(result.made_of)
        if found or step is None or result.made_of in result.operands:
            return result.made_of
        meant = step.compute(values, evidence.fmt)
        expected, bound = float(meant.value), float(meant.error)
        if min(abs(result.value - expected), abs(result.value + expected)) <= bound:
            return result.made_of
        at = site(trace.code, result.instruction).place
        took = ", ".join(str(place) for place, bit in names.items() if bit & result.made_of)
        says = f"the arithmetic at {at}: {step.name} went in, and something else came out"
        turn = Turn(step.name, took, result.value, expected, bound)
        written = next((name for name in result.instruction.names if name), result.register)
        lane = f"lane {result.lane} of {written}, {at}: {result.instruction.text}"
        found.append(Parting(Computed(element, says, (turn,), lane), result.index))
        return result.made_of

    for _ in Forward(trace, made, lambda at: bits.get(at, STRANGE)).results(judge):
        if found:
            return found[0]
    return None
