"""Makes the pictures of the screen in docs/images, from the program as it runs.

python -m tests.pictures            all of them
python -m tests.pictures run help   these
python -m tests.pictures -l         their names

A new screen is a line in PICTURES.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from textual import constants

import nndbg
from nndbg.api import accuser
from nndbg.finding import Audit
from nndbg.tui import DebuggerApp

from .broken.build import ROOT, build, changes

IMAGES = ROOT / "docs" / "images"
NARROW, USUAL, WIDE = (80, 24), (120, 40), (200, 60)
DEADLINE = 60.0


@dataclass(frozen=True)
class Picture:
    """A screen: of ./mnist, or of the trainer with a fault, once these keys have been pressed.

    `view` and `page` are turned to before. `shows` has to be on it, so that no picture is of
    something else than its name says.
    """

    name: str
    keys: tuple[str, ...]
    shows: str
    fault: str | None = None
    size: tuple[int, int] = USUAL
    step: int = 0
    theme: str = "nndbg"
    view: str = "numbers"
    page: str = "source"


ARGUMENTS = ("--epochs", "1")
FAULT = "dense2_stops_at_another_limit"
PICTURES = (
    Picture("run", ("d",), "diverged", FAULT),
    Picture("run-80x24", ("d",), "diverged", FAULT, NARROW),
    Picture("run-200x60", ("d",), "diverged", FAULT, WIDE),
    Picture("matrix", ("s", "home", "j", "j", "enter", "3"), "difference"),
    Picture("why", ("d", "X"), "who wrote", FAULT, view="heatmap", page="why"),
    Picture("histogram", ("s",), "taken for", view="histogram", page="samples"),
    Picture("registers", ("n", ".", "."), "zmm", page="registers"),
    Picture("training", ("s",) * 6, "confusion", page="training"),
    Picture("help", ("n", "?"), "Run until the next op is judged."),
    Picture("export", ("d", "e"), "Write the report of this step to", FAULT),
    Picture("light", ("d",), "diverged", FAULT, theme="nndbg-light"),
    Picture("red-green", ("d",), "diverged", FAULT, theme="nndbg-red-green"),
    Picture("blue-yellow", ("d",), "diverged", FAULT, theme="nndbg-blue-yellow"),
)


async def draw(picture: Picture, program: Path) -> str:
    """Return the picture as SVG. Raises RuntimeError where it does not show what it should."""
    session = nndbg.open(program, arguments=ARGUMENTS, audits=(Audit.WRITES,))
    os.environ["NNDBG_THEME"] = picture.theme
    app = DebuggerApp(
        session,
        picture.step,
        writes=lambda element, step, op: nndbg.blame(
            program, element, step=step, op=op, arguments=ARGUMENTS
        ),
        accuse=accuser(session, arguments=ARGUMENTS),
    )
    async with app.run_test(size=picture.size) as pilot:

        async def until(condition: Callable[[], bool], what: str) -> None:
            limit = monotonic() + DEADLINE
            while not condition():
                if monotonic() > limit:
                    raise RuntimeError(f"{picture.name}: {what} never came")
                await pilot.pause(0.02)

        await until(lambda: not app.is_busy and app.snapshot is not None, "the first stop")
        app.workbench.views.turn(picture.view)
        app.workbench.pages.turn(picture.page)
        for key in picture.keys:
            await pilot.press(key)
            await until(lambda: not app.is_busy, f"the answer to {key}")
        shown = picture.shows.replace(" ", "&#160;")
        await until(lambda: shown in app.export_screenshot(title="nndbg"), picture.shows)
        await until(lambda: not app.workbench.is_waiting, "the diagnosis")
        await pilot.pause()
        return app.export_screenshot(title="nndbg")


def main() -> int:
    """Draw what was asked for."""
    parser = argparse.ArgumentParser(description="Makes the pictures in docs/images.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("-l", "--list", action="store_true", help="list the names")
    parser.add_argument("-o", "--output", type=Path, default=IMAGES, metavar="DIR")
    options = parser.parse_args()
    if options.list:
        print(*(picture.name for picture in PICTURES), sep="\n")
        return 0
    wanted = [p for p in PICTURES if not options.names or p.name in options.names]
    if unknown := set(options.names) - {picture.name for picture in wanted}:
        parser.error(f"no picture is called {', '.join(sorted(unknown))}; -l lists them")
    os.environ["NNDBG_CONFIG"] = os.devnull
    os.environ.pop("NO_COLOR", None)
    constants.COLOR_SYSTEM = "truecolor"
    # The paths on the screen are those from the root of the repository.
    os.chdir(ROOT)
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        programs = {None: ROOT / "mnist"}
        faults = {change.name: change for change in changes("faults")}
        for picture in wanted:
            if picture.fault not in programs:
                built = build(faults[picture.fault], Path(place) / picture.fault)
                programs[picture.fault] = built
            svg = asyncio.run(draw(picture, programs[picture.fault]))
            (options.output / f"{picture.name}.svg").write_text(svg)
            print(picture.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
