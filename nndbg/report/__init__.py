"""The whole answer of a check: one model, one renderer a file."""

from nndbg.report.healed import Healed
from nndbg.report.model import CodePlace, Culprit, First, Report, Suspect, crash_after
from nndbg.report.verdicts import Verdicts

__all__ = [
    "CodePlace",
    "Culprit",
    "First",
    "Healed",
    "Report",
    "Suspect",
    "Verdicts",
    "crash_after",
]
