"""Writes a first layer map as TOML; what is a guess says so, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from nndbg.elf import Executable
from nndbg.errors import UsageError
from nndbg.guess.arrays import find_arrays
from nndbg.guess.places import Found, Part, find_phases
from nndbg.guess.shapes import Shaped, Shapes, find_shapes
from nndbg.guess.templates import Template, find_ops

UNKNOWN = "?"
_WIDTH = 66


def draft_map(executable: Executable) -> str:
    """Return the text of a map of what can be guessed of `executable`.

    Raises UsageError where its names say nothing.
    """
    arrays = find_arrays(executable)
    shapes = find_shapes(arrays, executable.path)
    if not shapes.buffers:
        raise UsageError(
            f"{executable.path.name}: no symbol and no variable of it is called like weights, "
            "biases or activations (W1, fc1_bias, net.hidden.z). Is it stripped? "
            "docs/layer-map.md says how to write the map by hand."
        )
    parts, missing = find_phases(executable, find_ops(shapes), arrays)
    lines = [
        f"# A first layer map of {executable.path.name}, by `nndbg map init`.",
        "# What is marked `guess` was not known: `nndbg map fit` tries it, and you correct it.",
        "",
        *_program(executable, parts),
        *_sizes(shapes),
        *_buffers(shapes),
        *(line for part in parts for found in part.ops for line in _op(part, found)),
        *_missing(missing, shapes),
    ]
    return "\n".join(lines) + "\n"


def _program(executable: Executable, parts: list[Part]) -> Iterator[str]:
    yield "[program]"
    yield f"name = {_text(executable.path.name)}"
    if parts:
        yield _guessed(f"step = {_text(parts[0].step)}", parts[0].reason)
    else:
        yield f"step = {_text(UNKNOWN)}  # missing: where a step begins, as enter:FUNCTION"
    yield ""
    for part in parts[1:]:
        yield f"[phases.{part.name}]"
        yield _guessed(f"step = {_text(part.step)}", part.reason)
        yield ""


def _sizes(shapes: Shapes) -> Iterator[str]:
    yield "[sizes]"
    for size in shapes.sizes.values():
        yield _guessed(f"{size.name} = {size.value}", size.reason)
    yield ""


def _buffers(shapes: Shapes) -> Iterator[str]:
    yield "[buffers]"
    for shaped in sorted(shapes.buffers.values(), key=lambda s: s.array.span.start):
        yield _guessed(_buffer(shaped), shaped.reason)
    yield ""


def _buffer(shaped: Shaped) -> str:
    array = shaped.array
    shape = json.dumps(list(shaped.shape))
    place = ""
    if array.is_pointer:
        place = f"pointer = {_text(array.place)}, "
    elif array.place != array.name:
        place = f"symbol = {_text(array.place)}, "
    return f'{array.name} = {{ {place}dtype = "{shaped.dtype}", shape = {shape} }}'


def _op(part: Part, found: Found) -> Iterator[str]:
    template = found.template
    yield "[[ops]]"
    yield f"name = {_text(template.name)}"
    if part.name != "train":
        yield f"phase = {_text(part.name)}"
    yield _guessed(f"kind = {_text(template.kind)}", template.reason)
    yield f"in = {_table(template.inputs)}"
    yield f"out = {_out(template)}"
    yield _guessed(f"done = {_text(found.done)}", found.reason)
    yield ""


def _missing(missing: list[Template], shapes: Shapes) -> Iterator[str]:
    if missing:
        yield "# Ops that may be there, and no place was found where they are complete:"
        for template in missing:
            parts = ", ".join(template.inputs.values())
            yield f"#   {template.name}: {template.kind} of {parts} -> {_out(template)}"
    if shapes.missed:
        yield "# Names that say something, and numbers that do not fit:"
        yield from (f"#   {line}" for line in shapes.missed)


def _out(template: Template) -> str:
    outputs = template.outputs
    return _text(next(iter(outputs.values()))) if len(outputs) == 1 else _table(outputs)


def _table(operands: Mapping[str, str]) -> str:
    return f"{{ {', '.join(f'{part} = {_text(name)}' for part, name in operands.items())} }}"


def _guessed(line: str, reason: str) -> str:
    return f"{line.ljust(_WIDTH)}  # guess: {reason}" if reason else line


def _text(text: str) -> str:
    return json.dumps(text)
