"""Frozen dataclasses to what JSON can say, and back; what comes back is checked type by type."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
# What json.loads may return.
Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


class ShapeError(ValueError):
    """What was read is not what the type says."""


def to_plain(value: Any) -> Plain:
    """Return `value` as JSON can say it: dataclasses and mappings as objects, tuples as lists."""
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return cast(Plain, value.value)
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(cast(Any, map(to_plain, value)))
    return cast(Plain, value)


def from_plain(kind: type[T], plain: Plain) -> T:
    """Return the object of a dataclass `kind` that `to_plain` made `plain` of.

    Keys that `kind` has no field for are skipped, so that a newer writer may say more. Raises
    ShapeError.
    """
    return cast(T, _read(kind, plain, kind.__name__))


def _read(kind: Any, plain: Plain, at: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _one_of(inner, plain, at)
    if origin is tuple:
        return tuple(_read(inner[0], item, at) for item in _known(list, plain, at))
    if origin is frozenset:
        return frozenset(_read(inner[0], item, at) for item in _known(list, plain, at))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        found = _known(dict, plain, at)
        return {
            _key(inner[0], key, at): _read(inner[1], item, f"{at}.{key}")
            for key, item in found.items()
        }
    if is_dataclass(kind):
        return _object(cast(type, kind), _known(dict, plain, at), at)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(plain)
        except ValueError as error:
            raise ShapeError(f"{at} is {plain!r:.40}, which is no {kind.__name__}") from error
    return _known(kind, plain, at)


def _object(kind: type, plain: dict[str, Plain], at: str) -> Any:
    hints = get_type_hints(kind)
    given = {}
    for field in fields(cast(Any, kind)):
        if field.name not in plain:
            raise ShapeError(f"{at} has no {field.name}")
        given[field.name] = _read(hints[field.name], plain[field.name], f"{at}.{field.name}")
    return kind(**given)


def _one_of(kinds: tuple[Any, ...], plain: Plain, at: str) -> Any:
    for kind in kinds:
        try:
            return _read(kind, plain, at)
        except ShapeError:
            continue
    raise ShapeError(f"{at} is {_name(plain)}")


def _key(kind: type, key: str, at: str) -> Any:
    if kind is str:
        return key
    if not (key.isascii() and key.isdigit() and len(key) <= 20):
        raise ShapeError(f"{at} has the key {key!r:.40}, which is no number")
    return int(key)


def _known(kind: Any, plain: Plain, at: str) -> Any:
    if kind is types.NoneType and plain is None:
        return None
    # bool is an int to Python, and not to JSON.
    if isinstance(plain, bool) != (kind is bool) or not isinstance(plain, kind):
        wanted = "nothing" if kind is types.NoneType else kind.__name__
        raise ShapeError(f"{at} is {_name(plain)}, not {wanted}")
    return plain


def _name(plain: Plain) -> str:
    return "nothing" if plain is None else type(plain).__name__
