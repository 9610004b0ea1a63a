"""The themes: what the colours of the palette become, on the screen and in its style sheet.

The screen is drawn in the palette's colours; the others take their place as a line is shown. The
palette's own teal and vermilion are told apart by most; the other themes widen the distance for
one kind of eye each. Source of the colours: Okabe and Ito, "Color Universal Design" (2008).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import Theme

from nndbg.tui.palette import AMBER, GREY, TEAL, THEME, VERMILION


@dataclass(frozen=True)
class Colours:
    """What takes the place of the palette's colours in one theme."""

    right: str
    wrong: str
    unknown: str
    quiet: str


# Blue and orange: red-blind and green-blind eyes see both, and what lies between as grey.
_RED_GREEN = Colours(right="#56b4e9", wrong="#ff8c1a", unknown="#f5f0c8", quiet="#8a949c")
# Turquoise and red: what blue-blind eyes tell apart best; white for what is unknown.
_BLUE_YELLOW = Colours(right="#30c8b8", wrong="#ff5555", unknown="#e8e8f0", quiet="#8a8a94")
_LIGHT = Colours(right="#00695c", wrong="#b3330c", unknown="#7a5200", quiet="#5a666e")


def _theme(name: str, colours: Colours) -> Theme:
    return replace(
        THEME,
        name=name,
        primary=colours.right,
        secondary=colours.quiet,
        accent=colours.right,
        warning=colours.unknown,
        error=colours.wrong,
        success=colours.right,
        variables={**THEME.variables, "footer-key-foreground": colours.right},
    )


_PAPER = replace(
    _theme("nndbg-light", _LIGHT),
    foreground="#1c2226",
    background="#f7f7f4",
    surface="#efefea",
    panel="#e4e4de",
    dark=False,
    variables={
        "border": "#c4c8c4",
        "footer-key-foreground": _LIGHT.right,
        "block-cursor-background": "#bfdcd8",
        "block-cursor-foreground": "#000000",
        "scrollbar": "#c4c8c4",
        "scrollbar-background": "#f7f7f4",
        "scrollbar-corner-color": "#f7f7f4",
    },
)
THEMES: Mapping[str, tuple[Theme, Colours | None]] = MappingProxyType(
    {
        theme.name: (theme, colours)
        for theme, colours in (
            (THEME, None),
            (_PAPER, _LIGHT),
            (_theme("nndbg-red-green", _RED_GREEN), _RED_GREEN),
            (_theme("nndbg-blue-yellow", _BLUE_YELLOW), _BLUE_YELLOW),
        )
    }
)


class Recoloured(LineFilter):
    """Shows lines that were drawn in the palette's colours in those of a theme."""

    def __init__(self, colours: Colours) -> None:
        super().__init__()
        self._instead = {
            RichColor.parse(drawn).triplet: RichColor.parse(shown)
            for drawn, shown in (
                (TEAL, colours.right),
                (VERMILION, colours.wrong),
                (AMBER, colours.unknown),
                (GREY, colours.quiet),
            )
        }

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments in the theme's colours."""
        return [
            Segment(text, style and self._restyled(style), control)
            for text, style, control in segments
        ]

    def _restyled(self, style: Style) -> Style:
        color = self._instead.get(style.color.triplet) if style.color else None
        ground = self._instead.get(style.bgcolor.triplet) if style.bgcolor else None
        return style + Style(color=color, bgcolor=ground) if color or ground else style


# A terminal of 16 colours would show teal as grey: it is told which of its own to take.
SIXTEEN = Recoloured(
    Colours(right="cyan", wrong="bright_red", unknown="bright_yellow", quiet="white")
)
FILTERS: Mapping[str, Recoloured] = MappingProxyType(
    {name: Recoloured(colours) for name, (_, colours) in THEMES.items() if colours is not None}
)
