"""The screen: walks through a program op by op, with every number beside its reference."""

from nndbg.tui.app import DebuggerApp, run

__all__ = ["DebuggerApp", "run"]
