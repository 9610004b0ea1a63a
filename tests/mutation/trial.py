"""Tries one mutant: builds it, runs it, judges its dumps, and asks nndbg."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import nndbg
from nndbg.errors import NndbgError
from tests.broken.build import BuildError, build_texts

from .judging import UNIT, Change, Wrong, change_from, errors_of, wrong_outputs
from .operators import Mutant
from .runs import METRICS, SAVED, STEPS, WEIGHTS, Run, run_of
from .trace import Trace, read_trace

# From boundary to boundary, and for a whole run without GDB: the sound program needs milliseconds.
SECONDS = 3.0
# For everything that is done with one mutant.
_TRIAL_SECONDS = 120
# Units of roundoff that the sound program may be off by, relative to the scale: more would say that
# the recomputation is of something else.
_MOST_ERROR = 32.0
_LARGEST_FILE = 1 << 26
_LARGEST_MEMORY = 1 << 33
_TIMES = re.compile(rb'\d+\.\d+ s$|(?<="seconds":)[^,}]+', re.MULTILINE)


class Outcome(StrEnum):
    """What became of a mutant, judged apart from nndbg; the first that holds."""

    WRONG = "wrong"
    KILLED = "killed"
    ROUNDING = "rounding"
    UNOWNED = "unowned"
    SPARE = "spare"
    OUTPUT = "output"
    INVISIBLE = "invisible"
    FAILED = "failed"


@dataclass(frozen=True)
class Said:
    """What nndbg said of one phase; places are (step, op), culprits (file, line)."""

    phase: str
    caught: bool
    first: tuple[int, str] | None
    buffer: str | None
    status: str | None
    says: str | None
    diagnosis: tuple[str, ...]
    error: str | None
    culprits: tuple[tuple[str, int], ...] = ()
    finding: str | None = None


@dataclass(frozen=True)
class Result:
    """One line of a campaign's file. `wrong` and `told` are of the first phase that is wrong."""

    key: str
    file: str
    line: int
    operator: str
    before: str
    after: str
    outcome: Outcome
    detail: str
    phase: str | None
    wrong: tuple[int, str] | None
    killed: str | None
    told: tuple[Said, ...]
    seconds: float

    @property
    def caught(self) -> bool:
        return any(said.caught for said in self.told)

    @property
    def first(self) -> Said | None:
        """What nndbg said of the phase in which the mutant is wrong first."""
        return next((said for said in self.told if said.phase == self.phase), None)

    @property
    def is_first_op_right(self) -> bool | None:
        """Whether nndbg named the op that the judge has; None where there is none to name."""
        if self.wrong is None:
            return None
        return self.first is not None and self.first.first == self.wrong

    @property
    def has_a_guilty_line(self) -> bool:
        """Whether an instruction was changed, and not a name or a number that many use."""
        return self.operator != "define" and self.file.endswith(".asm")

    @property
    def culprit_rank(self) -> int | None:
        """The place of the changed line among the culprits, from 0; None where it is not there.

        Of two instructions that changed places either counts, of one that is missing a neighbour.
        """
        before, after = {"swap": (0, 1), "delete": (1, 1), "call": (1, 1)}.get(
            self.operator, (0, 0)
        )
        lines = range(self.line - before, self.line + after + 1)
        named = self.first.culprits if self.first is not None else ()
        ranks = [n for n, (file, line) in enumerate(named) if file == self.file and line in lines]
        return ranks[0] if ranks else None


def result_of(record: Mapping[str, Any]) -> Result:
    """Return a result from what JSON made of it."""
    told = tuple(
        Said(
            **{
                **said,
                "first": _place(said["first"]),
                "diagnosis": tuple(said["diagnosis"]),
                "culprits": tuple((file, line) for file, line in said["culprits"]),
            }
        )
        for said in record["told"]
    )
    wrong, outcome = _place(record["wrong"]), Outcome(record["outcome"])
    return Result(**{**record, "told": told, "wrong": wrong, "outcome": outcome})


def record_of(result: Result) -> dict[str, Any]:
    return asdict(result)


