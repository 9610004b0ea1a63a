"""A first layer map of a program that has none: guessed from its names, sizes and calls."""

from nndbg.guess.draft import draft_map
from nndbg.guess.gaps import gaps

__all__ = ["draft_map", "gaps"]
