"""What the worker tells the screen: immutable pictures of where the program stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nndbg.capture import Capture
from nndbg.last_write import LastWrite
from nndbg.ledger import Observation
from nndbg.machine import RegisterFile
from nndbg.tui.training import Training


class Condition(StrEnum):
    """How the program stands, in the word that the status line says."""

    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Where the program stands once a command is carried out.

    `observations` are those of `step`, by op; `look_at` is the op that the command was about, None
    where the screen may stay where it is. `can_go_on` is false where only a restart helps.
    `remark` is what else there is to say; `written` the write that was gone back to, `answer` what
    the debugger's console said. `healed` are the ops that are repaired. `output` is what the
    program printed, to be escaped before it is shown.
    """

    condition: Condition
    says: str
    step: int
    observations: Mapping[str, Observation]
    capture: Capture | None = None
    look_at: str | None = None
    can_go_on: bool = True
    remark: str = ""
    written: LastWrite | None = None
    answer: str | None = None
    registers: RegisterFile | None = None
    output: str = ""
    training: Training = field(default_factory=Training)
    healed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Progress:
    """How far a running command has come; `judged` counts its ops, `output` is as in Snapshot."""

    step: int
    op: str
    judged: int
    output: str = ""
