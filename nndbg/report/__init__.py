"""The whole answer of a check: one model, one renderer a file."""

from nndbg.report.model import Culprit, First, Report, Suspect

__all__ = ["Culprit", "First", "Report", "Suspect"]
