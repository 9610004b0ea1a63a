"""What came of a run in which the outputs of some ops were repaired, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Healed:
    """The ops that were to be repaired, and whether all the others agree then.

    `steps` has for each op the steps in which it was wrong, and repaired. `is_found` says whether
    the ops were looked for, and not named. `says` tells what came of it.
    """

    ops: tuple[str, ...]
    steps: Mapping[str, tuple[int, ...]]
    is_found: bool
    agrees: bool
    says: str
