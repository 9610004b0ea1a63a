"""Typed values out of the tables of a map's text; what is none of them is refused with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, NoReturn

from nndbg.errors import MapError
from nndbg.layermap.boundary import FORMS, WORDS, Boundary, Word, parse_boundary, parse_word
from nndbg.layermap.lines import Key, key_lines
from nndbg.layermap.model import DTYPES

_ADDRESS = 8
PASSING_KEYS = frozenset({"nth", "call"})
Table = Mapping[str, Any]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SYMBOL = re.compile(r"[^\s\"'`;\\\x00-\x1f]+")
_TOML_PLACE = re.compile(r" \(at line (\d+), column \d+\)$")


class Tables:
    """The tables of one text; knows the line of what it complains about."""

    def __init__(self, text: str, origin: str) -> None:
        self.source = text
        self.origin = origin
        self.lines = key_lines(text)
        try:
            self.document: Table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            place = _TOML_PLACE.search(str(error))
            line = place[1] if place else len(text.splitlines())
            reason = _TOML_PLACE.sub("", str(error))
            raise MapError(f"{origin}:{line}: not TOML: {reason}.") from error

    @property
    def buffer_names(self) -> Collection[str]:
        """The names of the buffers, whatever is said of them."""
        buffers = self.document.get("buffers")
        return buffers.keys() if isinstance(buffers, dict) else ()

    def boundary(self, key: Key, table: Table, name: str) -> Boundary:
        """Return the boundary `name` of a table: a text, or a table with `at`, `nth` and `call`.

        Of a text, the `nth` and `call` beside it say which passing is meant.
        """
        value = table.get(name)
        if isinstance(value, dict):
            self.check_keys((*key, name), value, {"at", *PASSING_KEYS})
            key = (*key, name)
            return self.passing(key, self.place(key, self.text(key, value, "at")), value)
        place = self.place((*key, name), self.text(key, table, name))
        return self.passing(key, place, table)

    def passing(self, key: Key, place: Boundary, table: Table) -> Boundary:
        """Return the boundary with what `nth` and `call` of the table say of it."""
        nth, call = table.get("nth"), table.get("call", {})
        if nth is not None and (type(nth) is not int or nth < 1):
            self.fail(
                (*key, "nth"),
                f"nth = {nth!r}; wanted a number from 1: 1 is the first time in a step",
            )
        key = (*key, "call")
        if not isinstance(call, dict):
            self.fail(key, f'call = {call!r}; wanted a table such as {{ rdi = "W2" }}')
        words = tuple((self.word(key, name), meant) for name, meant in call.items())
        for word, meant in words:
            if isinstance(meant, str) and meant not in self.buffer_names:
                self.fail(key, f"call: {word} is {meant!r}, which is no buffer", self.buffer_names)
            if isinstance(meant, str) and word.size != _ADDRESS:
                self.fail(key, f"call: {word} has 32 bits, and an address has 64")
            if not isinstance(meant, str) and type(meant) is not int:
                self.fail(key, f"call: {word} = {meant!r}; wanted a buffer or a whole number")
        return replace(place, nth=nth, call=words)

    def place(self, key: Key, text: str) -> Boundary:
        """Return the boundary `text`, of which every passing is meant."""
        found = parse_boundary(text)
        if found is None:
            form = text.split(":", maxsplit=1)[0]
            near = get_close_matches(form, ("probe", "enter", "return"), n=1)
            hint = f" Did you mean {near[0]}:{text.partition(':')[2]}?" if near else ""
            raise MapError(f"{self.at(key)}: {text!r} is no boundary; write {FORMS}.{hint}")
        return Boundary(text, *found)

    def word(self, key: Key, text: str) -> Word:
        """Return the register, or the word on the stack, that `text` names."""
        word = parse_word(text)
        if word is None:
            self.fail(key, f"{text!r} is no register; write {WORDS}")
        return word

    def table(self, key: Key, parent: Table, name: str) -> Table:
        """Return the table `name` in `parent`."""
        value = parent.get(name)
        if not isinstance(value, dict):
            self.fail((*key, name), f"[{'.'.join(map(str, (*key, name)))}] is missing")
        return value

    def named(self, table: str, required: bool = True) -> list[tuple[str, object]]:
        """Return the entries of a table of the document."""
        if not required and table not in self.document:
            return []
        return list(self.table((), self.document, table).items())

    def text(self, key: Key, table: Table, name: str) -> str:
        """Return a text that is not empty."""
        value = table.get(name)
        if not isinstance(value, str) or not value:
            found = "is missing" if value is None else f"is {value!r}"
            self.fail((*key, name), f"`{name}` {found}; wanted a text in quotes")
        return value

    def symbol(self, key: Key, table: Table, name: str) -> str:
        """Return a text that can be a symbol."""
        value = self.text(key, table, name)
        if not _SYMBOL.fullmatch(value):
            self.fail((*key, name), f"`{name}` is {value!r}, which cannot be a symbol")
        return value

    def flag(self, key: Key, table: Table, name: str) -> bool:
        """Return true or false; false where nothing is said."""
        value = table.get(name, False)
        if not isinstance(value, bool):
            self.fail((*key, name), f"`{name}` is {value!r}; wanted true or false")
        return value

    def dtype(self, key: Key, value: object) -> str:
        """Return the name of a dtype."""
        if not isinstance(value, str) or value not in DTYPES:
            self.fail(key, f"dtype {value!r} is not one of {' '.join(DTYPES)}")
        return value

    def integer_dtype(self, key: Key, table: Table) -> str:
        """Return the `dtype` of a table, which is one of integers; i64 where it has none."""
        dtype = self.dtype(key, table.get("dtype", "i64"))
        if DTYPES[dtype].kind not in "iu":
            integers = " ".join(name for name, kind in DTYPES.items() if kind.kind in "iu")
            self.fail(key, f"read as {dtype}, and an integer is wanted: {integers}")
        return dtype

    def check_name(self, key: Key, name: str) -> None:
        """Refuse a name that no element could be written with."""
        if not _NAME.fullmatch(name):
            self.fail(key, f"the name {name!r} must be letters, digits and underscores")

    def check_keys(self, key: Key, table: Table, known: Collection[str]) -> None:
        """Refuse keys that mean nothing."""
        for name in table:
            if name not in known:
                self.fail((*key, name), f"unknown key {name!r}", known)

    def fail(self, key: Key, problem: str, known: Collection[str] = ()) -> NoReturn:
        """Raise MapError for `key`; the names in `known` are offered where one is close."""
        words = re.findall(r"'([^']*)'", problem)
        close = get_close_matches(words[0], known, n=1) if words and known else []
        hint = f" Did you mean {close[0]!r}?" if close else ""
        if known and not close:
            hint = f" Known: {', '.join(sorted(known))}."
        raise MapError(f"{self.at(key)}: {problem}.{hint}")

    def at(self, key: Key) -> str:
        """Return `origin:line` of the nearest place in the text to `key`."""
        line = next(
            (self.lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in self.lines), 1
        )
        return f"{self.origin}:{line}"
