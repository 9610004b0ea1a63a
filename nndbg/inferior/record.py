"""One line of GDB's machine interface: read by pygdbmi, once it is known to be whole.

pygdbmi takes for granted that a record follows the grammar: it loops forever on a list that never
ends, and raises whatever it stumbles over on other damage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pygdbmi import gdbmiparser

from nndbg.errors import GdbError
from nndbg.text import printable

Record = Mapping[str, Any]

_RECORD = re.compile(r"\d*[\^*=]")
# The grammar of section "GDB/MI Output Syntax" of GDB's manual, from the inside out: a string, a
# tuple and a list are each a value, written \0. Breakpoints with several places have bare tuples
# after them in MI 2, so values without a name are let through wherever pygdbmi knows them.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_NAMED = r"[^\s\0\",={}\[\]]+=\0"
_ITEM = rf"(?:{_NAMED}|\0)"
_GROUP = re.compile(rf"\{{(?:{_NAMED}(?:,{_NAMED})*)?\}}|\[(?:{_ITEM}(?:,{_ITEM})*)?\]")
_WHOLE = re.compile(rf"\d*[\^*=][\w-]+(?:,{_ITEM})*")
_DEEPEST = 50
_MOST_QUOTED = 200


def parse_record(line: str) -> Record:
    """Return what pygdbmi makes of `line`, which has no line end.

    What is no record is returned as output, as pygdbmi does. Raises GdbError where a record is
    damaged.
    """
    if _RECORD.match(line) and not _is_whole(line):
        raise _damaged(line)
    try:
        record: Record = gdbmiparser.parse_response(line)
    except ValueError as error:
        raise _damaged(line) from error
    return record


def _is_whole(line: str) -> bool:
    if "\0" in line:
        return False
    text = _STRING.sub("\0", line)
    for _ in range(_DEEPEST):
        text, groups = _GROUP.subn("\0", text)
        if not groups:
            break
    return _WHOLE.fullmatch(text) is not None


def _damaged(line: str) -> GdbError:
    start = line if len(line) <= _MOST_QUOTED else f"{line[:_MOST_QUOTED]}…"
    return GdbError(
        f"GDB sent a damaged record: {printable(start)} "
        "Run it again; if that does not help, this GDB does not speak MI 2."
    )