def _place(pair: Sequence[Any] | None) -> tuple[int, str] | None:
    return (int(pair[0]), str(pair[1])) if pair is not None else None


@dataclass(frozen=True)
class Stage:
    """What all trials share: the sound program, the data, a file of weights."""

    sound: Path
    data: Path
    weights: Path


@dataclass(frozen=True)
class Native:
    """A run without GDB: how it ended, None for an end of 0, and what it wrote, without times."""

    ended: str | None
    written: tuple[bytes, ...]


def prepare_stage(directory: Path, data: Path) -> Stage:
    """Build the sound program in `directory`, and let it write its weights. Raises BuildError."""
    sound = build_texts({}, directory / "sound")
    stage = Stage(sound, data.resolve(), directory / WEIGHTS)
    with _trial_directory(stage):
        run = Run((*run_of("asm/print.asm").arguments, "--save", SAVED), ())
        ended = _run_natively(sound, run).ended
        if ended is not None:
            raise BuildError(f"the sound program ended {ended}. Is MNIST in {data}?")
        shutil.copy(SAVED, stage.weights)
    return stage


def runs_here(stage: Stage, file: str) -> bool:
    """Whether this machine has the instructions that a file is for."""
    with _trial_directory(stage):
        return _run_natively(stage.sound, run_of(file)).ended is None


def try_mutant(mutant: Mutant, stage: Stage) -> Result:
    """Do everything with one mutant. Never raises for what the mutant does."""
    began = time.monotonic()
    outcome, detail, phase, wrong, killed = Outcome.FAILED, "", None, None, None
    told: list[Said] = []
    try:
        with _time_limit(_TRIAL_SECONDS), tempfile.TemporaryDirectory() as name:
            run = run_of(mutant.file)
            program = build_texts({mutant.file: mutant.text}, Path(name) / "mutant")
            with _trial_directory(stage):
                native = _run_natively(program, run)
            sound = _sound(stage, run)
            traces: dict[str, Trace] = {}
            found: list[Wrong] = []
            for phase_name in run.phases:
                with _trial_directory(stage):
                    traces[phase_name] = read_trace(
                        program, phase_name, STEPS[phase_name], run.arguments, SECONDS
                    )
                found = wrong_outputs(traces[phase_name], sound.errors[phase_name])
                if found:
                    phase = phase_name
                    break
            killed = native.ended or next((t.error for t in traces.values() if t.error), None)
            outcome, detail = _outcome(found, killed, traces, sound, native)
            wrong = (found[0].step, found[0].op) if found else None
            for phase_name in traces:
                with _trial_directory(stage):
                    told.append(ask(program, phase_name, run))
    except Exception as error:  # noqa: BLE001 - a campaign goes on, and lists it
        outcome, detail = Outcome.FAILED, f"{type(error).__name__}: {error}"
    return Result(
        key=mutant.key,
        file=mutant.file,
        line=mutant.line,
        operator=mutant.operator,
        before=mutant.before,
        after=mutant.after,
        outcome=outcome,
        detail=detail,
        phase=phase,
        wrong=wrong,
        killed=killed,
        told=tuple(told),
        seconds=round(time.monotonic() - began, 2),
    )


def _outcome(
    found: Sequence[Wrong],
    killed: str | None,
    traces: Mapping[str, Trace],
    sound: _Sound,
    native: Native,
) -> tuple[Outcome, str]:
    if found:
        first = found[0]
        return Outcome.WRONG, f"{first.buffer}: {first.says}"
    if killed is not None:
        return Outcome.KILLED, killed
    changes = [(phase, *change_from(sound.traces[phase], trace)) for phase, trace in traces.items()]
    for wanted, outcome in (
        ((Change.ROUNDING, Change.UNOWNED), None),
        ((Change.SPARE,), Outcome.SPARE),
    ):
        for phase, change, where in changes:
            if change in wanted:
                return outcome or Outcome(change.value), f"{phase}: {where}"
    for name, a, b in zip(
        ("stdout", "stderr", SAVED, METRICS), sound.native.written, native.written, strict=True
    ):
        if a != b:
            return Outcome.OUTPUT, name
    return Outcome.INVISIBLE, ""


