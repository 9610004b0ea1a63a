"""Finds the line of each key of a TOML text, which the parser of the standard library forgets."""

from __future__ import annotations

import re

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*([\w.-]+|"[^"]*"|'[^']*')\s*=""")

Key = tuple[str | int, ...]


def key_lines(text: str) -> dict[Key, int]:
    """Return the line, from 1, of every table and of every key that begins a line.

    A key is its path, with the index of the element for an array of tables:
    `("ops", 2, "done")`.
    """
    lines: dict[Key, int] = {}
    counts: dict[Key, int] = {}
    table: Key = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = tuple(_plain(part) for part in header[2].split("."))
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *(_plain(part) for part in key[1].split("."))), number)
    return lines


def _plain(part: str) -> str:
    return part.strip().strip("\"'")
