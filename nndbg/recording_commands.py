"""The commands about recordings: one makes a file of a run, the other shows a run from a file."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from nndbg.api import accuser, with_limits
from nndbg.api import open as open_session
from nndbg.api import replay as open_recording
from nndbg.conclusion import conclude, needs_terminal
from nndbg.errors import ExitCode, UsageError
from nndbg.finding import ALL_AUDITS
from nndbg.hunt import check_steps
from nndbg.parameters import (
    FEED,
    MODES,
    STEP_NUMBER,
    ProgramCommand,
    Steps,
    culprit_option,
    modes_of,
    program_options,
)
from nndbg.progress_bar import progress_bar
from nndbg.recording import RecordedSource, Recorder, Tee
from nndbg.report.write import RENDERERS

_mode_option = click.option(
    "--mode", type=click.Choice(MODES), default="local", show_default=True, help=f"{FEED}."
)


@click.command(cls=ProgramCommand)
@click.option(
    "--steps", type=Steps(), default="0:1", show_default=True, help="Which steps to record."
)
@click.option(
    "-o",
    "--output",
    "recording",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Write the recording there.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(RENDERERS)),
    default="terminal",
    show_default=True,
    help="How to write the report of the steps, to stdout.",
)
@_mode_option
@culprit_option
@program_options
@click.pass_obj
def record(
    arguments: tuple[str, ...],
    program: Path,
    map_file: Path | None,
    phase: str,
    timeout: float,
    remote: str | None,
    steps: range,
    recording: Path,
    form: str,
    mode: str,
    culprit: bool,
) -> ExitCode:
    """Check some steps of PROGRAM, and keep them in a file that `nndbg replay` shows.

    The file has what was captured, the layer map, the executable and the source that it refers to,
    the culprit and the report. What follows `--` are the program's arguments; the exit codes are
    those of `check`.
    """
    session = open_session(
        program,
        map=map_file,
        phase=phase,
        arguments=arguments,
        modes=modes_of(mode),
        audits=ALL_AUDITS,
        timeout=timeout,
        remote=remote,
    )
    accuse = None
    if culprit:
        accuse = accuser(
            session,
            map=map_file,
            phase=phase,
            arguments=arguments,
            timeout=timeout,
            remote=remote,
        )
    with (
        session,
        Recorder(recording, session.layer_map, session.executable) as recorder,
        session.tapped(lambda source: Tee(source, recorder)),
        progress_bar("steps", len(steps)) as advance,
    ):
        report = check_steps(session, steps, advance, accuse=accuse, sweep=False)
        recorder.conclude(report)
    return conclude(with_limits(session, report), form, None)


@click.command()
@click.argument("recording", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option(
    "--step",
    type=STEP_NUMBER,
    help="Where to begin, or which to report on; the first, or all, unless given.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(RENDERERS)),
    help="Write a report of all steps instead of opening the screen.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the report there, not to stdout.",
)
@_mode_option
def replay(
    recording: Path, step: int | None, form: str | None, output: Path | None, mode: str
) -> ExitCode | None:
    """Walk through a recorded run on the screen, without GDB or the program.

    With --format it is a report instead. The numbers are judged anew; the culprit, and what was
    found with poison, are those that were recorded. The exit codes are those of `check`.
    """
    if form is None and output is not None:
        raise UsageError("-o is for a report: give its --format as well.")
    if form is None:
        needs_terminal("replay", "nndbg replay FILE --format terminal")
    session = open_recording(recording, modes=modes_of(mode))
    source = session.source
    assert isinstance(source, RecordedSource)
    if form is None:
        from nndbg.tui import run as run_screen  # noqa: PLC0415 - as in `run`

        first = source.recording.steps[0]
        run_screen(session, first if step is None else step, accuse=source.accuse)
        return None
    with session:
        steps = source.recording.steps if step is None else (step,)
        report = source.completed(check_steps(session, steps, sweep=False))
    return conclude(report, form, output)
