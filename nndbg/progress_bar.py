"""Shows on stderr how far a command has come, while that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from nndbg.text import printable


class Advance(Protocol):
    """Moves a progress bar on; a total of None is not known."""

    def __call__(self, done: int, total: int | None = None, task: str | None = None) -> None:
        """Show that `done` of `total` is done."""


class _Rate(ProgressColumn):
    """How many are done in a second."""

    def render(self, task: Task) -> Text:
        """Return the rate, nothing before it is known."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.0f}/s")


@contextmanager
def progress_bar(task: str, total: int | None = None, counts: bool = True) -> Iterator[Advance]:
    """Show a bar on stderr while it is a terminal, nothing where it is not.

    Where what is done `counts`, and is not only a share, its number and rate are shown too.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total=None, task=None: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        *((MofNCompleteColumn(), _Rate()) if counts else ()),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        shown = bar.add_task(task, total=total)

        def advance(done: int, total: int | None = None, task: str | None = None) -> None:
            description = escape(printable(task)) if task is not None else None
            bar.update(shown, completed=done, total=total, description=description)

        yield advance
