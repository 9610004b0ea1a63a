"""Gathers the findings of a report, and says them in the words that all formats share."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nndbg.finding import Audit, Finding, Level
from nndbg.report.model import Report
from nndbg.text import printable

_HEXADECIMAL = re.compile(r"0x[0-9a-f]+")


@dataclass(frozen=True)
class Said:
    """What findings of several steps have in common; as text of one line that can be shown."""

    audit: Audit
    level: Level
    op: str
    says: str
    when: str

    @property
    def is_error(self) -> bool:
        """Whether the program is at fault."""
        return self.level is Level.ERROR

    @property
    def title(self) -> str:
        """The audit and how much it matters: `stack (error)`."""
        return f"{self.audit} ({self.level})"

    @property
    def text(self) -> str:
        """The op, its steps and what is said of it."""
        return f"{self.op}, {self.when}: {self.says}"


def gathered(report: Report) -> list[Said]:
    """Return the findings, those that say the same of the same op once, errors first."""
    groups: dict[tuple[Audit, Level, str, str], list[Finding]] = {}
    for finding in report.findings:
        # What a register holds differs from step to step: the first one is told.
        says = _HEXADECIMAL.sub("", finding.says)
        groups.setdefault((finding.audit, finding.level, finding.op, says), []).append(finding)
    told = [
        Said(first.audit, first.level, _line(first.op), _line(first.says), _when(first, *others))
        for first, *others in groups.values()
    ]
    return sorted(told, key=lambda said: not said.is_error)


def _when(first: Finding, *others: Finding) -> str:
    more = len({finding.step for finding in others} - {first.step})
    return f"step {first.step}{f' and {more} more' if more else ''}"


def _line(text: str) -> str:
    return printable(text).replace("\n", "\\n")
