"""The whole answer of a check: one model, one renderer a file."""

from nndbg.report.model import First, Report
from nndbg.report.write import RENDERERS, write_report

__all__ = ["RENDERERS", "First", "Report", "write_report"]
