"""The screen in a browser: a page for this machine alone, behind a token nobody can guess."""

from nndbg.serve.gate import Gate
from nndbg.serve.server import serve

__all__ = ["Gate", "serve"]
