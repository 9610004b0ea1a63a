"""Who wrote a number, and who is to blame for it; facts, as data."""

from __future__ import annotations

from dataclasses import dataclass

from nndbg.decode import Disassembly, Instruction


@dataclass(frozen=True)
class Site:
    """An instruction and where a person finds it; the address is as linked."""

    address: int
    function: str
    file: str | None
    line: int | None
    instruction: str

    @property
    def place(self) -> str:
        """File and line, or the address where the program has no line information."""
        return f"{self.file}:{self.line}" if self.file is not None else f"{self.address:#x}"


@dataclass(frozen=True)
class Write:
    """One write of the element that was watched.

    `op` is the op in whose interval it happened, None behind the last boundary; `register` and
    `lane` are where the value came from, "" and None where that is no register. `chain` are the
    calls that led there, the innermost first.
    """

    site: Site
    op: str | None
    before: float | int
    after: float | int
    register: str
    lane: int | None
    chain: tuple[Site, ...]


@dataclass(frozen=True)
class Blame:
    """Everything that was written into one element, from the step's beginning until an op was done.

    `reads` counts how often it was read. `means` says in words how it was watched, `notes` what is
    to be known of it.
    """

    element: str
    step: int
    op: str
    writes: tuple[Write, ...]
    reads: int
    means: str
    value: float | int
    notes: tuple[str, ...] = ()


def site(code: Disassembly, instruction: Instruction) -> Site:
    """Return where `instruction` is found."""
    function = code.executable.function_at(instruction.address)
    line = code.executable.line_at(instruction.address)
    return Site(
        address=instruction.address,
        function=function.name if function else "?",
        file=line.file if line else None,
        line=line.line if line else None,
        instruction=instruction.text,
    )
