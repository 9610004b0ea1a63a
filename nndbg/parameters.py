"""What the commands take: kinds of arguments, and the options that several of them share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

from nndbg.api import DEFAULT_TIMEOUT
from nndbg.compare import Mode
from nndbg.finding import ALL_AUDITS, Audit
from nndbg.layermap import MAIN_PHASE
from nndbg.report.write import RENDERERS


class ProgramCommand(click.RichCommand):
    """A command that hands everything after `--` to the program that it debugs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split off the program's arguments before click sees them."""
        at = args.index("--") if "--" in args else len(args)
        ctx.obj = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])


class Audits(click.ParamType[frozenset[Audit]]):
    """Names of audits with commas between them, `all` or `none`."""

    name = "LIST"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[Audit]:
        """Return the audits that are named."""
        if isinstance(value, frozenset):
            return value
        if value in ("all", "none"):
            return ALL_AUDITS if value == "all" else frozenset()
        names = [name.strip() for name in value.split(",")]
        unknown = [name for name in names if name not in list(Audit)]
        if unknown:
            known = ", ".join(Audit)
            self.fail(f"{unknown[0]!r} is no audit. There are: {known}; or all, none.", param, ctx)
        return frozenset(map(Audit, names))


class Steps(click.ParamType[range]):
    """A range of steps, written `A:B`: A and all after it up to, not including, B.

    `A:B:N` is every N-th of them.
    """

    name = "A:B[:N]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> range:
        """Return a range that is not empty."""
        if isinstance(value, range):
            return value
        match = re.fullmatch(r"(\d{1,18}):(\d{1,18})(?::(\d{1,18}))?", value)
        first, end, every = (int(n) for n in match.groups("1")) if match else (0, 0, 1)
        if first >= end or not every:
            self.fail(f"{value!r} is not a range of steps; 0:3 is steps 0, 1 and 2.", param, ctx)
        return range(first, end, every)


def program_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what every command that runs a program takes."""
    for option in (
        timeout_option,
        remote_option,
        phase_option,
        map_option,
        program_argument("./mnist"),
    ):
        command = option(command)
    return command


def program_argument(default: str | None) -> Callable[..., Any]:
    """Return the argument PROGRAM, which has to be given where it has no default."""
    kind = click.Path(path_type=Path)
    if default is None:
        return click.argument("program", type=kind)
    return click.argument("program", type=kind, default=default)


map_option = click.option(
    "--map",
    "map_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The layer map; without it, the one in the executable.",
)
phase_option = click.option(
    "--phase",
    default=MAIN_PHASE,
    show_default=True,
    help="Which kind of step to follow, as the layer map names it.",
)
MODES = ("local", "chain", "both")


def modes_of(mode: str) -> tuple[Mode, ...]:
    """Return the modes that one of MODES names."""
    return (Mode.LOCAL, Mode.CHAIN) if mode == "both" else (Mode(mode),)


FEED = "Feed the reference with the program's inputs, its own outputs since the step began, or both"
timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=DEFAULT_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="How long the program may take from one boundary to the next.",
)
remote_option = click.option(
    "--remote",
    metavar="HOST:PORT",
    help="Where a gdbserver has the program, for one that runs on another machine.",
)
culprit_option = click.option(
    "--culprit/--no-culprit",
    default=True,
    show_default=True,
    help="Run again to find the instruction that made the first wrong number.",
)
STEP_NUMBER = click.IntRange(0, 2**63 - 1)


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what every command that ends in a report takes."""
    for option in (
        click.option(
            "-o",
            "--output",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Write the report there, not to stdout.",
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(list(RENDERERS)),
            default="terminal",
            show_default=True,
            help="How to write the report.",
        ),
    ):
        command = option(command)
    return command


def check_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what `check` alone takes."""
    for option in (
        click.option(
            "--mode",
            type=click.Choice([*MODES, Mode.TRAJECTORY.value]),
            default="local",
            show_default=True,
            help=f"{FEED}; or let it train beside the program, and see how far they drift apart.",
        ),
        click.option(
            "--heal",
            metavar="OP",
            multiple=True,
            help="Write over what OP leaves wrong, and go on: does the rest agree then? "
            "May be given for several; auto finds the fewest.",
        ),
        culprit_option,
        click.option(
            "--audits",
            type=Audits(),
            default="all",
            show_default=True,
            help="What to look into besides the numbers: "
            f"{', '.join(Audit)}; several with commas, all, or none.",
        ),
        click.option("--until-first", is_flag=True, help="Stop at the first op that is wrong."),
        click.option(
            "--steps",
            type=Steps(),
            default="0:3",
            show_default=True,
            help="Which steps to check; 0:9000:50 is every fiftieth.",
        ),
    ):
        command = option(command)
    return command
