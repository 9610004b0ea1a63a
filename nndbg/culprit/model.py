"""Who wrote a number, and who is to blame for it; facts, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nndbg.decode import Disassembly, Instruction
from nndbg.elf import Executable

# As iced-x86 writes them: relative to the instruction pointer, and where jumps and calls lead.
_ADDRESSES = re.compile(r"(?P<before>\[rel |\b(?:call|j[a-z]+) )(?P<address>0x[0-9a-fA-F]+)")


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


def with_names(text: str, executable: Executable) -> str:
    """Return an instruction with the program's names for the addresses that it has in it."""

    def named(match: re.Match[str]) -> str:
        name = executable.name_at(int(match["address"], 16))
        return f"{match['before']}{name}" if name is not None else match[0]

    return _ADDRESSES.sub(named, text)


def site(code: Disassembly, instruction: Instruction) -> Site:
    """Return where `instruction` is found."""
    function = code.executable.function_at(instruction.address)
    line = code.executable.line_at(instruction.address)
    return Site(
        address=instruction.address,
        function=function.name if function else "?",
        file=line.file if line else None,
        line=line.line if line else None,
        instruction=with_names(instruction.text, code.executable),
    )
