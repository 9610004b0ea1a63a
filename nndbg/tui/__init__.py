"""The screen: walks through a program op by op, with every number beside its reference."""

from nndbg.tui.app import PARTS, DebuggerApp, run

__all__ = ["PARTS", "DebuggerApp", "run"]
