"""Names for bindings, by which the settings give an action other keys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from textual.binding import Binding, BindingType


def slug(words: str) -> str:
    """Return words as a name: lower case, joined by underscores."""
    return re.sub(r"\W+", "_", words.lower()).strip("_")


def named(part: str, bindings: Iterable[BindingType]) -> list[BindingType]:
    """Return the bindings of a part of the screen, each named after what it does.

    One that has a name already is that of the whole screen, and goes by it here too.
    """
    return [
        replace(binding, id=binding.id or f"{part}.{slug(binding.description)}")
        for binding in bindings
        if isinstance(binding, Binding)
    ]
