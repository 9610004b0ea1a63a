"""From a wrong number to the instruction that made it."""

from nndbg.culprit.accuse import accuse
from nndbg.culprit.model import Blame, Write
from nndbg.culprit.watch import writes_of
from nndbg.culprit.writer import accuse_writer, last_writes
from nndbg.places import parse_place

__all__ = ["Blame", "Write", "accuse", "accuse_writer", "last_writes", "parse_place", "writes_of"]
