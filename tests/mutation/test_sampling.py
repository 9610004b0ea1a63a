"""A sample is the same for the same seed, spread over files and operators, and assembles."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from .operators import Mutant
from .sampling import Assembler, sample, sources

pytestmark = pytest.mark.skipif(shutil.which("nasm") is None, reason="nasm is not installed")

FILES = ("asm/relu_avx2.asm", "asm/sgd_sse2.asm", "asm/include/network.inc")


def draw(directory: Path, seed: int, count: int) -> list[Mutant]:
    files = {file: text for file, text in sources().items() if file in FILES}
    return list(sample(files, seed, count, Assembler(files, directory / f"{seed}-{count}")))


def test_a_smaller_sample_begins_a_larger_one_of_the_same_seed(tmp_path: Path) -> None:
    large = [m.key for m in draw(tmp_path, 3, 24)]
    assert [m.key for m in draw(tmp_path, 3, 12)] == large[:12]
    assert [m.key for m in draw(tmp_path, 4, 12)] != large[:12]


def test_a_sample_has_as_many_mutants_of_each_file(tmp_path: Path) -> None:
    drawn = draw(tmp_path, 3, 24)
    assert Counter(m.file for m in drawn) == dict.fromkeys(FILES, 8)
    assert len({m.operator for m in drawn}) >= 8


def test_only_other_code_that_assembles_is_a_mutant(tmp_path: Path) -> None:
    file = "asm/sgd_sse2.asm"
    text = sources()[file]
    assembler = Assembler({file: text}, tmp_path / "assembled")

    def mutant(after: str) -> Mutant:
        line = text.splitlines().index("    shufps  rate, rate, 0") + 1
        return Mutant(file, line, "opcode", ("    shufps  rate, rate, 0",), (after,), text)

    assert assembler.makes_other_code(mutant("    shufps  rate, rate, 1"))
    assert not assembler.makes_other_code(mutant("    shufps  xmm0, xmm0, 0"))
    assert not assembler.makes_other_code(mutant("    shufps  rate, 0, rate"))


def test_the_boundaries_are_not_mutated() -> None:
    assert "asm/include/probe.inc" not in sources()
    assert "asm/forward.asm" in sources()
