"""Sets an op up for trials: where its runs begin and end, and what they have to come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache

import numpy as np

from nndbg.capture import shape
from nndbg.chain import format_of
from nndbg.compare import Verdict
from nndbg.culprit.amendments.patch import Patch
from nndbg.culprit.code import Code
from nndbg.culprit.goal import Goal, Kept, Output
from nndbg.culprit.interval import Interval
from nndbg.culprit.trials import Trials
from nndbg.decode import Disassembly
from nndbg.errors import ProgramError
from nndbg.inferior import LiveSource
from nndbg.inferior.memory import ProcessMemory, copy_from
from nndbg.inferior.ptrace import FIELD
from nndbg.inferior.template import Template
from nndbg.layermap import PlacedMap
from nndbg.layermap.model import DTYPES
from nndbg.ledger import Observation
from nndbg.reference import Bounded

_SECONDS = 0.06
_POINTER = 8


@dataclass(frozen=True)
class Stage:
    """An op ready for trials; `before` is how many of its elements are wrong, `took` its seconds.

    `fixed` are instructions that cannot be changed, because a run begins or ends there.
    """

    trials: Trials
    code: Code
    placed: PlacedMap
    before: int
    took: float
    fixed: frozenset[int]
    earlier: Trials | None
    other: Callable[[], Trials | None]

    def exonerated(self) -> frozenset[int]:
        """Return the instructions that ran in this step before the op, which came out right."""
        return frozenset(self.earlier.covered()) if self.earlier is not None else frozenset()

    def pointers(self) -> list[int]:
        """Return where variables lie, as linked, that hold the address of a function."""
        memory, offset = self.trials.template.memory, self.trials.offset
        functions, file = set(self.code.functions), self.code.executable
        return [
            symbol.address
            for symbol in file.symbols.values()
            if not symbol.is_code
            and symbol.size in (0, _POINTER)
            and (held := _read(memory, symbol.address + offset)) is not None
            and held - offset in functions
            # A choice that was made, not a list of what there is to choose from.
            and file.read(symbol.address, _POINTER) != (held - offset).to_bytes(_POINTER, "little")
        ]

    def holds(self, patch: Patch) -> bool:
        """Whether the op is right with other numbers in its inputs, too."""
        other = self.other()
        return other is None or other.judged(patch) == 0

    def keeps_earlier(self, patch: Patch) -> bool:
        """Whether the step comes to the op's beginning with the same numbers under a patch."""
        return self.earlier is None or self.earlier.judged(patch) == 0


def _read(memory: ProcessMemory, address: int) -> int | None:
    """Return the pointer at an address, None where nothing is mapped."""
    try:
        return int.from_bytes(memory.read(address, _POINTER), "little")
    except ProgramError:
        return None


def prepare(
    source: LiveSource,
    code: Disassembly,
    verdict: Verdict,
    observation: Observation,
    stack: ExitStack,
) -> Stage | str:
    """Run the program to the op. Returns why there can be no trial where there can be none."""
    interval = stack.enter_context(closing(Interval(source, verdict.subject.step)))
    placed, offset = source.placed, interval.offset
    is_late = "behind" in verdict.says and not observation.expected
    mark, took, reached = _advance(interval, observation, is_late)
    template = interval.marks[mark].template
    start = template.registers[FIELD["rip"]]
    steps = {address + offset for address in placed.step}
    done = steps if is_late else {a + offset for a in placed.done[observation.op.name]}
    if start in done or (done & steps and not is_late):
        return "the op ends where it begins: it cannot be tried by itself"
    goal = _goal(interval, template, verdict, observation, is_late, reached)
    if isinstance(goal, str):
        return goal
    before = goal.learn(interval.pid if reached else None)
    own = Code(code.executable)
    stops = (done | steps) - {start}
    trials = Trials(template, own, offset, stops, done, goal)
    stack.callback(trials.close)
    earlier = None
    if mark:
        first = interval.marks[0].template
        same = Goal((), _kept(interval, template.pid, template.pid, set(), ""))
        at = first.registers[FIELD["rip"]]
        if at != start:
            earlier = Trials(first, own, offset, {start}, {start}, same)
            stack.callback(earlier.close)

    @cache
    def other() -> Trials | None:
        if is_late:
            return None
        return _other(interval, template, observation, own, stops, done, stack)

    fixed = frozenset(address - offset for address in (*stops, start))
    return Stage(trials, own, placed, before, took, fixed, earlier, other)


