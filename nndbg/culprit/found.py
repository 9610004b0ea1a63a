"""Candidates for a culprit, in the order in which they are found, one for each line."""

from __future__ import annotations

from dataclasses import dataclass, field

from nndbg.culprit.model import site, with_names
from nndbg.decode import Disassembly
from nndbg.report.model import Computed, Culprit, Suspect

_MOST = 5


@dataclass
class Found:
    """What a search has found so far."""

    code: Disassembly
    suspects: list[Suspect] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    computed: Computed | None = None

    def add(self, address: int, says: str, amended: str | None = None) -> None:
        """Take the instruction at `address` (as linked) as the next candidate.

        `amended` is what was tried in its place, where something was.
        Where there is line information, code without it is a library's, which is not to blame.
        """
        instruction = self.code.at(address)
        if instruction is None:
            return
        where = site(self.code, instruction)
        if where.file is None and self.code.executable.has_lines:
            return
        known = [(s.file, s.line) if s.file else s.address for s in self.suspects]
        if ((where.file, where.line) if where.file else where.address) in known:
            return
        self.suspects.append(
            Suspect(
                where.address,
                where.function,
                where.file,
                where.line,
                where.instruction,
                with_names(says, self.code.executable),
                with_names(amended, self.code.executable) if amended is not None else None,
            )
        )

    def insert(self, address: int, says: str, at: int = 0) -> None:
        """Take an instruction as a candidate before all others but the first `at`."""
        known = len(self.suspects)
        self.add(address, says)
        if len(self.suspects) > known:
            self.suspects.insert(at, self.suspects.pop())

    def culprit(self, element: str) -> Culprit | None:
        """Return the likeliest candidates, None where there are none."""
        if not self.suspects:
            return None
        return Culprit(element, tuple(self.suspects[:_MOST]), tuple(self.notes), self.computed)
