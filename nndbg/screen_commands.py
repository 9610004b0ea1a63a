"""The commands about the screen: how it is set, and how a browser shows it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import rich_click as click

from nndbg.conclusion import say
from nndbg.elf import read_executable
from nndbg.parameters import STEP_NUMBER, ProgramCommand, program_options
from nndbg.settings import DEFAULT, settings_path
from nndbg.text import printable

_COLUMN = 44
_START = "from nndbg.cli import main; main()"


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


@click.command(cls=ProgramCommand)
@click.option("--step", type=STEP_NUMBER, default=0, show_default=True, help="Where to begin.")
@click.option(
    "--replay",
    "recording",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Show this recording instead of a program.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Listen there; 0 is any port that is free.",
)
@program_options
@click.pass_obj
def serve(
    arguments: tuple[str, ...],
    program: Path,
    map_file: Path | None,
    phase: str,
    timeout: float,
    remote: str | None,
    step: int,
    recording: Path | None,
    port: int,
) -> None:
    """Show the screen of `nndbg run` in a browser on this machine.

    Prints the address, which holds a token: whoever has it can use the screen. It ends with Ctrl+C.
    What follows `--` are the program's arguments.
    """
    from nndbg.serve import serve as serve_screen  # noqa: PLC0415 - a web server is slow to import

    if recording is not None:
        words = ["replay", str(recording.absolute()), *(["--step", str(step)] if step else [])]
        title = recording.name
    else:
        read_executable(program)
        mapped = ["--map", str(map_file)] if map_file is not None else []
        mapped += ["--remote", remote] if remote is not None else []
        words = ["run", *mapped, "--phase", phase, "--timeout", str(timeout), "--step", str(step)]
        # A program's name may begin with a dash; its arguments come behind the one that ends ours.
        words += [str(program.absolute()), "--", *arguments]
        title = program.name

    def announce(address: str) -> None:
        print(address, flush=True)  # noqa: T201
        say("open this address in a browser on this machine; Ctrl+C ends it.")

    serve_screen([sys.executable, "-c", _START, *words], title, port, announce)


def _line(name: str, value: object, origin: str) -> str:
    text = f"{name} = {json.dumps(value)}"
    return text if origin == DEFAULT else f"{text:<{_COLUMN}} # {origin}"


def _key(action: str) -> str:
    return f'"{action}"' if "." in action else action
