"""What an audit found: not whether a number is right, but how an op goes about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Audit(StrEnum):
    """What can be looked into besides the numbers; each can be switched off."""

    REGISTERS = "registers"
    STACK = "stack"
    DIRECTION = "direction"
    MXCSR = "mxcsr"
    UPPER = "upper"
    WRITES = "writes"
    POISON = "poison"


ALL_AUDITS = frozenset(Audit)


class Level(StrEnum):
    """Whether the program is at fault, or only something to know."""

    ERROR = "error"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """What an audit has to say of one op in one step, in one sentence.

    `buffer` is what it is about, None where it is about no buffer; `where` names the elements.
    """

    step: int
    op: str
    audit: Audit
    level: Level
    says: str
    buffer: str | None = None
    where: str = ""

    @property
    def is_error(self) -> bool:
        """Whether the program is at fault."""
        return self.level is Level.ERROR
