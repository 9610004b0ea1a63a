"""Draws the pictures of `nndbg run` for the documentation, from a program that really runs.

    .venv/bin/python tests/screens.py PROGRAM [-o DIR] [-- ARGUMENTS]

PROGRAM has something wrong in it, as `python -m tests.broken.build NAME` makes one. The pictures
are SVG, one for each page, as they are in a terminal of 120 columns and 40 lines; with --size
others.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

# Before Textual is imported: it asks once what the terminal can do.
os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
os.environ.pop("NO_COLOR", None)

import nndbg
from nndbg.api import accuser
from nndbg.tui import DebuggerApp

# What is pressed before each picture, and which pages are turned to.
SCENES: Sequence[tuple[str, tuple[str, ...], str, str]] = (
    ("numbers", ("d",), "numbers", "source"),
    ("heatmap", (), "heatmap", "disassembly"),
    ("histogram", (), "histogram", "samples"),
    ("why", ("X",), "heatmap", "why"),
    ("registers", ("full_stop", "full_stop"), "numbers", "registers"),
    ("training", ("s", "s", "s", "s"), "numbers", "training"),
    ("help", ("question_mark",), "numbers", "source"),
)
PATIENCE = 60.0


async def draw(program: Path, arguments: Sequence[str], size: tuple[int, int], to: Path) -> None:
    """Run the program through all scenes and write a picture of each."""
    session = nndbg.open(program, arguments=arguments)
    app = DebuggerApp(
        session,
        writes=lambda element, step, op: nndbg.blame(
            program, element, step=step, op=op, arguments=arguments
        ),
        accuse=accuser(session, arguments=arguments),
    )
    async with app.run_test(size=size) as pilot:
        for name, keys, view, page in SCENES:
            await _until(lambda: not app.is_busy)
            app.workbench.views.turn(view)
            app.workbench.pages.turn(page)
            for key in keys:
                await pilot.press(key)
                await _until(lambda: not app.is_busy)
            await _until(lambda: not app.workbench.is_waiting)
            await pilot.pause()
            picture = to / f"{name}.svg"
            picture.write_text(app.export_screenshot(title=f"nndbg run {program.name}"))
            print(picture)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.05)


def main() -> None:
    """Take the command line apart and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/images"))
    parser.add_argument("--size", default="120x40", metavar="COLUMNSxLINES")
    own, _, given = " ".join(sys.argv[1:]).partition(" -- ")
    options = parser.parse_args(own.split())
    columns, lines = map(int, options.size.split("x"))
    options.output.mkdir(parents=True, exist_ok=True)
    asyncio.run(draw(options.program, given.split(), (columns, lines), options.output))


if __name__ == "__main__":
    main()
