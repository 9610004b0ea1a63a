"""What a map that fits its program still leaves out, the most important first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from nndbg.layermap import Phase

_MOST = 6
_GUESS = re.compile(r"#\s*guess:")
_PARAMETERS = frozenset({"W", "b"})


def gaps(phases: Mapping[str, Phase], buffers: Mapping[str, object], text: str) -> Iterator[str]:
    """Yield what is missing in a map of these phases and buffers, with this text, in words."""
    ops = [op for phase in phases.values() for op in phase.ops]
    read = {name for op in ops for name in op.inputs.values()}
    written = {name for op in ops for name in op.outputs.values()}
    parameters = {name for op in ops for part, name in op.inputs.items() if part in _PARAMETERS}
    idle = [name for name in buffers if name in parameters - written]
    if idle:
        yield f"no op writes {_listed(idle)}: is the update missing, or does nothing train here?"
    unused = [name for name in buffers if name not in read | written]
    if unused:
        yield f"no op takes or makes {_listed(unused)}: is an op missing?"
    unread = [name for name in buffers if name in written - read and not _is_result(name, phases)]
    if unread:
        yield f"no op takes {_listed(unread)}, which ops make: is what follows missing?"
    if guesses := len(_GUESS.findall(text)):
        yield f"{guesses} lines are marked as guesses: `nndbg map fit` tries them against a run"


def _is_result(name: str, phases: Mapping[str, Phase]) -> bool:
    """Whether a buffer is what a pass is for: a single number, or the last that it makes."""
    for phase in phases.values():
        makers = [op for op in phase.ops if name in op.outputs.values()]
        if any(op.kind.name in ("cross_entropy", "argmax") for op in makers):
            return True
        if phase.ops and name in phase.ops[-1].outputs.values():
            return True
    return False


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
