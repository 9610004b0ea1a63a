"""What a recording says besides its arrays and texts: the JSON in it, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nndbg.crash import Crash
from nndbg.finding import Finding
from nndbg.report import Culprit

FORMAT = "nndbg-recording"
VERSION = 1
# The first file of a recording, not compressed: tells one that was cut short from another file.
MARK = "format"
HEADER, MAP, PROGRAM, REPORT = "recording.json", "map.toml", "program", "report.json"


@dataclass(frozen=True)
class RecordedStop:
    """One capture; its arrays by their numbers. See Capture.

    `memory` has, for each stretch of memory, the arrays that make it up in their order. `is_same`
    where the program did not run on since the stop before. `printed` is how much of the step's
    output had been printed.
    """

    step: int
    op: str | None
    stop: int
    address: int
    sizes: Mapping[str, int]
    addresses: Mapping[str, int]
    flat: Mapping[str, int]
    padding: Mapping[str, int]
    memory: Mapping[int, tuple[int, ...]]
    found: Mapping[str, int]
    skipped: frozenset[str]
    missed: Mapping[str, str]
    others: frozenset[str]
    findings: tuple[Finding, ...]
    is_same: bool
    printed: int


@dataclass(frozen=True)
class Failure:
    """What ended the run: the error in words, and more where it was a crash."""

    text: str
    is_of_gdb: bool = False
    crash: Crash | None = None


@dataclass(frozen=True)
class RecordedStep:
    """The stops of one step, the first where it begins, and what came after the last.

    That is `following`, where the next step begins; `failure`; the program's end, where `has_ended`
    is true; or nothing that was recorded. `output` is what the program had printed by then.
    """

    stops: tuple[RecordedStop, ...]
    following: RecordedStop | None
    has_ended: bool
    failure: Failure | None
    output: str

    @property
    def is_whole(self) -> bool:
        """Whether it is known what came after the last stop."""
        return self.following is not None or self.has_ended or self.failure is not None


@dataclass(frozen=True)
class Header:
    """What the file is, and what is in it.

    `program` is the path of the executable, None where it is not in the file; `origin` and `phase`
    are those of the layer map. `sources` and `constants` have the number of a file by path and the
    number of an array by buffer. `accused` names step, op and buffer of the output whose `culprit`
    was searched, and `poison` is what was found by running the program with poison.
    """

    format: str
    version: int
    nndbg: str
    name: str
    program: str | None
    origin: str
    phase: str
    steps: tuple[int, ...]
    sources: Mapping[str, int]
    constants: Mapping[str, int]
    accused: tuple[str, ...] | None
    culprit: Culprit | None
    poison: tuple[Finding, ...]


def step_member(step: int) -> str:
    """Return the name of a step's file."""
    return f"steps/{step}.json"


def source_member(number: int) -> str:
    """Return the name of a source file's file."""
    return f"sources/{number}"
