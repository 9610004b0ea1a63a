"""Pictures of whole screens, kept as text. NNDBG_SNAPSHOTS=write renews them.

What is kept is what a terminal is sent: the letters, and for one of 16 colours the colours as well.
"""

import os
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.color import ColorSystem

from .stage import NARROW, WIDE, Stage

KEPT = Path(__file__).parent / "snapshots"
SIZES = [NARROW, WIDE, (200, 60)]


def expect(name: str, text: str) -> None:
    path = KEPT / f"{name}.txt"
    text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    if os.environ.get("NNDBG_SNAPSHOTS") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.is_file(), f"no {path.name}: NNDBG_SNAPSHOTS=write makes it"
    assert text == path.read_text(), f"{path.name} differs: look, then NNDBG_SNAPSHOTS=write"


def sent(s: Stage, system: ColorSystem) -> str:
    """What a terminal with these colours is sent, an escape written as ^."""
    lines = StringIO()
    for strip in s.app.screen._compositor.render_strips():
        for text, style, _ in strip:
            lines.write(style.render(text, color_system=system) if style else text)
        lines.write("\n")
    return lines.getvalue().replace("\x1b[", "^[")


async def look(s: Stage) -> None:
    """Go to the divergence, with its diagnosis on the screen."""
    await s.settle()
    await s.press("d")
    await s.until(lambda: "explains" in s.text, "the diagnosis")
    await s.until(lambda: "help" in s.text.splitlines()[-1], "the footer")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
async def test_the_screen_at_a_divergence(stage, size):
    async with stage(size=size) as s:
        await look(s)
        expect(f"divergence-{size[0]}x{size[1]}", s.text)


async def test_the_screen_without_colours(stage, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage(size=NARROW) as s:
        await look(s)
        expect("divergence-no-color", sent(s, ColorSystem.TRUECOLOR))
        expect("divergence-80x24", s.text)


async def test_the_screen_on_a_terminal_of_16_colours(stage, monkeypatch):
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "standard")
    async with stage(size=NARROW) as s:
        await look(s)
        shown = sent(s, ColorSystem.STANDARD)
        expect("divergence-16-colours", shown)
        # Right in cyan, wrong in bright red: two that no terminal shows alike.
        assert re.search(r"\^\[36;\d+m✓", shown)
        assert re.search(r"\^\[(1;)?91;\d+m✗", shown)


async def test_the_help_fits_a_small_terminal(stage):
    async with stage(size=NARROW) as s:
        await look(s)
        await s.press("?")
        expect("help-80x24", s.text)
