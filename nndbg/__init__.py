"""nndbg: a debugger that finds the wrong number in a neural network written in assembly.

report = nndbg.check("./mnist", steps=range(3))

with nndbg.open("./mnist") as session:
    session.run_to("dense1")
    session["z1"]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nndbg.api import bisect, blame, check, open, replay
    from nndbg.compare import Mode, Status, Verdict
    from nndbg.errors import GdbError, MapError, NndbgError, ProgramError, UsageError
    from nndbg.finding import Audit, Finding, Level
    from nndbg.last_write import LastWrite, back_to_write
    from nndbg.report import Report
    from nndbg.session import Session

__version__ = "0.1.0"
__all__ = [
    "Audit",
    "Finding",
    "GdbError",
    "LastWrite",
    "Level",
    "MapError",
    "Mode",
    "NndbgError",
    "ProgramError",
    "Report",
    "Session",
    "Status",
    "UsageError",
    "Verdict",
    "back_to_write",
    "bisect",
    "blame",
    "check",
    "open",
    "replay",
]

_HOMES = {
    "nndbg.api": ("bisect", "blame", "check", "open", "replay"),
    "nndbg.compare": ("Mode", "Status", "Verdict"),
    "nndbg.errors": ("GdbError", "MapError", "NndbgError", "ProgramError", "UsageError"),
    "nndbg.finding": ("Audit", "Finding", "Level"),
    "nndbg.last_write": ("LastWrite", "back_to_write"),
    "nndbg.report": ("Report",),
    "nndbg.session": ("Session",),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: a part of nndbg needs not all of it."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
