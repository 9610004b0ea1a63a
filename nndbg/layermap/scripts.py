"""The Python functions that a map calls: found, and turned into kinds of op."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from nndbg.layermap.model import Buffer, Op
from nndbg.own import TIME_LIMIT, Own, Script, ScriptError, Worker, own_kind, read_script
from nndbg.reference import Kind
from nndbg.reference.kinds import Part

PREFIX = "python:"

Shape = tuple[str | int, ...]
# A kind, and the buffers of its parts.
Whole = tuple[Kind, dict[str, str], dict[str, str]]


class Scripts:
    """The functions of one map. All of them run in one process, started when one is called."""

    def __init__(self, directory: Path | None, timeout: object) -> None:
        self._directory = directory
        self._timeout = timeout
        is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
        self._worker = Worker(float(str(timeout)) if is_number else TIME_LIMIT)

    def check_timeout(self, fail: Callable[[str], object]) -> None:
        """Call `fail` with what is wrong about the time limit, if anything is."""
        stated = self._timeout
        is_number = isinstance(stated, int | float) and not isinstance(stated, bool)
        if stated is not None and not (is_number and 0 < float(str(stated)) < float("inf")):
            fail(f"[reference] has timeout = {stated!r}; wanted seconds")

    def read(self, text: str) -> Script:
        """Return the function that the map calls. Raises ScriptError."""
        if self._directory is None:
            raise ScriptError(
                "calls Python, which only a map that is named with --map may do: "
                "whoever made the executable would have it run here"
            )
        return read_script(text, self._directory)

    def kind(
        self, script: Script, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]
    ) -> Kind:
        """Return the kind of an op that takes and makes arrays of these shapes, by part."""
        return own_kind(script, _parts(inputs), _parts(outputs), self._worker)


def own_parts(names: Sequence[str]) -> tuple[Part, ...]:
    """Return parts of any shape."""
    return tuple(Part(name, ("..",), "any") for name in names)


def own_reference(
    script: Script,
    table: Mapping[str, Any],
    scripts: Scripts,
    buffers: Mapping[str, Buffer],
    ops: Sequence[Op],
) -> tuple[Own | None, Whole | None]:
    """Return what the function of a whole step judges beside the ops, and what it judges alone.

    Raises ScriptError.
    """
    where = f"{script.path}:{script.line}: {script.function}"
    inputs = script.inputs
    for name in inputs:
        if name not in buffers:
            raise ScriptError(f"{where} takes {name}, which is no buffer.{_close(name, buffers)}")
    outputs = _outputs(where, script, table)
    for name in outputs:
        if name not in buffers:
            raise ScriptError(f"{where} returns {name}, which is no buffer.{_close(name, buffers)}")
    writers = {name for op in ops for name in op.outputs.values()}
    beside = tuple(name for name in outputs if name in writers)
    alone = tuple(name for name in outputs if name not in writers)
    own = None
    if beside:
        kind = scripts.kind(script, _shapes(inputs, buffers), _shapes(beside, buffers))
        own = Own(kind, inputs, beside)
    if not alone:
        return own, None
    if "done" not in table:
        raise ScriptError(
            f"no op writes {alone[0]}, which {script.function} returns. Name with `done` the "
            "boundary at which it is complete"
        )
    kind = scripts.kind(script, _shapes(inputs, buffers), _shapes(alone, buffers))
    return own, (kind, {name: name for name in inputs}, {name: name for name in alone})


def _outputs(where: str, script: Script, table: Mapping[str, Any]) -> tuple[str, ...]:
    stated = table.get("out")
    if stated is None:
        if script.results is None:
            raise ScriptError(
                f"{where} writes out no dictionary that it returns. "
                'Name the buffers that it returns: out = ["h", "p"]'
            )
        return script.results
    if not isinstance(stated, list) or not stated or not all(isinstance(n, str) for n in stated):
        raise ScriptError('`out` must be a list of buffers: out = ["h", "p"]')
    return tuple(dict.fromkeys(stated))


def _shapes(names: Sequence[str], buffers: Mapping[str, Buffer]) -> dict[str, Shape]:
    return {name: buffers[name].shape for name in names}


def _parts(shapes: Mapping[str, Shape]) -> tuple[Part, ...]:
    return tuple(Part(name, tuple(map(str, shape)), "any") for name, shape in shapes.items())


def _close(name: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]}?" if close else f" There are: {', '.join(known)}."


__all__ = ["PREFIX", "Scripts", "own_parts", "own_reference"]
