"""What a long task tells whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Progress:
    """How far a task has come; `total` is None while nobody knows it."""

    task: str
    done: int
    total: int | None
    unit: Literal["bytes", "digits"]


Listener = Callable[[Progress], None]


def unheard(_: Progress) -> None:
    """Listen to nothing."""
