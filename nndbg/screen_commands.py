"""The commands about the screen: how it is set, and how a browser shows it."""

from __future__ import annotations

import json
import sys

import rich_click as click

from nndbg.settings import DEFAULT, settings_path
from nndbg.text import printable

_COLUMN = 44


@click.command()
def config() -> None:
    """Show the settings that hold, and where each comes from.

    What is printed is a settings file: where to save it is said on top.
    """
    from nndbg.tui import PARTS  # noqa: PLC0415 - the screen's imports take as long as a check
    from nndbg.tui.preferences import known, preferred  # noqa: PLC0415 - the same

    settings, actions = preferred(PARTS), known(PARTS).keys
    path = settings_path()
    lines = [f"# {path}{'' if path.exists() else ' (not there)'}"]
    for name in ("theme", "mouse", "animation"):
        lines.append(_line(name, getattr(settings, name), settings.origin(name)))
    lines += ["", "[keys]"]
    for action, keys in actions.items():
        given = settings.keys.get(action, keys)
        lines.append(_line(_key(action), given, settings.origin(f"keys.{action}")))
    sys.stdout.writelines(f"{printable(line)}\n" for line in lines)


def _line(name: str, value: object, origin: str) -> str:
    text = f"{name} = {json.dumps(value)}"
    return text if origin == DEFAULT else f"{text:<{_COLUMN}} # {origin}"


def _key(action: str) -> str:
    return f'"{action}"' if "." in action else action
