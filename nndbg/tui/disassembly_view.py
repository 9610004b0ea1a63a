"""The machine code of the function where the program stopped."""

from __future__ import annotations

from bisect import bisect_left

from rich.segment import Segment
from rich.style import Style

from nndbg.decode import Disassembly, Instruction
from nndbg.elf import Executable
from nndbg.text import printable
from nndbg.tui.code_view import CodeView
from nndbg.tui.palette import ACCENT, DIM, NUMBER, PLAIN, STRONG

_MNEMONIC = 13


class DisassemblyView(CodeView):
    """One function, instruction by instruction."""

    def __init__(self, executable: Executable | None, id: str | None = None) -> None:
        super().__init__(id=id)
        self._executable = executable
        self._code = Disassembly(executable) if executable is not None else None
        self._wanted: int | None = None
        self._instructions: tuple[Instruction, ...] = ()
        self.title = "disassembly"

    def show(self, address: int | None) -> None:
        """Show the function around `address`, as linked, once it can be seen."""
        self._wanted = address
        self._decode()

    def on_show(self) -> None:
        """Decode what was asked for while nobody saw it."""
        self._decode()

    @property
    def count(self) -> int:
        """How many instructions there are."""
        return len(self._instructions)

    def addresses(self, line: int) -> tuple[int, ...]:
        """Return the address of an instruction."""
        return (self._instructions[line].address,)

    def segments(self, line: int) -> list[Segment]:
        """Return an instruction with its address, and the label that a branch goes to."""
        assert self._executable is not None
        one = self._instructions[line]
        mnemonic, _, operands = one.text.partition(" ")
        target = self._executable.function_at(one.target) if one.target is not None else None
        where = ""
        if target is not None and one.target is not None:
            away = one.target - target.address
            where = f"  {printable(target.name)}{f'+{away:#x}' if away else ''}"
        return [
            Segment(f"{one.address:#x}  ", DIM),
            Segment(f"{mnemonic:<{_MNEMONIC}}", _look(one)),
            Segment(f" {operands}", PLAIN),
            Segment(where, DIM),
        ]

    def words(self) -> str:
        """Return why there is no code."""
        return "no executable, so no code" if self._executable is None else "no code here"

    def _decode(self) -> None:
        if self._code is None or self._wanted is None or not self.display:
            return
        if self._wanted != self.shown:
            self.shown = address = self._wanted
            self._instructions = self._code.function(address)
            function = self._code.executable.function_at(address)
            line = self._code.executable.line_at(address)
            name = printable(function.name) if function is not None else "unknown code"
            self.title = f"{name} at {address:#x}{f' ({printable(str(line))})' if line else ''}"
            starts = [one.address for one in self._instructions]
            self.stand(min(bisect_left(starts, address), max(0, len(starts) - 1)))


def _look(one: Instruction) -> Style:
    if one.is_call or one.is_return:
        return STRONG
    if one.is_branch or one.is_jump:
        return ACCENT
    return NUMBER if one.is_float else PLAIN
