"""Decides what a data set directory holds, and fills one that does not hold a whole set."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from nndbg.dataset.fetch import MIRRORS, FetchError, Limits, fetch, forget
from nndbg.dataset.idx import format_idx, read_bytes, write_whole
from nndbg.dataset.mnist import MNIST, IdxFile, collect
from nndbg.dataset.progress import Listener, Progress, unheard
from nndbg.dataset.synthesise import Recipe, digits
from nndbg.errors import UsageError

Kind = Literal["mnist", "synthetic"]

MARKER = "SYNTHETIC.txt"

_MARKER_TEXT = """\
These digits are SYNTHETIC. They are not MNIST: nndbg drew them, in MNIST's format and sizes.
Accuracies measured on them say nothing about MNIST.

For MNIST itself, remove the files named below and run `nndbg data` with a network, or
name a directory that holds it with `nndbg data --from`.

recipe: {recipe}
{hashes}
"""


@dataclass(frozen=True)
class Dataset:
    """A directory with all four files in it: `str()` says in a sentence what they are.

    `came` is how they got there in this call. `why` is, for digits drawn because MNIST could not
    be downloaded, what each mirror did; else it is empty.
    """

    directory: Path
    kind: Kind
    came: Literal["present", "copied", "downloaded", "drawn"]
    why: str = ""

    def __str__(self) -> str:
        if self.kind == "mnist":
            came = "there already" if self.came == "present" else f"{self.came} just now"
            return f"{self.directory} holds MNIST, {came}, its SHA-256 right."
        why = f" because MNIST could not be downloaded ({self.why})" if self.why else ""
        came = "there already" if self.came == "present" else f"drawn just now{why}"
        return f"{self.directory} holds SYNTHETIC digits, not MNIST, {came}; see {MARKER} there."


def prepare(
    directory: Path | str = "dataset",
    *,
    source: Path | str | None = None,
    synthetic: bool = False,
    recipe: Recipe = Recipe(),  # noqa: B008 - it is frozen
    mirrors: tuple[str, ...] = MIRRORS,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
    files: tuple[IdxFile, ...] = MNIST,
    progress: Listener = unheard,
) -> Dataset:
    """See to it that `directory` holds MNIST, or else synthetic digits that say so.

    A whole set that is there already is kept. Otherwise the files come from `source`, a directory
    that holds them plain or gzipped, or where none is given from the mirrors; if no mirror gives
    them, or if `synthetic` is set, digits are drawn by `recipe`.

    Raises UsageError when `directory` holds files of these names that are neither MNIST's nor
    drawn by nndbg, when `source` does not hold MNIST, or when a file cannot be read or written.
    """
    directory = Path(directory)
    if synthetic and source is not None:
        raise UsageError(
            f"Digits are either taken from {source} or synthetic; ask for one of both."
        )
    held, drawn_by = _survey(directory, files)
    if not synthetic and held == dict.fromkeys(files, "mnist"):
        if drawn_by:
            _fill(directory, {})  # the marker of digits that are gone would be untrue
        return Dataset(directory, "mnist", "present")
    if source is None and held == dict.fromkeys(files, "synthetic") and drawn_by == str(recipe):
        return Dataset(directory, "synthetic", "present")

    missing = tuple(file for file in files if held.get(file) != "mnist")
    if source is not None:
        _fill(directory, collect(Path(source), missing))
        return Dataset(directory, "mnist", "copied")
    why = ""
    if not synthetic:
        try:
            _fill(directory, fetch(directory, missing, mirrors, limits, progress))
        except FetchError as error:
            why = str(error)
        else:
            return Dataset(directory, "mnist", "downloaded")
    real = ", ".join(file.name for file, kind in held.items() if kind == "mnist")
    if real and synthetic:
        raise UsageError(
            f"{directory} holds MNIST itself ({real}), which synthetic digits do not replace. "
            "Name another directory, or remove the files first."
        )
    if real:
        raise UsageError(
            f"{directory} holds {real} of MNIST, but the rest could not be downloaded: {why}. "
            "Give the rest with --from, or remove what is there to have synthetic digits."
        )
    contents = _draw(files, recipe, progress)
    hashes = "\n".join(
        f"{hashlib.sha256(data).hexdigest()}  {file.name}" for file, data in contents.items()
    )
    _fill(directory, contents, _MARKER_TEXT.format(recipe=recipe, hashes=hashes))
    return Dataset(directory, "synthetic", "drawn", why)


def _survey(directory: Path, files: tuple[IdxFile, ...]) -> tuple[dict[IdxFile, Kind], str]:
    """What each file that is there is, and the recipe of the synthetic ones.

    Raises UsageError for a file that nndbg may not replace.
    """
    text = ""
    if (directory / MARKER).is_file():
        text = read_bytes(directory / MARKER, 1 << 16).decode(errors="replace")
    drawn_by = "".join(re.findall(r"^recipe: (.+)$", text, re.MULTILINE))
    drawn = {name: sha256 for sha256, name in re.findall(r"([0-9a-f]{64})  (\S+)", text)}
    held: dict[IdxFile, Kind] = {}
    for file in files:
        path = directory / file.name
        try:
            with path.open("rb") as opened:
                found = hashlib.file_digest(opened, "sha256").hexdigest()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
        if found == file.sha256:
            held[file] = "mnist"
        elif found == drawn.get(file.name):
            held[file] = "synthetic"
        else:
            raise UsageError(
                f"{path} is neither MNIST's nor drawn by nndbg: its SHA-256 is {found}, wanted "
                f"{file.sha256}. Move it away or name another directory."
            )
    return held, drawn_by


def _draw(files: tuple[IdxFile, ...], recipe: Recipe, progress: Listener) -> dict[IdxFile, bytes]:
    """The contents of training images and labels, test images and labels, in MNIST's order."""
    total = recipe.train + recipe.test

    def drawn(before: int, count: int) -> None:
        progress(Progress("synthetic digits", before + count, total, "digits"))

    arrays = (
        *digits(recipe.train, (recipe.seed, 0), partial(drawn, 0)),
        *digits(recipe.test, (recipe.seed, 1), partial(drawn, recipe.train)),
    )
    return dict(zip(files, map(format_idx, arrays), strict=True))


def _fill(directory: Path, contents: dict[IdxFile, bytes], marker: str = "") -> None:
    """Replace files of nndbg's own, in an order that leaves no wrong state if it is cut short.

    What is to be replaced goes first, the marker changes while nothing depends on it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file in contents:
            (directory / file.name).unlink(missing_ok=True)
        (directory / MARKER).unlink(missing_ok=True)
        if not marker:
            forget(directory, contents)
    except OSError as error:
        raise UsageError(f"{directory} cannot be written: {error.strerror or error}.") from error
    if marker:
        write_whole(directory / MARKER, marker.encode())
    for file, data in contents.items():
        write_whole(directory / file.name, data)
