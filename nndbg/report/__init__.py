"""The whole answer of a check: one model, one renderer a file."""

from nndbg.report.model import CodePlace, First, Report
from nndbg.report.verdicts import Verdicts

__all__ = ["CodePlace", "First", "Report", "Verdicts"]
