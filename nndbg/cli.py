"""The commands: takes the command line apart, calls the core, says what came of it.

stdout is for data, stderr for talk; nothing but this module and the renderers prints.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import rich_click as click
from click.exceptions import Exit
from rich.console import Console
from rich.markup import escape

from nndbg.api import accuser, with_limits
from nndbg.api import blame as find_writes
from nndbg.api import open as open_session
from nndbg.bisection import bisect_steps
from nndbg.compare import Mode
from nndbg.conclusion import conclude, needs_terminal, say
from nndbg.culprit.words import as_json, as_text
from nndbg.dataset import prepare
from nndbg.doctor import Health, examine
from nndbg.elf import read_executable
from nndbg.errors import ExitCode, NndbgError, UsageError
from nndbg.finding import ALL_AUDITS, Audit
from nndbg.fit import as_diff
from nndbg.fitting import fit_program
from nndbg.guess import draft_map, gaps
from nndbg.healing import heal_steps
from nndbg.hunt import check_steps
from nndbg.layermap import load_map
from nndbg.output import write_text
from nndbg.parameters import (
    FEED,
    MODES,
    STEP_NUMBER,
    ProgramCommand,
    Steps,
    check_options,
    map_option,
    modes_of,
    phase_option,
    program_argument,
    program_options,
    remote_option,
    report_options,
    timeout_option,
)
from nndbg.plot import read_images, read_metrics, render_html, render_terminal
from nndbg.progress_bar import progress_bar
from nndbg.recording import Recorder, Tee
from nndbg.recording_commands import record, replay
from nndbg.report.as_map import render as render_map
from nndbg.screen_commands import config, serve
from nndbg.session import Session
from nndbg.text import printable
from nndbg.trajectory import follow_steps


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nndbg", prog_name="nndbg")
def commands() -> None:
    """Find the wrong number in a neural network written in assembly."""


for _command in (record, replay, serve, config):
    commands.add_command(_command)


@commands.command(cls=ProgramCommand)
@click.option("--step", type=STEP_NUMBER, default=0, show_default=True, help="Where to begin.")
@click.option(
    "--record",
    "recording",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Keep the steps that are walked through, for `nndbg replay`.",
)
@program_options
@click.pass_obj
def run(
    arguments: tuple[str, ...],
    program: Path,
    map_file: Path | None,
    phase: str,
    timeout: float,
    remote: str | None,
    step: int,
    recording: Path | None,
) -> None:
    """Walk through PROGRAM op by op on the screen. What follows `--` are its arguments."""
    needs_terminal("run", "nndbg check")
    from nndbg.tui import run as run_screen  # noqa: PLC0415 - the screen's imports take as long as a check

    session = open_session(
        program,
        map=map_file,
        phase=phase,
        arguments=arguments,
        # The screen shows verdicts, and no findings.
        audits=(Audit.WRITES,),
        timeout=timeout,
        remote=remote,
    )
    with recorded(session, recording):
        run_screen(
            session,
            step,
            writes=lambda element, step, op: find_writes(
                program,
                element,
                step=step,
                op=op,
                map=map_file,
                phase=phase,
                arguments=arguments,
                timeout=timeout,
                remote=remote,
            ),
            accuse=accuser(
                session,
                map=map_file,
                phase=phase,
                arguments=arguments,
                timeout=timeout,
                remote=remote,
            ),
        )


@contextmanager
def recorded(session: Session, path: Path | None) -> Iterator[None]:
    """Take down what a session comes by, if there is a file for it."""
    if path is None:
        yield
        return
    with (
        Recorder(path, session.layer_map, session.executable) as recorder,
        session.tapped(lambda source: Tee(source, recorder)),
    ):
        yield


@commands.command(cls=ProgramCommand)
@check_options
@report_options
@program_options
@click.pass_obj
def check(
    arguments: tuple[str, ...],
    program: Path,
    map_file: Path | None,
    phase: str,
    timeout: float,
    remote: str | None,
    steps: range,
    until_first: bool,
    culprit: bool,
    heal: tuple[str, ...],
    mode: str,
    audits: frozenset[Audit],
    form: str,
    output: Path | None,
) -> ExitCode:
    """Check every op of PROGRAM in some steps. What follows `--` are its arguments.

    Exit code 0: all agree. 1: something diverged. 2: usage or layer map. 3: the program failed.
    """
    side_by_side = mode == Mode.TRAJECTORY
    if side_by_side and until_first:
        raise UsageError("--until-first ends a check; a trajectory goes on. Leave out one of them.")
    if heal and (side_by_side or until_first):
        other = "--mode trajectory" if side_by_side else "--until-first"
        raise UsageError(f"--heal goes on behind what is wrong: leave out {other}.")
    if side_by_side and steps.step > 1:
        raise UsageError("a trajectory follows every step: leave out the stride of --steps.")
    session = open_session(
        program,
        map=map_file,
        phase=phase,
        arguments=arguments,
        modes=(Mode.LOCAL,) if side_by_side else modes_of(mode),
        audits=audits,
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
    with session, progress_bar("steps", len(steps)) as advance:
        if side_by_side:
            report = follow_steps(session, steps, advance)
        elif heal:
            report = heal_steps(session, steps, heal, advance, accuse)
        else:
            report = check_steps(session, steps, advance, until_first, accuse)
    return conclude(with_limits(session, report), form, output)


@commands.command(cls=ProgramCommand)
@click.option(
    "--steps", type=Steps(), required=True, help="Where to look; 0:9380 is ten epochs of MNIST."
)
@click.option(
    "--mode", type=click.Choice(MODES), default="local", show_default=True, help=f"{FEED}."
)
@report_options
@program_options
@click.pass_obj
def bisect(
    arguments: tuple[str, ...],
    program: Path,
    map_file: Path | None,
    phase: str,
    timeout: float,
    remote: str | None,
    steps: range,
    mode: str,
    form: str,
    output: Path | None,
) -> ExitCode:
    """Find the first wrong step of PROGRAM without checking them all.

    The step found is wrong and the one before it right. If the mistake comes and goes, an earlier
    step may be wrong as well. What follows `--` are the program's arguments; the exit codes are
    those of `check`.
    """
    session = open_session(
        program,
        map=map_file,
        phase=phase,
        arguments=arguments,
        modes=modes_of(mode),
        audits=ALL_AUDITS - {Audit.POISON},
        timeout=timeout,
        remote=remote,
    )
    with session, progress_bar("steps checked") as advance:
        report = bisect_steps(session, steps, advance)
    return conclude(report, form, output)


@commands.command(cls=ProgramCommand)
@click.argument("program", type=click.Path(path_type=Path))
@click.argument("element")
@click.option("--step", type=STEP_NUMBER, default=0, show_default=True, help="In which step.")
@click.option("--op", metavar="OP", help="Until which op; unless given, the first that writes it.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "json"]),
    default="terminal",
    show_default=True,
    help="How to write the history.",
)
@click.option(
    "--debug-registers/--no-debug-registers",
    default=True,
    show_default=True,
    help="Watch with the processor's debug registers, or by breakpoints on all stores.",
)
@timeout_option
@remote_option
@phase_option
@map_option
@click.pass_obj
def blame(
    arguments: tuple[str, ...],
    program: Path,
    element: str,
    step: int,
    op: str | None,
    form: str,
    debug_registers: bool,
    timeout: float,
    remote: str | None,
    phase: str,
    map_file: Path | None,
) -> None:
    """Who wrote ELEMENT of PROGRAM, such as 'z1[3,17]', in a step until an op was done?

    What follows `--` are the program's arguments.
    """
    found = find_writes(
        program,
        element,
        step=step,
        op=op,
        map=map_file,
        phase=phase,
        arguments=arguments,
        timeout=timeout,
        remote=remote,
        debug_registers=debug_registers,
    )
    sys.stdout.write(as_json(found) if form == "json" else as_text(found))


@commands.group(name="map")
def map_group() -> None:
    """Write, fit, show or check the layer map of a program."""


@map_group.command(name="show")
@phase_option
@map_option
@program_argument(None)
def map_show(program: Path, map_file: Path | None, phase: str) -> None:
    """Print the map of PROGRAM with the address of everything that it names."""
    sys.stdout.write(render_map(load_map(read_executable(program), map_file, phase)))


@map_group.command(name="init")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the map there, not to stdout; a file that is there is kept.",
)
@program_argument(None)
def map_init(program: Path, output: Path | None) -> None:
    """Write a first map of PROGRAM: what its names, sizes and calls suggest, marked as guesses."""
    text = draft_map(read_executable(program))
    if output is None:
        sys.stdout.write(printable(text))
        return
    if output.is_file():
        raise UsageError(f"{output}: there is a file already. Name another one with -o.")
    write_text(output, text)


@map_group.command(name="fit", cls=ProgramCommand)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the map that fits there, not to stdout; FILE may be the map itself.",
)
@click.option("--diff", is_flag=True, help="Write what changes, not the whole map.")
@timeout_option
@click.option(
    "--map",
    "map_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    required=True,
    help="The layer map to begin with, as `map init` writes it.",
)
@program_argument(None)
@click.pass_obj
def map_fit(
    arguments: tuple[str, ...],
    program: Path,
    map_file: Path,
    timeout: float,
    diff: bool,
    output: Path | None,
) -> ExitCode:
    """Try what a map of PROGRAM may mean against one run, and write the map that agrees.

    Tried are matrices stored [in, out] or [out, in], results added up or overwritten, the usual
    activations, and which op is complete where. What follows `--` are the program's arguments. Exit
    code 0: every op agrees. 1: some do not, or something changes that no op does.
    """
    with progress_bar("fitting", counts=False) as advance:
        fit = fit_program(
            program,
            map_file,
            arguments,
            timeout,
            tell=lambda task, done, total: advance(done, total, task),
        )
    for told in fit.told():
        say(told)
    before = map_file.read_text(encoding="utf-8") if diff else ""
    text = as_diff(before, fit.text, str(map_file)) if diff else fit.text
    if output is None:
        sys.stdout.write(printable(text))
    else:
        write_text(output, text)
    return ExitCode.AGREES if fit.is_whole else ExitCode.DIVERGED


@map_group.command(name="check")
@map_option
@program_argument(None)
def map_check(program: Path, map_file: Path | None) -> None:
    """Check the map of PROGRAM against the executable, without running it.

    What it still leaves out is told, the most important first.
    """
    executable = read_executable(program)
    layer_map = load_map(executable, map_file).layer_map
    for name in layer_map.phases:
        load_map(executable, map_file, name)
    ops = sum(len(phase.ops) for phase in layer_map.phases.values())
    phases = f"{len(layer_map.phases)} phase{'s' if len(layer_map.phases) > 1 else ''}"
    _stdout().print(
        f"{layer_map.origin} fits {program}: {phases}, {len(layer_map.buffers)} buffers, {ops} ops",
        markup=False,
        soft_wrap=True,
    )
    text = map_file.read_text(encoding="utf-8") if map_file is not None else ""
    for gap in gaps(layer_map.phases, layer_map.buffers, text):
        print(printable(gap))  # noqa: T201


@commands.command()
@click.argument("directory", type=click.Path(path_type=Path), default="dataset", metavar="[DIR]")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Take the files from there: plain or .gz, either spelling of their names.",
)
@click.option("--synthetic", is_flag=True, help="Draw digits, without trying to have MNIST.")
def data(directory: Path, source: Path | None, synthetic: bool) -> None:
    """See to it that DIR (dataset) holds MNIST, checked by SHA-256.

    Without --from it is downloaded; where that fails, digits are drawn that say they are synthetic.
    """
    with progress_bar("MNIST", counts=False) as advance:
        prepared = prepare(
            directory,
            source=source,
            synthetic=synthetic,
            progress=lambda heard: advance(heard.done, heard.total, heard.task),
        )
    print(printable(str(prepared)))  # noqa: T201


@commands.command()
@click.argument("metrics", type=click.Path(path_type=Path), metavar="METRICS")
@click.option(
    "--data",
    "directory",
    type=click.Path(path_type=Path),
    default="dataset",
    show_default=True,
    metavar="DIR",
    help="Where the test images lie that the samples are drawn from.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write one HTML page there, instead of drawing on the terminal.",
)
def plot(metrics: Path, directory: Path, output: Path | None) -> None:
    """Draw how a training went, from the METRICS that the trainer wrote.

    Loss and accuracy, the confusion matrix, and sample predictions with their digits.
    """
    run = read_metrics(metrics)
    images = read_images(directory)
    if output is None:
        render_terminal(run, images, _stdout())
    else:
        write_text(output, render_html(run, images))


@commands.command()
def doctor() -> ExitCode:
    """Examine this machine: can it debug, build and show what nndbg needs?"""
    styles = {Health.GOOD: "cyan", Health.LIMITED: "yellow", Health.BAD: "bold red"}
    console = _stdout()
    healthy = True
    for finding in examine():
        healthy = healthy and finding.health is not Health.BAD
        style = styles[finding.health]
        found = escape(printable(finding.found))
        console.print(
            f"[{style}]{finding.health:8}[/] {finding.subject:16} {found}", soft_wrap=True
        )
        if finding.advice:
            console.print(f"{'':25} {escape(finding.advice)}", soft_wrap=True)
    return ExitCode.AGREES if healthy else ExitCode.PROGRAM


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code; no traceback reaches the user."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminated)
    sys.exit(_run(arguments))


def _run(arguments: list[str] | None) -> int:
    try:
        code = commands.main(args=arguments, prog_name="nndbg", standalone_mode=False)
        sys.stdout.flush()
    except NndbgError as error:
        say(str(error))
        return error.exit_code
    except Exit as leave:
        return leave.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted.")
        return ExitCode.INTERRUPTED
    except click.ClickException as error:
        say(error.format_message())
        return ExitCode.USAGE
    except BrokenPipeError:
        # Whoever read our output has seen enough; what it would have said is not known to agree.
        _drop_output()
        return ExitCode.DIVERGED
    except OSError as error:
        _drop_output()
        say(f"the output cannot be written: {error.strerror or error}.")
        return ExitCode.USAGE
    except Exception as error:
        if os.environ.get("NNDBG_TRACEBACK"):
            raise
        say(
            f"a mistake of nndbg's own: {type(error).__name__}: {error}. "
            "Please report it; NNDBG_TRACEBACK=1 shows where."
        )
        return ExitCode.PROGRAM
    return int(code or 0)


def _drop_output() -> None:
    """See to it that what is still buffered is not written where it cannot be."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by way of every `finally`, so that GDB and the program are ended."""
    del frame
    raise SystemExit(128 + number)


def _stdout() -> Console:
    return Console(highlight=False)
