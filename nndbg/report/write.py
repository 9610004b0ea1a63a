"""Writes a report in a format, to stdout or whole into a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from io import StringIO
from pathlib import Path

from rich.console import Console

from nndbg.output import write_pieces
from nndbg.report import as_html, as_json, as_junit, as_markdown, as_sarif, as_terminal
from nndbg.report.model import Report

_LOG_WIDTH = 120


def _terminal(report: Report) -> str:
    text = StringIO()
    as_terminal.show(report, Console(file=text, width=_LOG_WIDTH, highlight=False))
    return text.getvalue()


RENDERERS: Mapping[str, Callable[[Report], str]] = {
    "terminal": _terminal,
    "json": as_json.render,
    "html": as_html.render,
    "sarif": as_sarif.render,
    "junit": as_junit.render,
    "markdown": as_markdown.render,
}

# What is written while it is made: these documents grow with the run.
STREAMS: Mapping[str, Callable[[Report], Iterable[str]]] = {"json": as_json.pieces}


def write_report(report: Report, form: str, path: Path | None) -> None:
    """Write `report` as `form`, one of RENDERERS; to stdout where `path` is None.

    A file is replaced whole or not at all. Raises UsageError when it cannot be written.
    """
    if path is None and form == "terminal" and sys.stdout.isatty():
        as_terminal.show(report, Console(highlight=False))
        return
    pieces = STREAMS[form](report) if form in STREAMS else (RENDERERS[form](report),)
    if path is None:
        sys.stdout.writelines(pieces)
        return
    write_pieces(path, pieces)
