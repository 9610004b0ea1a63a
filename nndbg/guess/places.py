"""Where ops are complete: at probes named like them, or behind calls that pass their arrays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nndbg.elf import Executable, Symbol
from nndbg.guess.arrays import Array
from nndbg.guess.calls import Call, Calls
from nndbg.guess.templates import Template

_STEP = ("step", "batch", "sample", "train_step", "train_batch", "iteration")
_WORD = re.compile(r"[a-z]+")
_LOOP = frozenset({"train", "step", "sample", "batch", "iteration", "example"})


@dataclass(frozen=True)
class Found:
    """An op with the boundary at which it is complete, and why."""

    template: Template
    done: str
    reason: str


@dataclass(frozen=True)
class Part:
    """A phase: where its steps begin, why, and its ops in order."""

    name: str
    step: str
    reason: str
    ops: tuple[Found, ...]


def find_phases(
    executable: Executable, templates: Sequence[Template], arrays: Iterable[Array]
) -> tuple[list[Part], list[Template]]:
    """Return the phases of a program, the one that trains first, and the ops found in none."""
    parts = _by_probes(executable, templates)
    if not parts:
        parts = _by_calls(executable, templates, Calls(executable, arrays))
    taken = {id(found.template) for part in parts for found in part.ops}
    claimed = {name for part in parts for found in part.ops for name in _written(found.template)}
    missing = [
        t
        for t in templates
        if id(t) not in taken and not (_is_update(t) and claimed >= set(_written(t)))
    ]
    return parts, missing


def _by_probes(executable: Executable, templates: Sequence[Template]) -> list[Part]:
    probes = {probe.name: probe for probe in executable.probes}
    step = next((probes[name] for name in _STEP if name in probes), None)
    if step is None:
        return []
    found = [
        Found(t, f"probe:{p.provider}:{p.name}", f"the probe is called {p.name}")
        for t in templates
        for p in [next((probes[n] for n in (t.name, *t.outputs.values()) if n in probes), None)]
        if p is not None
    ]
    reason = f"the probe is called {step.name}"
    return [Part("train", f"probe:{step.provider}:{step.name}", reason, tuple(found))]


def _by_calls(executable: Executable, templates: Sequence[Template], calls: Calls) -> list[Part]:
    parts: list[Part] = []
    left = list(templates)
    roots = calls.roots()
    while left and roots:
        assigned = [(root, _assigned(left, [*calls.of(root)])) for root in roots]
        root, found = max(assigned, key=lambda pair: _count(pair[1], pair[0]))
        if not found:
            break
        name = root.name if parts else "train"
        ops = _in_order(executable, found)
        if not ops:
            break
        says = f"{root.name} calls what computes {len(found)} of the ops"
        parts.append(Part(name, f"enter:{root.name}", says, tuple(ops)))
        written = {buffer for template, _, _ in found for buffer in _written(template)}
        taken = {id(template) for template, _, _ in found}
        left = [
            t
            for t in left
            if id(t) not in taken and not (_is_update(t) and written >= set(_written(t)))
        ]
        inside = calls.callees(root) | {root.name}
        roots = [r for r in roots if r.name not in inside and root.name not in calls.callees(r)]
    return parts


def _count(found: Sequence[object], root: Symbol) -> tuple[int, bool, int]:
    words = set(_WORD.findall(root.name.lower()))
    return len(found), bool(words & _LOOP), -root.size


def _assigned(
    templates: Sequence[Template], calls: Sequence[Call]
) -> list[tuple[Template, int, Call]]:
    """Return each op with the call that fits it best: one that has all its arrays, and few more."""
    found: list[tuple[Template, int, Call]] = []
    for template in templates:
        fitting = [
            (_fit(template, call), -index, call)
            for index, call in enumerate(calls)
            if template.arrays <= call.known and set(template.outputs.values()) & call.known
        ]
        if not fitting:
            continue
        (score, at, call) = max(fitting, key=lambda one: one[:2])
        # An op of few arrays fits a call that passes many: it takes more than that to mean it.
        if call.words & template.words or score >= -1:
            found.append((template, -at, call))
    updates = {name for t, _, _ in found if "velocity" in t.outputs for name in t.outputs.values()}
    return [
        one
        for one in found
        if not (one[0].kind == "sgd" and updates & set(one[0].outputs.values()))
    ]


def _fit(template: Template, call: Call) -> float:
    """Return how well a call fits: its name speaks for it, what it is passed besides against."""
    passed = call.passed or call.known
    return 3 * len(call.words & template.words) - len(passed - template.arrays)


def _in_order(executable: Executable, found: Sequence[tuple[Template, int, Call]]) -> list[Found]:
    ordered = sorted(found, key=lambda one: one[1])
    return [
        Found(template, _boundary(executable, call), f"{call.callee.name} has its arrays there")
        for template, _, call in ordered
    ]


def _boundary(executable: Executable, call: Call) -> str:
    """Return where a call has returned: its line where that is the only one, or the address."""
    if call.behind is None:
        return f"return:{call.caller.name}"
    line = executable.line_at(call.behind)
    if line is not None:
        file = Path(line.file).name
        if executable.line_addresses(file, line.line) == (call.behind,):
            return f"{file}:{line.line}"
    return f"*{call.behind:#x}"


def _written(template: Template) -> tuple[str, ...]:
    return tuple(template.outputs.values())


def _is_update(template: Template) -> bool:
    return "param" in template.outputs
