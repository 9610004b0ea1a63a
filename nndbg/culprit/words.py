"""Renders who wrote an element: as text for a person, as JSON for a program."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from nndbg.culprit.model import Blame, Site, Write
from nndbg.text import printable

SCHEMA = "nndbg-blame/1"


@dataclass
class _Group:
    """Writes in a row by the same instruction, from the same place."""

    first: Write
    last: Write
    count: int


def as_text(blame: Blame) -> str:
    """Return the history of an element, writes by the same instruction in a row taken together."""
    return printable("\n".join(_lines(blame))) + "\n"


def as_json(blame: Blame) -> str:
    """Return the history of an element as one JSON document; see docs for the keys."""
    document = {
        "schema": SCHEMA,
        "element": blame.element,
        "step": blame.step,
        "op": blame.op,
        "value": _number(blame.value),
        "means": blame.means,
        "reads": blame.reads,
        "writes": [_write(write) for write in blame.writes],
        "notes": list(blame.notes),
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _lines(blame: Blame) -> Iterator[str]:
    times = f"{len(blame.writes)} write{'' if len(blame.writes) == 1 else 's'}"
    yield (
        f"{blame.element} is {blame.value:.9g} after {blame.op} of step {blame.step}: {times} "
        f"since the step began ({blame.means})"
    )
    for group in _groups(blame.writes):
        first, last, where = group.first, group.last, group.first.site
        yield ""
        often = f", {group.count} times in a row" if group.count > 1 else ""
        yield f"  in {first.op or 'no op'}: {first.before:.9g} -> {last.after:.9g}{often}"
        yield f"    {where.place}  {where.function}  {where.address:#x}"
        yield f"    {where.instruction}{_origin(first)}"
        if first.chain:
            yield f"    called from {', '.join(_call(call) for call in first.chain)}"
    if blame.reads:
        yield ""
        yield f"  read {blame.reads} times"
    for note in blame.notes:
        yield f"  {note}"


def _groups(writes: Iterable[Write]) -> list[_Group]:
    groups: list[_Group] = []
    for write in writes:
        last = groups[-1].first if groups else None
        if last and (last.site, last.op, last.chain) == (write.site, write.op, write.chain):
            groups[-1].last = write
            groups[-1].count += 1
        else:
            groups.append(_Group(write, write, 1))
    return groups


def _origin(write: Write) -> str:
    if not write.register:
        return ""
    lane = f"lane {write.lane} of " if write.lane is not None else ""
    return f"   from {lane}{write.register}"


def _call(call: Site) -> str:
    return f"{call.function} ({call.place})" if call.file else call.function


def _write(write: Write) -> dict[str, Any]:
    return {
        "op": write.op,
        **_site(write.site),
        "before": _number(write.before),
        "after": _number(write.after),
        "register": write.register or None,
        "lane": write.lane,
        "chain": [_site(call) for call in write.chain],
    }


def _site(where: Site) -> dict[str, Any]:
    return {
        "address": f"{where.address:#x}",
        "function": where.function,
        "file": where.file,
        "line": where.line,
        "instruction": where.instruction,
    }


def _number(value: float | int) -> float | int | str:
    return value if math.isfinite(value) else str(value)
