"""The source around the instruction where the program stopped."""

from __future__ import annotations

from rich.segment import Segment

from nndbg.elf import Executable, SourceLine
from nndbg.text import printable
from nndbg.tui.code_view import CodeView
from nndbg.tui.listing import Listing, listing_of
from nndbg.tui.palette import ACCENT, DIM


class SourceView(CodeView):
    """One file with a current line."""

    def __init__(self, executable: Executable | None, id: str | None = None) -> None:
        super().__init__(id=id)
        self._executable = executable
        self._listing = Listing((), "")
        self._file = ""
        self._line = 0
        self._code: dict[int, tuple[int, ...]] = {}
        self.title = "source"

    def show(self, address: int | None) -> None:
        """Show the source of the instruction at `address`, as linked."""
        if address == self.shown and self._listing.lines:
            return
        self.shown = address
        self.title, self._line, self._file = "source", 0, ""
        if self._executable is None or address is None:
            self._listing = Listing((), "no executable, so no source")
        else:
            self._listing = self._find(self._executable, address)
        self.stand(max(0, self._line - 1))

    @property
    def place(self) -> str:
        """The line under the cursor as `file:line`, empty where there is none."""
        return f"{self._file}:{self.cursor + 1}" if self._file and self.count else ""

    @property
    def count(self) -> int:
        """How many lines the file has."""
        return len(self._listing.lines)

    def addresses(self, line: int) -> tuple[int, ...]:
        """Return where the code of a line begins; of the shown one that is where it is shown."""
        if self._executable is None or not self._file:
            return ()
        if line not in self._code:
            self._code[line] = self._executable.line_addresses(self._file, line + 1)
        begins = self._code[line]
        inside = [
            one
            for one in (self.marks.here, self.shown)
            if one is not None and self._executable.line_at(one) == SourceLine(self._file, line + 1)
        ]
        return tuple(dict.fromkeys([*begins, *inside]))

    def segments(self, line: int) -> list[Segment]:
        """Return the number of a line, and its text."""
        is_shown = line + 1 == self._line
        number = f"{line + 1:>{len(str(self.count))}}"
        text = self._listing.lines[line].render(self.app.console)
        segments = [Segment(f"{number}  ", ACCENT if is_shown else DIM), *text]
        return [segment for segment in segments if segment.text != "\n"]

    def words(self) -> str:
        """Return why there is no source."""
        return printable(self._listing.missing)

    def _find(self, executable: Executable, address: int) -> Listing:
        function = executable.function_at(address)
        place = f"{f'in {printable(function.name)} ' if function else ''}at {address:#x}"
        line = executable.line_at(address)
        if line is None:
            self.title = place
            return Listing((), "no line information for this address: assemble it with debug info")
        if line.file != self._file:
            self._code.clear()
        self._file, self._line = line.file, line.line
        listing = listing_of(line.file, executable)
        newer = " (newer than the program)" if listing.is_newer else ""
        self.title = f"{printable(line.file)}:{line.line}{newer} {place}"
        return listing
