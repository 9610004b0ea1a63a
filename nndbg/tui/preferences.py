"""What the settings may name on this screen, and how they are put to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.dom import DOMNode

from nndbg.settings import Known, Settings, read_settings
from nndbg.tui.themes import THEMES

if TYPE_CHECKING:
    from nndbg.tui.app import DebuggerApp


def known(parts: tuple[type[DOMNode], ...]) -> Known:
    """Return all themes, and the actions of these parts of the screen with their keys."""
    keys: dict[str, dict[str, None]] = {}
    for part in parts:
        for binding in part.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.id:
                keys.setdefault(binding.id, {})[binding.key] = None
    return Known(tuple(THEMES), {name: ",".join(found) for name, found in keys.items()})


def preferred(parts: tuple[type[DOMNode], ...]) -> Settings:
    """Return the settings that hold for a screen of these parts. Raises UsageError."""
    return read_settings(known(parts))


def apply(settings: Settings, app: DebuggerApp) -> None:
    """Put settings to use in an application that has just been opened."""
    for theme, _ in THEMES.values():
        app.register_theme(theme)
    app.theme = settings.theme
    app.set_keymap(dict(settings.keys))
    if not settings.animation:
        app.animation_level = "none"
