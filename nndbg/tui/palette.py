"""The signs and colours of the screen. Every colour has a sign or a word beside it."""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style
from textual.theme import Theme

from nndbg.compare import Status
from nndbg.report.words import SIGNS

# Teal and vermilion, which the colour-blind tell apart (Okabe and Ito's palette, softened).
TEAL = "#5ab8a8"
VERMILION = "#f0764a"
AMBER = "#d8a94a"
GREY = "#7d8a94"

PLAIN = Style()
DIM = Style(color=GREY)
STRONG = Style(bold=True)
WRONG = Style(color=VERMILION)
UNKNOWN = Style(color=AMBER)
ACCENT = Style(color=TEAL)
NUMBER = Style(color=AMBER)

STYLES: Mapping[Status, Style] = {
    Status.AGREE: ACCENT,
    Status.DIVERGED: WRONG,
    Status.NONFINITE: WRONG,
    Status.UNWRITTEN: WRONG,
    Status.UNCHECKED: UNKNOWN,
}
# Before a number that is wrong.
WRONG_SIGN = SIGNS[Status.DIVERGED]

THEME = Theme(
    name="nndbg",
    primary=TEAL,
    secondary=GREY,
    accent=TEAL,
    warning=AMBER,
    error=VERMILION,
    success=TEAL,
    foreground="#d6dce0",
    background="#12171a",
    surface="#182024",
    panel="#1f292e",
    dark=True,
    variables={
        "border": "#2c383e",
        "footer-key-foreground": TEAL,
        "block-cursor-background": "#2f4a4c",
        "block-cursor-foreground": "#ffffff",
        "scrollbar": "#2c383e",
        "scrollbar-background": "#12171a",
        "scrollbar-corner-color": "#12171a",
    },
)
