"""Builds the trainer with a change from faults/, late/ or harmless/, to see what nndbg says of it.

python -m tests.broken.build                  the names of all changes
python -m tests.broken.build NAME [-o FILE]   that trainer, in build/broken/NAME unless said
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nndbg.layermap import MAIN_PHASE

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KINDS = ("faults", "late", "harmless")


class BuildError(Exception):
    """A change that does not apply, or a trainer that cannot be assembled or linked."""


@dataclass(frozen=True)
class Edit:
    """One replacement; `find` must occur exactly once in `file`."""

    file: str
    find: str
    replace: str


@dataclass(frozen=True)
class ExpectedFinding:
    """What an audit has to find; `says` is a part of it."""

    audit: str
    op: str
    level: str
    says: str = ""


@dataclass(frozen=True)
class Expectation:
    """What nndbg has to say first of all.

    Without `where` it may name any elements. `diagnosis` is the kind of the first diagnosis, empty
    where the numbers cannot tell what was done; `says` is a part of its sentence. `error` is a part
    of why the program did not get through; without it, it has to. `finding` is one that has to be
    among the findings.
    """

    step: int | None = None
    op: str | None = None
    buffer: str | None = None
    status: str | None = None
    where: str | None = None
    diagnosis: str | None = None
    says: str | None = None
    error: str | None = None
    finding: ExpectedFinding | None = None


@dataclass(frozen=True)
class Change:
    """A trainer that differs from the sound one; `expect` is None where there is nothing to say.

    With its `arguments` the trainer runs the code that is changed: faster kernels would run instead
    of one for SSE2. The change shows in the steps of `phase`.
    """

    name: str
    says: str
    edits: tuple[Edit, ...]
    expect: Expectation | None = None
    arguments: tuple[str, ...] = ()
    phase: str = MAIN_PHASE


SOUND = Change("sound", "The trainer as it is.", ())


def read_change(path: Path) -> Change:
    """Return the change that a TOML file describes.

    `says` is what is different and how it shows, in a sentence; `arguments` and `phase` may be left
    out; `[[edit]]` and `[expect]` have the fields of Edit and Expectation, `finding` in it those of
    ExpectedFinding. Raises BuildError where the file makes no sense.
    """
    try:
        content = tomllib.loads(path.read_text())
        expect = content.pop("expect", None)
        return Change(
            name=path.stem,
            says=content.pop("says"),
            edits=tuple(Edit(**edit) for edit in content.pop("edit")),
            expect=None if expect is None else _expectation(expect),
            arguments=tuple(content.pop("arguments", ())),
            **content,
        )
    except (tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        raise BuildError(f"{path}: {error}") from error


def _expectation(table: dict[str, Any]) -> Expectation:
    finding = table.pop("finding", None)
    return Expectation(**table, finding=None if finding is None else ExpectedFinding(**finding))


def changes(kind: str) -> list[Change]:
    """Return all changes of a kind, `faults`, `late` or `harmless`, by name."""
    return [read_change(path) for path in sorted((HERE / kind).glob("*.toml"))]


def build(change: Change, directory: Path) -> Path:
    """Build the changed trainer in an empty directory and return the program. Raises BuildError."""
    texts: dict[str, str] = {}
    for edit in change.edits:
        texts[edit.file] = _apply(edit, change.name, texts)
    return build_texts(texts, directory)


def build_texts(texts: Mapping[str, str], directory: Path) -> Path:
    """Build the trainer in an empty directory, with other texts for some files of the repository.

    Objects of the sound trainer serve again where they are up to date. Raises BuildError.
    """
    shutil.copytree(ROOT / "asm", directory / "asm")
    for file, text in texts.items():
        (directory / file).write_text(text)
    changed = {Path(file) for file in texts}
    is_in_all = any(path.suffix != ".asm" for path in changed)
    common = [*(ROOT / "asm" / "include").iterdir(), ROOT / "asm" / "mnist.toml"]
    objects = []
    for source in sorted((directory / "asm").glob("*.asm")):
        made, own = ROOT / "build" / f"{source.stem}.o", Path("asm") / source.name
        if not is_in_all and own not in changed and _is_newer(made, ROOT / own, *common):
            objects.append(str(made))
            continue
        _run(directory, "nasm", "-f", "elf64", "-g", "-F", "dwarf", "-I", "asm/include/",
             "-o", f"{source.stem}.o", f"asm/{source.name}")  # fmt: skip
        objects.append(f"{source.stem}.o")
    _run(directory, "gcc", "-static", "-no-pie", "-o", "mnist", *objects, "-lm")
    return directory / "mnist"


def _apply(edit: Edit, name: str, texts: Mapping[str, str]) -> str:
    """Return the text of a file with an edit, on top of those before it in `texts`."""
    path = ROOT / edit.file
    if not path.is_file():
        raise BuildError(f"{name}: there is no {edit.file}. Has it been renamed? Move the edit.")
    text = texts.get(edit.file) or path.read_text()
    count = text.count(edit.find)
    if count != 1:
        raise BuildError(
            f"{name}: the edit no longer applies to {edit.file}: what it looks for occurs {count} "
            f"times instead of once. Renew `find`, and see that the change says the same:\n"
            f"{edit.find}"
        )
    return text.replace(edit.find, edit.replace)


def _is_newer(made: Path, *sources: Path) -> bool:
    try:
        age = made.stat().st_mtime_ns
        return all(age > source.stat().st_mtime_ns for source in sources)
    except FileNotFoundError:
        return False


def _run(directory: Path, *command: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError as error:
        raise BuildError(f"{command[0]} is not installed: ./build.sh installs it") from error
    if done.returncode:
        raise BuildError(f"{' '.join(command)}\n{done.stderr}")


def main() -> int:
    """Build one of the changed trainers by name, or list all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.broken.build", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("-o", dest="output", metavar="FILE", type=Path)
    options = parser.parse_args()
    try:
        known = {change.name: change for kind in KINDS for change in changes(kind)}
        if options.name is None:
            print("\n".join(f"{name}\n    {known[name].says}" for name in known))
            return 0
        if options.name not in known:
            parser.error(f"no change is called {options.name}; without NAME all are listed")
        change = known[options.name]
        output = options.output or ROOT / "build" / "broken" / change.name
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as directory:
            shutil.move(build(change, Path(directory)), output)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    command = ["nndbg", "check", str(output), "--steps", "0:2", "--phase", change.phase]
    print(f"{change.says}\n\n    {' '.join([*command, '--', *change.arguments])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
