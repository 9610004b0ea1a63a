"""The whole answer of a check: one model, one renderer a file."""

from nndbg.report.model import CodePlace, First, Report

__all__ = ["CodePlace", "First", "Report"]
