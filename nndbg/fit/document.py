"""The text of a map taken apart into its tables, so that one can be changed and the rest kept."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from functools import cached_property
from typing import Any

from nndbg.layermap.lines import Key, key_lines

Table = Mapping[str, Any]

_SPACE = 66
_GUESS = re.compile(r"# guess: .*")


@dataclass(frozen=True)
class Document:
    """A map's text, what it says, and the line, from 1, of each of its keys."""

    text: str
    said: Table
    lines: Mapping[Key, int]

    @property
    def ops(self) -> list[Table]:
        """The tables of the ops, in their order."""
        return list(self.said.get("ops", []))

    def head(self, shapes: Mapping[str, str]) -> str:
        """Return all that is no op or reference, with the lines of some buffers replaced."""
        lines = list(self._text_lines)
        for start, end in [*self._blocks.values(), *self._spans(("reference",))]:
            lines[start:end] = [""] * (end - start)
        return _joined(self._reshaped(lines, shapes))

    def op_text(self, index: int, table: Table) -> str:
        """Return the op at `index` with what `table` says of it, its other lines as they are."""
        start, end = self._blocks[index]
        lines = self._text_lines[start:end]
        for name, value in table.items():
            if self.said["ops"][index].get(name) == value:
                continue
            at = self.lines.get(("ops", index, name))
            line = f"{name} = {value_text(value)}"
            if at is None:
                lines.insert(2, line)
            else:
                lines[at - 1 - start] = f"{line.ljust(_SPACE)}  # fit: agrees with the run"
        return _joined(lines)

    def rewritten(
        self,
        order: list[int],
        tables: Mapping[int, Table],
        left_out: Collection[int],
        shapes: Mapping[str, str],
        settled: Collection[int] = (),
    ) -> str:
        """Return the text with its ops in an order, some changed and some made comments.

        What was guessed of the `settled` ones is a guess no more.
        """
        blocks = self._blocks
        if not blocks:
            return self.text
        first = min(start for start, _ in blocks.values())
        last = max(end for _, end in blocks.values())
        lines = self._reshaped(self._text_lines, shapes)
        between = [
            line
            for number, line in enumerate(lines[first:last], first)
            if not any(start <= number < end for start, end in blocks.values())
        ]
        ops: list[str] = []
        for index in order:
            text = self.op_text(index, tables.get(index, {}))
            if index in settled:
                text = _GUESS.sub("# fit: agrees with the run", text)
            if index in left_out:
                text = "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())
            ops.append(text)
        return _joined(lines[:first]) + "".join(ops) + _joined(between) + _joined(lines[last:])

    def _reshaped(self, lines: list[str], shapes: Mapping[str, str]) -> list[str]:
        changed = list(lines)
        for name, line in shapes.items():
            changed[self.lines["buffers", name] - 1] = line
        return changed

    @cached_property
    def _blocks(self) -> dict[int, tuple[int, int]]:
        """The first line of each op, from 0, and the one behind its last."""
        return {n: span for n in range(len(self.ops)) for span in self._spans(("ops", n))}

    def _spans(self, key: Key) -> list[tuple[int, int]]:
        """Return the first line of a table, from 0, and the one behind its last, if it is there."""
        if key not in self.lines:
            return []
        start = self.lines[key] - 1
        behind = (head for head in self._heads if head > start)
        return [(start, next(behind, len(self._text_lines)))]

    @cached_property
    def _text_lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def _heads(self) -> list[int]:
        """The lines, from 0, at which tables begin."""
        return sorted(
            line - 1
            for key, line in self.lines.items()
            if self._text_lines[line - 1].lstrip().startswith("[")
            and (len(key) < 3 or key[0] != "ops")
        )


def read_document(text: str) -> Document:
    """Take apart the text of a map, which is known to be TOML."""
    return Document(text, tomllib.loads(text), key_lines(text))


def as_diff(before: str, after: str, name: str) -> str:
    """Return what changes from one text to the other, as `diff -u` writes it."""
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(unified_diff(*lines, fromfile=name, tofile=f"{name} (fitted)"))


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def value_text(value: Any) -> str:
    """Return a value as TOML writes it in a line."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{name} = {value_text(v)}' for name, v in value.items())} }}"
    return json.dumps(value)