def ask(program: Path, phase: str, run: Run) -> Said:
    """Return what nndbg says of one phase, with its own defaults."""
    try:
        report = nndbg.check(
            program,
            steps=range(STEPS[phase]),
            phase=phase,
            arguments=run.arguments,
            timeout=SECONDS,
        )
    except NndbgError as error:
        return _failed(phase, True, str(error))
    except Exception as error:  # noqa: BLE001 - that nndbg itself breaks is a result
        return _failed(phase, False, f"nndbg fails: {type(error).__name__}: {error}")
    first = report.first
    verdict = first.verdict if first is not None else None
    culprit = first.culprit if first is not None else None
    # A report that only leaves something unproved finds no fault.
    caught = bool(report.wrong or report.error or report.objections)
    return Said(
        phase=phase,
        caught=caught,
        first=(verdict.subject.step, verdict.subject.op) if verdict is not None else None,
        buffer=verdict.subject.buffer if verdict is not None else None,
        status=verdict.status.value if verdict is not None else None,
        says=f"{verdict.where} {verdict.says}".strip() if verdict is not None else None,
        diagnosis=tuple(d.kind for d in first.diagnosis) if first is not None else (),
        error=report.error,
        culprits=tuple((s.file or "", s.line or 0) for s in culprit.candidates) if culprit else (),
        finding=next((f"{f.audit}: {f.says}" for f in report.objections), None),
    )


def _failed(phase: str, caught: bool, error: str) -> Said:
    return Said(phase, caught, None, None, None, None, (), error)


@dataclass(frozen=True, eq=False)
class _Sound:
    """What the sound program does in a run, to compare with."""

    native: Native
    traces: Mapping[str, Trace]
    errors: Mapping[str, Mapping[tuple[str, str], float]]


@cache
def _sound(stage: Stage, run: Run) -> _Sound:
    """Return the sound program's run; raises BuildError where it does not get through."""
    with _trial_directory(stage):
        native = _run_natively(stage.sound, run)
    traces = {}
    for phase in run.phases:
        with _trial_directory(stage):
            traces[phase] = read_trace(stage.sound, phase, STEPS[phase], run.arguments, SECONDS)
    errors = {phase: errors_of(trace) for phase, trace in traces.items()}
    for phase, trace in traces.items():
        wrong = wrong_outputs(trace, errors[phase])
        loose = [key for key, error in errors[phase].items() if error > _MOST_ERROR * UNIT]
        if native.ended or trace.error or wrong or loose:
            raise BuildError(
                f"the sound program, {phase}: {native.ended} {trace.error} {wrong} {loose}"
            )
    return _Sound(native, traces, errors)


def _run_natively(program: Path, run: Run) -> Native:
    """Run the program to its end in the current directory."""
    with Path("stdout").open("wb") as out, Path("stderr").open("wb") as err:
        try:
            code = subprocess.run(
                [program, *run.arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                timeout=SECONDS, check=False,
            ).returncode  # fmt: skip
            ended = None if code == 0 else _words(code)
        except subprocess.TimeoutExpired:
            ended = f"after {SECONDS:g} s without an end"
    names = ("stdout", "stderr", SAVED, METRICS)
    written = [Path(name).read_bytes() if Path(name).is_file() else b"" for name in names]
    return Native(ended, tuple(_TIMES.sub(b"", content) for content in written))


def _words(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


@contextlib.contextmanager
def _trial_directory(stage: Stage) -> Iterator[None]:
    """Go to a fresh directory with the data in it, for one run."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "data").symlink_to(stage.data)
        if stage.weights.is_file():
            shutil.copy(stage.weights, directory / WEIGHTS)
        with contextlib.chdir(directory):
            yield


@contextlib.contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"the trial took over {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def limit_resources() -> None:
    """Keep what a mutant may do to the machine small; for the process that tries mutants."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_AS, (_LARGEST_MEMORY, _LARGEST_MEMORY))
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
