"""A first layer map of a program that has none: guessed from its names, sizes and calls."""

from nndbg.guess.draft import draft_map

__all__ = ["draft_map"]
