"""What the worker tells the screen: immutable pictures of where the program stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from nndbg.capture import Capture
from nndbg.last_write import LastWrite
from nndbg.ledger import Observation


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
    `remark` is what else there is to say; `written` the write that was gone back to.
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


@dataclass(frozen=True)
class Progress:
    """How far a running command has come; `judged` counts its ops."""

    step: int
    op: str
    judged: int
