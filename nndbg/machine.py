"""A source whose program stands under a debugger: between two boundaries too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from nndbg.capture import Capture
from nndbg.places import Place


@dataclass(frozen=True, eq=False)
class RegisterFile:
    """The registers where the program stands; `address` is that of the next instruction, as linked.

    `general` and `masks` hold integers, `vectors` the bytes of the widest registers that this
    machine has, the lowest first.
    """

    address: int
    general: Mapping[str, int] = field(default_factory=dict)
    vectors: Mapping[str, bytes] = field(default_factory=dict)
    masks: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class Machine(Protocol):
    """What a program under a debugger can do besides running from boundary to boundary."""

    def registers(self) -> RegisterFile | None:
        """Return the registers, None where the program is gone."""

    def step(self, over: bool) -> Capture | None:
        """Run one instruction, with `over` a call as one; as `next` where that is a boundary.

        Raises Paused where it is none.
        """

    def stop_at(self, addresses: Collection[int], elements: Collection[Place]) -> None:
        """From now on stop at these addresses, as linked, and where these elements change.

        `next` and `step` raise Paused there. Instead of what was asked for before.
        """

    def ask(self, command: str) -> str:
        """Return what the debugger answers to a command in its own language."""
