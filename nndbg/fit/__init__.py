"""Tests what a layer map says against one run, and writes the map that fits."""

from nndbg.fit.document import Document, as_diff, read_document
from nndbg.fit.model import Fit, Tell, tell_nobody
from nndbg.fit.search import fit_map
from nndbg.fit.trials import Run

__all__ = ["Document", "Fit", "Run", "Tell", "as_diff", "fit_map", "read_document", "tell_nobody"]
