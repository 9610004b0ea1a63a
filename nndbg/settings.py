"""How the user likes the screen: a TOML file, and environment variables that go before it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from platformdirs import user_config_path

from nndbg.errors import UsageError
from nndbg.layermap.lines import key_lines

_LARGEST = 1 << 20
DEFAULT = "default"
_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True)
class Known:
    """What may be named in the settings: themes, the default first, and the keys of each action."""

    themes: tuple[str, ...]
    keys: Mapping[str, str]


@dataclass(frozen=True)
class Settings:
    """The settings that hold, and where each comes from: `default`, FILE:LINE or a variable.

    `keys` are those of the actions that were given others, with commas between several.
    """

    theme: str
    mouse: bool
    animation: bool
    keys: Mapping[str, str]
    origins: Mapping[str, str] = field(default_factory=dict)

    def origin(self, name: str) -> str:
        """Return where a setting comes from."""
        return self.origins.get(name, DEFAULT)


def settings_path() -> Path:
    """Return where the settings are looked for."""
    named = os.environ.get("NNDBG_CONFIG")
    return Path(named) if named else user_config_path("nndbg") / "config.toml"


def read_settings(known: Known, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that hold. Raises UsageError for what cannot be meant."""
    path = settings_path()
    reader = _Reader(path, known, environment)
    keys = reader.keys()
    return Settings(
        theme=reader.theme(),
        mouse=reader.switch("mouse"),
        animation=reader.switch("animation"),
        keys=MappingProxyType(keys),
        origins=MappingProxyType(reader.origins),
    )


class _Reader:
    """Takes settings from one file and the environment; its errors name where."""

    def __init__(self, path: Path, known: Known, environment: Mapping[str, str]) -> None:
        self.path = path
        self.known = known
        self.environment = environment
        self.origins: dict[str, str] = {}
        text = _text(path)
        self.lines = key_lines(text)
        try:
            self.table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path}: not TOML: {error}.") from error
        self.refuse_unknown((), self.table, ("theme", "mouse", "animation", "keys"))

    def theme(self) -> str:
        """Return the theme."""
        value, origin = self.value("theme", self.known.themes[0])
        if value not in self.known.themes:
            raise UsageError(
                f"{origin}: {value!r} is no theme. There are: {', '.join(self.known.themes)}."
            )
        return str(value)

    def switch(self, name: str) -> bool:
        """Return a setting that is on or off, on unless said."""
        value, origin = self.value(name, True)
        if isinstance(value, str) and origin == _variable(name):
            value = _WORDS.get(value.lower(), value)
        if not isinstance(value, bool):
            raise UsageError(f"{origin}: {name} is {value!r}. Make it true or false.")
        return value

    def keys(self) -> dict[str, str]:
        """Return the keys that were given to actions. No key may be left to two of them."""
        table = self.table.get("keys", {})
        if not isinstance(table, dict):
            raise UsageError(f"{self.at('keys')}: keys must be a table: [keys].")
        table = dict(_flattened(table))
        self.refuse_unknown(("keys",), table, self.known.keys)
        for action, keys in table.items():
            if not isinstance(keys, str) or not all(key.strip() for key in keys.split(",")):
                raise UsageError(
                    f"{self.at('keys', *action.split('.'))}: {action} is {keys!r}. "
                    'Name keys with commas between them, as in "n,f10".'
                )
            self.origins[f"keys.{action}"] = self.at("keys", *action.split("."))
        taken: dict[tuple[str, str], str] = {}
        for action, keys in {**self.known.keys, **table}.items():
            part = action.rpartition(".")[0]
            for key in (key.strip() for key in keys.split(",")):
                other = taken.setdefault((part, key), action)
                if other != action:
                    named = action if action in table else other
                    raise UsageError(
                        f"{self.at('keys', *named.split('.'))}: {key} would be the key of both "
                        f"{other} and {action}. Give one of them another."
                    )
        return {
            action: ",".join(k.strip() for k in keys.split(",")) for action, keys in table.items()
        }

    def value(self, name: str, default: object) -> tuple[object, str]:
        """Return what a setting is, as it is written, and where."""
        variable = _variable(name)
        if self.environment.get(variable):
            self.origins[name] = variable
            return self.environment[variable], variable
        if name in self.table:
            self.origins[name] = self.at(name)
            return self.table[name], self.at(name)
        return default, DEFAULT

    def at(self, *key: str) -> str:
        """Return FILE:LINE of a key."""
        line = self.lines.get(key)
        return f"{self.path}:{line}" if line is not None else str(self.path)

    def refuse_unknown(
        self, table: tuple[str, ...], found: Mapping[str, object], known: Collection[str]
    ) -> None:
        """Raise UsageError for the first name that is not known."""
        for name in found:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"Did you mean {close[0]}?" if close else "`nndbg config` lists them all."
                what = "action" if table else "setting"
                raise UsageError(
                    f"{self.at(*table, *name.split('.'))}: there is no {what} {name}. {hint}"
                )


def _flattened(table: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the keys of a table and of those in it, joined by dots."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", found) for inner, found in _flattened(value))
        else:
            yield name, value


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path}: over 1 MiB, which no settings are.")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"{path}: the settings cannot be read: {reason}.") from error


def _variable(name: str) -> str:
    return f"NNDBG_{name.upper()}"