def _other(
    interval: Interval,
    template: Template,
    observation: Observation,
    code: Code,
    stops: set[int],
    done: set[int],
    stack: ExitStack,
) -> Trials | None:
    """Return trials of the op with other numbers in its inputs: what is right stays right.

    Zeros stay, as programs may know where they are, but in a buffer of nothing but zeros.
    """
    layer_map, op = interval.placed.layer_map, observation.op
    copy = template.copy()
    again = Template(copy.pid, copy.registers, template.base)
    stack.callback(again.close)
    random = np.random.default_rng(0)
    changed = False
    for name in set(op.inputs.values()):
        buffer = layer_map.buffers[name]
        dtype = DTYPES[buffer.dtype]
        if dtype.kind != "f" or buffer.is_constant:
            continue
        array = np.empty(buffer.elements(observation.capture.sizes), dtype)
        address = interval.capture.addresses[name]
        if array.size == 1 or not copy_from(template.pid, address, array):
            continue
        factors = np.asarray(random.uniform(0.5, 1.5, array.shape))
        other = np.asarray(array * factors if array.any() else factors / 8, dtype)
        again.memory.write(address, other.tobytes())
        changed = True
    if not changed:
        return None
    goal = Goal(_outputs(interval, _expected(interval, again, observation)), ())
    goal.learn(None)
    trials = Trials(again, code, interval.offset, stops, done, goal)
    trials.limit(_SECONDS)
    stack.callback(trials.close)
    return trials


def _advance(
    interval: Interval, observation: Observation, is_late: bool
) -> tuple[int, float, bool]:
    """Run to the op's end; returns the mark before, how long it took from there, and if it came.

    Of an op that is never complete the mark is the one behind the ops before it in the map.
    """
    names = [op.name for op in interval.placed.layer_map.ops]
    before = set(names[: names.index(observation.op.name)])
    behind = 0
    for ops in interval.arrivals():
        if (ops is None) if is_late else (ops is not None and observation.op.name in ops):
            return len(interval.marks) - 1, interval.took, True
        if ops is not None and before & set(ops):
            behind = len(interval.marks)
    return min(behind, len(interval.marks) - 1), 0.0, False


def _goal(
    interval: Interval,
    template: Template,
    verdict: Verdict,
    observation: Observation,
    is_late: bool,
    reached: bool,
) -> Goal | str:
    outputs: list[Output] = []
    if not is_late:
        expected = observation.expected or _expected(interval, template, observation)
        if not all(np.isfinite(value.value).all() for value in expected.values()):
            return "what the op is to make of its inputs is no number"
        outputs = _outputs(interval, expected)
    own = {output.name for output in outputs}
    after = interval.pid if reached else template.pid
    return Goal(outputs, _kept(interval, template.pid, after, own, verdict.subject.buffer))


def _outputs(interval: Interval, expected: Mapping[str, Bounded]) -> list[Output]:
    buffers = interval.placed.layer_map.buffers
    return [
        Output(name, interval.capture.addresses[name], DTYPES[buffers[name].dtype], value)
        for name, value in expected.items()
    ]


def _expected(
    interval: Interval, template: Template, observation: Observation
) -> dict[str, Bounded]:
    """Return what the op should make of its inputs as they lie there when it begins."""
    layer_map, op = interval.placed.layer_map, observation.op
    sizes = observation.capture.sizes
    inputs = {}
    for part, name in op.inputs.items():
        buffer = layer_map.buffers[name]
        array = np.empty(buffer.elements(sizes), DTYPES[buffer.dtype])
        if not copy_from(template.pid, interval.capture.addresses[name], array):
            return {}
        inputs[part] = shape(array, buffer, sizes)
    results = op.kind.compute(inputs, format_of(layer_map, op), op.parameters)
    return {name: results[part] for part, name in op.outputs.items()}


def _kept(interval: Interval, before: int, after: int, own: set[str], strict: str) -> list[Kept]:
    """Return the buffers that are none of the op's: as they were, or as they are without a change.

    What was found to have changed, `strict`, has to be as it was.
    """
    found: list[Kept] = []
    capture = interval.capture
    stretches = [
        (name, capture.addresses[name], flat.nbytes)
        for name, flat in capture.flat.items()
        if name not in own
    ]
    # What lies behind a buffer and belongs to nothing is written by nobody.
    stretches += [
        ("", capture.addresses[name] + capture.flat[name].nbytes, len(padding))
        for name, padding in capture.padding.items()
    ]
    for name, address, size in stretches:
        was, now = np.empty(size, np.uint8), np.empty(size, np.uint8)
        if not (copy_from(before, address, was) and copy_from(after, address, now)):
            continue
        both = (was,) if (name and name == strict) or np.array_equal(was, now) else (was, now)
        found.append(Kept(address, both))
    return found
