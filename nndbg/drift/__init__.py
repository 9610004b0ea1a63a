"""How far program and reference drift apart over many steps, and whether rounding explains it."""

from nndbg.drift.companion import BEYOND, Companion, Drifted
from nndbg.drift.model import Departure, Point, Series, Trajectory

__all__ = ["BEYOND", "Companion", "Departure", "Drifted", "Point", "Series", "Trajectory"]
