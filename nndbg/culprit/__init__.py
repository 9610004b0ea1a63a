"""From a wrong number to the instruction that made it."""

from nndbg.culprit.accuse import accuse
from nndbg.culprit.model import Blame, Write
from nndbg.culprit.watch import writes_of
from nndbg.places import parse_place

__all__ = ["Blame", "Write", "accuse", "parse_place", "writes_of"]
