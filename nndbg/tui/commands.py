"""What the screen can ask of the session, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Start:
    """Run the program anew, to where `step` begins, and on until `op` is judged, if it is named.

    With `poison` what that step writes is filled with NaNs before.
    """

    step: int
    op: str | None = None
    poison: bool = False


@dataclass(frozen=True)
class NextOp:
    """Run until the next op is judged."""


@dataclass(frozen=True)
class FinishStep:
    """Run to the end of the step."""


@dataclass(frozen=True)
class FindDivergence:
    """Run until an op is wrong."""


@dataclass(frozen=True)
class Continue:
    """Run to the next breakpoint."""


@dataclass(frozen=True)
class RunToOp:
    """Run until `op` is judged."""

    op: str


@dataclass(frozen=True)
class RunToAddress:
    """Run to an instruction, by its address as linked."""

    address: int


@dataclass(frozen=True)
class StepInstruction:
    """Run one instruction; with `over` a call is one."""

    over: bool


@dataclass(frozen=True)
class Back:
    """Run the program again, to the stop before this one."""


@dataclass(frozen=True)
class BackStep:
    """Run it again, to where this step begins, or the one before."""


@dataclass(frozen=True)
class BackToWrite:
    """Run it again, to the stop before `element` was written last."""

    element: str


@dataclass(frozen=True)
class Heal:
    """Run the program again to where it stands, and repair these ops from now on."""

    ops: frozenset[str]


@dataclass(frozen=True)
class Kill:
    """End the program where it is."""


@dataclass(frozen=True)
class Ask:
    """Put a command to the debugger's own console."""

    words: str


@dataclass(frozen=True)
class RecordStep:
    """Run this step again and keep it in a file; then come back to here."""

    path: Path


Command = (
    Start
    | NextOp
    | FinishStep
    | FindDivergence
    | Continue
    | RunToOp
    | RunToAddress
    | StepInstruction
    | Back
    | BackStep
    | BackToWrite
    | Heal
    | Kill
    | Ask
    | RecordStep
)
