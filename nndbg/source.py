"""What a session moves along: anything that yields captures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from nndbg.capture import Capture, Flat
from nndbg.elf import Executable
from nndbg.layermap import Buffer, LayerMap


class Source(Protocol):
    """Where captures come from: a live program, a recording, a test."""

    @property
    def layer_map(self) -> LayerMap:
        """The map that says what is captured."""

    @property
    def executable(self) -> Executable | None:
        """The program's file, None where only its captures are left."""

    @property
    def output(self) -> str:
        """What the program printed so far."""

    def start(self, step: int, poison: bool = False) -> Capture:
        """Go, from the beginning, to where `step` begins; poison what that step is to write."""

    def go_to(self, step: int) -> Capture:
        """Go on to where `step` begins, which is still to come."""

    def next(self) -> Capture | None:
        """Go to the next stop; None once the program has ended."""

    def sweep(self, on: bool) -> None:
        """Stop at fewer places than at every op, from the next step on, where that is possible."""

    def constant(self, buffer: Buffer) -> Flat:
        """Return a constant buffer in one dimension."""

    def heal(self, buffers: Mapping[str, Flat]) -> Capture:
        """Write these numbers into the program's buffers, and capture the same stop again."""

    def interrupt(self) -> None:
        """Stop the program where it is, from any thread."""

    def close(self) -> None:
        """Let go of the program."""
