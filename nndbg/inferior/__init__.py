"""The program under GDB; the only package that knows that GDB exists."""

from nndbg.inferior.live import LiveSource

__all__ = ["LiveSource"]
