"""What can be read off a Python file without running it: a function's parameters and results."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

_FORM = re.compile(r"(?P<file>[^\x00-\x1f]+\.py):(?P<function>[A-Za-z_]\w*)")
_LARGEST = 1 << 20


class ScriptError(ValueError):
    """No such function, or none that a map can name; the message says what there is instead."""


@dataclass(frozen=True)
class Script:
    """A function of a Python file. `text` is how the map writes it, `line` where it begins.

    `inputs` are the parameters without a default, `numbers` those with a number for one. `results`
    are the names under which it returns arrays, None where no dictionary is written out.
    """

    text: str
    path: Path
    function: str
    line: int
    inputs: tuple[str, ...]
    numbers: Mapping[str, float]
    results: tuple[str, ...] | None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.function}"


def read_script(text: str, directory: Path) -> Script:
    """Return the function that `FILE.py:FUNCTION` names; the file is relative to `directory`.

    Nothing of it is run. Raises ScriptError.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise ScriptError(f"{text!r} names no function; write FILE.py:FUNCTION")
    path = directory / form["file"]
    functions = {
        node.name: node
        for node in _parsed(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    name = form["function"]
    if name not in functions:
        close = get_close_matches(name, functions, n=1)
        known = f"Did you mean {close[0]}?" if close else f"It has: {', '.join(functions) or '-'}."
        raise ScriptError(f"{path} has no function {name} of its own. {known}")
    node = functions[name]
    if isinstance(node, ast.AsyncFunctionDef):
        raise ScriptError(f"{path}:{node.lineno}: {name} is async; write a plain function")
    inputs, numbers = _parameters(f"{path}:{node.lineno}: {name}", node.args)
    return Script(text, path, name, node.lineno, inputs, numbers, _results(node))


def _parsed(path: Path) -> ast.Module:
    try:
        data = path.read_bytes() if path.stat().st_size <= _LARGEST else None
    except OSError as error:
        raise ScriptError(f"{path} cannot be read: {error.strerror}") from error
    if data is None:
        raise ScriptError(f"{path} is over 1 MiB, which no reference is")
    try:
        return ast.parse(data, str(path))
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 1
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ScriptError(f"{path}:{line}: not Python: {reason}") from error


def _parameters(where: str, taken: ast.arguments) -> tuple[tuple[str, ...], dict[str, float]]:
    if taken.vararg or taken.kwarg or taken.posonlyargs:
        raise ScriptError(f"{where} takes *args, **kwargs or nameless parameters; name each")
    defaults: list[ast.expr | None] = [None] * (len(taken.args) - len(taken.defaults))
    defaults += taken.defaults
    both = [*zip(taken.args, defaults, strict=True)]
    both += zip(taken.kwonlyargs, taken.kw_defaults, strict=True)
    inputs = tuple(parameter.arg for parameter, default in both if default is None)
    numbers: dict[str, float] = {}
    for parameter, default in both:
        if default is None:
            continue
        try:
            value = ast.literal_eval(default)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(value, int | float) and not isinstance(value, bool):
            numbers[parameter.arg] = float(value)
    return inputs, numbers


def _results(node: ast.FunctionDef) -> tuple[str, ...] | None:
    """Return the keys of the dictionaries that the function returns, if it writes them out."""
    names: dict[str, None] = {}
    for returned in _returned(node):
        if isinstance(returned, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else None for key in returned.keys]
        elif (
            isinstance(returned, ast.Call)
            and isinstance(returned.func, ast.Name)
            and returned.func.id == "dict"
            and not returned.args
        ):
            keys = [keyword.arg for keyword in returned.keywords]
        else:
            return None
        if not all(isinstance(key, str) for key in keys):
            return None
        names.update((str(key), None) for key in keys)
    return tuple(names) or None


def _returned(node: ast.AST) -> Iterator[ast.expr | None]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Return):
            yield child.value
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _returned(child)
