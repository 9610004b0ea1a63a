"""Reads a recording, a file that nobody vouches for: all of it is checked, none of it is run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar, cast
from zipfile import BadZipFile, ZipFile, is_zipfile

from nndbg.capture import Flat
from nndbg.elf import Executable, read_executable
from nndbg.errors import MapError, UsageError
from nndbg.layermap import LayerMap, parse_map
from nndbg.layermap.model import DTYPES
from nndbg.recording.arrays import DAMAGE, ArrayReader
from nndbg.recording.model import (
    FORMAT,
    HEADER,
    MAP,
    PROGRAM,
    VERSION,
    Header,
    RecordedStep,
    source_member,
    step_member,
)
from nndbg.recording.plain import Plain, ShapeError, from_plain

_T = TypeVar("_T")
_LARGEST_TEXT = 64 << 20
_LARGEST_PROGRAM = 64 << 20
# Of a buffer whose size the map leaves open.
_LARGEST_ARRAY = 1 << 30
_SMALLEST_ARRAY = 1 << 20
_MARK_WITHIN = 128


class Recording:
    """An open recording. Close it."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError when `path` is no recording, damaged, or of a newer nndbg."""
        self.path = path
        self._archive = _opened(path)
        try:
            self.header = self._header()
            self.layer_map = self._map()
            self.executable = self._executable()
        except BaseException:
            self.close()
            raise
        self._arrays = ArrayReader(self._archive, _largest(self.layer_map))

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps that it holds, ascending; at least one."""
        return self.header.steps

    def step(self, number: int) -> RecordedStep:
        """Return a step that it holds. Raises UsageError where it is damaged."""
        step = self._object(RecordedStep, step_member(number))
        stops = (*step.stops, step.following) if step.following else step.stops
        ops = {op.name for op in self.layer_map.ops}
        if not step.stops or stops[0].op is not None:
            raise self._damaged(f"its step {number} has no beginning")
        for at, stop in enumerate(stops):
            follows = step.following is not None and at == len(stops) - 1
            begins = at == 0 or follows
            if stop.step != number + follows or (stop.op is None) != begins:
                raise self._damaged(f"the stops of step {number} are in no order")
            if (stop.op is not None and stop.op not in ops) or not stop.skipped <= ops:
                raise self._damaged(f"step {number} has an op that its map has not")
            if not stop.others <= self.layer_map.phases.keys():
                raise self._damaged(f"step {number} has a phase that its map has not")
        return step

    def array(self, number: int) -> Flat:
        """Return an array by its number. Raises UsageError where it is damaged."""
        return self._arrays[number]

    def constant(self, name: str) -> Flat:
        """Return a constant buffer. Raises UsageError where it is not there."""
        number = self.header.constants.get(name)
        if number is None:
            raise UsageError(
                f"{self.path}: {name} was not read while this was recorded. Record it again."
            )
        return self.array(number)

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def _header(self) -> Header:
        plain = self._json(HEADER)
        known = plain.get("format") if isinstance(plain, dict) else None
        newer = plain.get("version") if isinstance(plain, dict) else None
        if known != FORMAT or not isinstance(newer, int):
            raise UsageError(f"{self.path}: no recording of nndbg. Make one with `nndbg record`.")
        if newer > VERSION:
            raise UsageError(
                f"{self.path}: a recording of version {newer}, and this nndbg reads version "
                f"{VERSION}. Install a newer nndbg."
            )
        header = self._read_as(Header, plain, HEADER)
        steps = header.steps
        if not steps or list(steps) != sorted(set(steps)) or steps[0] < 0:
            raise self._damaged("its steps are not in order")
        return header

    def _map(self) -> LayerMap:
        text = self._text(MAP)
        try:
            return parse_map(text, self.header.origin, self.header.phase)
        except MapError as error:
            raise self._damaged(f"its layer map is wrong: {error}") from error

    def _executable(self) -> Executable | None:
        if self.header.program is None:
            return None
        sources = {
            path: self._text(source_member(number)) for path, number in self.header.sources.items()
        }
        contents = self._bytes(PROGRAM, _LARGEST_PROGRAM)
        return read_executable(Path(self.header.program), contents, MappingProxyType(sources))

    def _object(self, kind: type[_T], name: str) -> _T:
        return self._read_as(kind, self._json(name), name)

    def _read_as(self, kind: type[_T], plain: Plain, name: str) -> _T:
        try:
            return from_plain(kind, plain)
        except (ShapeError, RecursionError) as error:
            raise self._damaged(f"{name}: {error}") from error

    def _json(self, name: str) -> Plain:
        try:
            return cast(Plain, json.loads(self._text(name)))
        except (ValueError, RecursionError) as error:
            raise self._damaged(f"{name} is no JSON") from error

    def _text(self, name: str) -> str:
        try:
            return self._bytes(name, _LARGEST_TEXT).decode()
        except UnicodeDecodeError as error:
            raise self._damaged(f"{name} is no text") from error

    def _bytes(self, name: str, most: int) -> bytes:
        try:
            info = self._archive.getinfo(name)
            if info.file_size > most:
                raise self._damaged(f"{name} has {info.file_size} bytes, more than {most}")
            return self._archive.read(info)
        except KeyError as error:
            if name == HEADER:
                raise UsageError(
                    f"{self.path}: no recording of nndbg. Make one with `nndbg record`."
                ) from error
            raise self._damaged(f"it has no {name}") from error
        except (*DAMAGE, OSError, MemoryError) as error:
            raise self._damaged(f"{name}: {error}") from error

    def _damaged(self, what: str) -> UsageError:
        return UsageError(f"{self.path}: this recording is damaged: {what}. Copy it again.")


def _opened(path: Path) -> ZipFile:
    try:
        with path.open("rb") as file:
            is_ours = FORMAT.encode() in file.read(_MARK_WITHIN)
        if is_ours and not is_zipfile(path):
            raise UsageError(f"{path}: this recording was cut short. Copy it again.")
        return ZipFile(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from error
    except (BadZipFile, NotImplementedError, ValueError) as error:
        raise UsageError(
            f"{path}: no recording of nndbg ({error}). Make one with `nndbg record`."
        ) from error


def _largest(layer_map: LayerMap) -> int:
    """Return how many bytes no array of a recording with this map exceeds."""
    sizes = {size.name: size.largest for size in layer_map.sizes.values()}
    largest = _SMALLEST_ARRAY
    for buffer in layer_map.buffers.values():
        axes = [sizes[axis] if isinstance(axis, str) else axis for axis in buffer.shape]
        known = [axis for axis in axes if axis is not None]
        if len(known) < len(axes):
            return _LARGEST_ARRAY
        largest = max(largest, math.prod(known) * DTYPES[buffer.dtype].itemsize)
    return largest
