"""Makes text that we did not write safe to show."""

from __future__ import annotations

import unicodedata

# Control, format (such as the bidirectional overrides) and surrogate characters.
_HIDDEN = ("Cc", "Cf", "Cs")


def printable(text: str) -> str:
    """Return `text` with every character that could steer a terminal written as an escape.

    Line feeds stay.
    """
    return "".join(
        character
        if character == "\n" or unicodedata.category(character) not in _HIDDEN
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )
