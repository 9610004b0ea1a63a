"""Draws the sample: seeded, spread over files and operators, of mutants that assemble."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from tests.broken.build import ROOT, BuildError

from .operators import OPERATORS, Mutant, mutants

_SECONDS = 30


def sources() -> dict[str, str]:
    """Return the text of every file of the trainer by its path from the root.

    But for the one that makes the boundaries: it is part of the instrument.
    """
    paths = [*(ROOT / "asm").glob("*.asm"), *(ROOT / "asm" / "include").glob("*.inc")]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(paths)}
    del texts["asm/include/probe.inc"]
    return texts


def sample(
    files: Mapping[str, str], seed: int, count: int, assembler: Assembler
) -> Iterator[Mutant]:
    """Yield `count` mutants that assemble, and to other code than the sound file does.

    The files come in rounds, each round in another order, the include files together as one: a
    small file has as many mutants as a large one as long as it has any. Of a file's operators the
    one comes next that the sample has least of. A smaller sample of the same seed begins a larger
    one. Raises BuildError where NASM is not there.
    """
    order = random.Random(seed)
    left = {_place(file): {operator: list[Mutant]() for operator in OPERATORS} for file in files}
    for file, text in files.items():
        for mutant in mutants(file, text):
            left[_place(file)][mutant.operator].append(mutant)
    for pools in left.values():
        for pool in pools.values():
            order.shuffle(pool)
    drawn: Counter[str] = Counter()
    seen: set[str] = set()
    while remaining := sorted(place for place in left if any(left[place].values())):
        order.shuffle(remaining)
        for place in remaining:
            pools = left[place]
            for operator in sorted(pools, key=lambda name: (drawn[name], order.random())):
                mutant = _next(pools[operator], seen, assembler)
                if mutant is not None:
                    break
            else:
                continue
            if len(seen) == count:
                return
            seen.add(mutant.key)
            drawn[mutant.operator] += 1
            yield mutant


def _place(file: str) -> str:
    return file if file.endswith(".asm") else str(Path(file).parent)


def _next(pool: list[Mutant], seen: Collection[str], assembler: Assembler) -> Mutant | None:
    while pool:
        mutant = pool.pop()
        if mutant.key not in seen and assembler.makes_other_code(mutant):
            return mutant
    return None


class Assembler:
    """Assembles files by themselves in `directory`; remembers the code of the sound ones."""

    def __init__(self, files: Mapping[str, str], directory: Path) -> None:
        self._files = files
        self._directory = directory
        self._sound: dict[str, bytes | None] = {}
        (directory / "asm" / "include").mkdir(parents=True)
        shutil.copy(ROOT / "asm" / "mnist.toml", directory / "asm")
        shutil.copytree(ROOT / "asm" / "include", directory / "asm" / "include", dirs_exist_ok=True)

    def makes_other_code(self, mutant: Mutant) -> bool:
        """Whether all files that hold the mutant assemble, and one to other code than without."""
        quoted = f'"{Path(mutant.file).name}"'
        holders = [f for f, text in self._files.items() if f.endswith(".asm") and quoted in text]
        if mutant.file.endswith(".asm"):
            holders = [mutant.file]
        differs = False
        for file in holders:
            if file not in self._sound:
                self._sound[file] = self._assemble(file, {})
            made = self._assemble(file, {mutant.file: mutant.text})
            if made is None:
                return False
            differs = differs or made != self._sound[file]
        return differs

    def _assemble(self, file: str, changed: Mapping[str, str]) -> bytes | None:
        """Return an object without line information, None where the file does not assemble."""
        texts = {file: self._files[file], **changed}
        for path, text in texts.items():
            (self._directory / path).write_text(text)
        made = self._directory / "made.o"
        try:
            done = subprocess.run(
                ["nasm", "-f", "elf64", "-I", "asm/include/", "-o", made.name, file],
                cwd=self._directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                timeout=_SECONDS, check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise BuildError("nasm is not installed: ./build.sh installs it") from error
        finally:
            for path in changed:
                (self._directory / path).write_text(self._files[path])
        return made.read_bytes() if done.returncode == 0 else None
