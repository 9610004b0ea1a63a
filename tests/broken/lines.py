"""Which lines of a changed trainer are the changed ones."""

from __future__ import annotations

import difflib
from pathlib import Path

from nndbg.report import Suspect

from .build import ROOT, Change

Line = tuple[str, int]


def changed_lines(change: Change, directory: Path) -> frozenset[Line]:
    """Return the lines that differ from the sound trainer, by file and number, in `directory`.

    Where a line was taken away, those on both sides of the gap. Comments, labels and blank lines
    do not count.
    """
    found: set[Line] = set()
    for file in {edit.file for edit in change.edits}:
        sound, broken = _code(ROOT / file), _code(directory / file)
        matcher = difflib.SequenceMatcher(
            a=[text for _, text in sound], b=[text for _, text in broken], autojunk=False
        )
        for tag, _, _, first, last in matcher.get_opcodes():
            if tag == "equal":
                continue
            around = range(first - 1, first + 1) if tag == "delete" else range(first, last)
            found |= {(file, broken[n][0]) for n in around if 0 <= n < len(broken)}
    return frozenset(found)


def line_of(suspect: Suspect) -> Line | None:
    """Return where a suspect is, as `changed_lines` writes it."""
    if suspect.file is None or suspect.line is None:
        return None
    return (f"asm/{Path(suspect.file).name}", suspect.line)


def _code(path: Path) -> list[tuple[int, str]]:
    lines = ((n, line.split(";")[0].strip()) for n, line in enumerate(_text(path), start=1))
    return [(n, text) for n, text in lines if text and not text.endswith(":")]


def _text(path: Path) -> list[str]:
    return path.read_text().splitlines()
