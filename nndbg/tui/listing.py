"""Finds and reads the source files that the debug information names, and colours them."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rich.style import Style
from rich.syntax import Syntax, SyntaxTheme
from rich.text import Text

from nndbg.elf import Executable
from nndbg.text import printable
from nndbg.tui.palette import ACCENT, DIM, NUMBER, PLAIN, STRONG

_LARGEST = 1 << 22
_TAB = 8
# Pygments' names of tokens, the narrower before the wider.
_STYLES: tuple[tuple[tuple[str, ...], Style], ...] = (
    (("Comment", "Preproc"), NUMBER),
    (("Comment",), DIM),
    (("Keyword",), ACCENT),
    (("Name", "Function"), ACCENT),
    (("Name", "Label"), STRONG),
    (("Literal",), NUMBER),
)


@dataclass(frozen=True, eq=False)
class Listing:
    """A source file in lines, or, in `missing`, why there are none.

    `is_newer` where it was changed after the program was linked.
    """

    lines: tuple[Text, ...]
    missing: str = ""
    is_newer: bool = False


def listing_of(recorded: str, executable: Executable) -> Listing:
    """Return the source at a path of an executable's debug information, on disk or recorded."""
    if recorded in executable.sources:
        return Listing(_coloured(Path(recorded), executable.sources[recorded]))
    if executable.contents is not None:
        return Listing((), f"source not found: {Path(recorded).name} is not in the recording")
    return read_listing(recorded, executable.path)


def read_listing(recorded: str, executable: Path) -> Listing:
    """Return the source at a path of the debug information.

    It is looked for as it is, then, if relative, from the working directory and from the
    executable's own.
    """
    tried = list(dict.fromkeys([Path(recorded), executable.parent / recorded]))
    for path in tried:
        try:
            facts = path.stat()
            if not stat.S_ISREG(facts.st_mode):
                continue
            if facts.st_size > _LARGEST:
                return Listing((), f"{path} is over {_LARGEST >> 20} MiB, too large to show")
            is_newer = facts.st_mtime > executable.stat().st_mtime
            return Listing(_read(path, facts.st_mtime_ns), is_newer=is_newer)
        except FileNotFoundError:
            continue
        except OSError as error:
            return Listing((), f"{path} cannot be read: {error.strerror}")
    places = " or ".join(str(path.parent.absolute()) for path in tried)
    return Listing((), f"source not found: {Path(recorded).name} is not in {places}")


class _Colours(SyntaxTheme):
    """The palette of the screen, for source."""

    def get_style_for_token(self, token_type: tuple[str, ...]) -> Style:
        """Return the style of the first kind that the token is one of."""
        return next((style for kind, style in _STYLES if token_type[: len(kind)] == kind), PLAIN)

    def get_background_style(self) -> Style:
        """Leave the background to the widget."""
        return PLAIN


@lru_cache(maxsize=16)
def _read(path: Path, written: int) -> tuple[Text, ...]:
    """Read and colour a file; `written` makes a changed file another one."""
    return _coloured(path, path.read_text(errors="replace"))


def _coloured(path: Path, text: str) -> tuple[Text, ...]:
    text = printable(text.replace("\r", "").expandtabs(_TAB))
    syntax = Syntax("", _lexer(path, text), theme=_Colours())
    return tuple(syntax.highlight(text).split("\n", allow_blank=True))


def _lexer(path: Path, text: str) -> str:
    if path.suffix.lower() in (".asm", ".nasm", ".inc"):
        return "nasm"
    if path.suffix in (".s", ".S"):
        return "gas"
    return Syntax.guess_lexer(str(path), text)
