"""The process that runs the user's functions: it answers one request after the other.

Its standard input is the life line: where that ends, so does the process, whatever it is doing.
What the functions print goes nowhere, so that it can disturb neither a report nor a screen.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

from nndbg.own.sampling import Operand, ResultError, sample
from nndbg.reference import Bounded, Format


@dataclass(frozen=True, eq=False)
class Request:
    """What is to be computed: a function of a file, and all that it takes."""

    path: str
    function: str
    operands: Mapping[str, Operand]
    numbers: Mapping[str, float]
    results: tuple[str, ...]
    fmt: Format


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a request: the results, or what went wrong, in one line."""

    results: Mapping[str, Bounded]
    error: str = ""


def serve(connection: Connection) -> None:
    """Answer requests until there are no more."""
    modules: dict[str, ModuleType] = {}
    while True:
        try:
            request: Request = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(_answer(request, modules))


def _answer(request: Request, modules: dict[str, ModuleType]) -> Answer:
    path = request.path
    try:
        if path not in modules:
            modules[path] = _load(path)
        function: Callable[..., Any] | None = getattr(modules[path], request.function, None)
        if not callable(function):
            return Answer({}, f"{path}:1: {request.function} is no function once the file has run")
        found = sample(function, request.operands, request.numbers, request.results, request.fmt)
        return Answer(found)
    except ResultError as problem:
        return Answer({}, f"{path}:{_line(modules, request)}: {request.function} {problem}")
    except BaseException as problem:  # noqa: BLE001 - whatever the user's code does, we say so
        return Answer({}, _told(path, request.function, problem))


def _load(path: str) -> ModuleType:
    """Run a file as a module; what lies beside it can be imported."""
    sys.path.insert(0, str(Path(path).parent))
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _line(modules: Mapping[str, ModuleType], request: Request) -> int:
    function = getattr(modules.get(request.path), request.function, None)
    code = getattr(function, "__code__", None)
    return code.co_firstlineno if code is not None else 1


def _told(path: str, function: str, problem: BaseException) -> str:
    """Return what was raised, with the last line of the user's file on the way there."""
    frames = traceback.extract_tb(problem.__traceback__)
    own = [frame for frame in frames if frame.filename == path]
    beside = [frame for frame in frames if frame.filename.startswith(str(Path(path).parent))]
    frame = next(reversed(own or beside), None)
    place = f"{frame.filename}:{frame.lineno}" if frame is not None else f"{path}:1"
    if isinstance(problem, SyntaxError) and problem.filename:
        place = f"{problem.filename}:{problem.lineno or 1}"
    says = " ".join(str(problem).split())
    return f"{place}: {function} raised {type(problem).__name__}{': ' if says else ''}{says}"


def _end_with_the_life_line() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def main() -> None:
    """Serve the connection whose number is the argument."""
    # An interrupt is for the parent, which ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_life_line, daemon=True).start()
    serve(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    from nndbg.own.worker import main as run  # what is pickled is known by this module's name

    run()
