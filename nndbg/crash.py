"""Where and why a program crashed: facts, and the error that carries them."""

from __future__ import annotations

from dataclasses import dataclass

from nndbg.errors import ProgramError


@dataclass(frozen=True)
class Agreed:
    """An op in a step of which every output agreed."""

    step: int
    op: str


@dataclass(frozen=True)
class Crash:
    """A signal that the program does not survive, and the instruction that raised it.

    `address` is that of the instruction, as linked; function, file and line are None where the
    program does not know them, `instruction` is empty where there is none. `operand` is the address
    that the instruction used, as loaded, None where it used none. `says` tells why in a sentence.
    `last_agreed` is the last op before that agreed, None where none did.
    """

    signal: str
    address: int
    function: str | None
    file: str | None
    line: int | None
    instruction: str
    operand: int | None
    says: str
    last_agreed: Agreed | None = None


class CrashError(ProgramError):
    """The program crashed; `crash` tells where and why."""

    def __init__(self, text: str, crash: Crash) -> None:
        super().__init__(text)
        self.crash = crash
