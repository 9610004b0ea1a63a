"""Whole trials: each outcome is seen on a mutant that has it, and nndbg's word is recorded."""

import shutil

import pytest

from nndbg.dataset import Recipe, prepare

from .operators import Mutant, mutants
from .sampling import sources
from .trial import Outcome, Result, Stage, prepare_stage, record_of, result_of, try_mutant

pytestmark = [
    pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")
    for tool in ("nasm", "gcc", "gdb")
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    directory = tmp_path_factory.mktemp("stage")
    prepare(directory / "drawn", synthetic=True, recipe=Recipe(train=120, test=120))
    return prepare_stage(directory, directory / "drawn")


def the_mutant(file: str, operator: str, before: str, after: str) -> Mutant:
    """The only mutant that this is, or the first of equal ones."""
    found = mutants(file, sources()[file])
    return next(m for m in found if (m.operator, m.before, m.after) == (operator, before, after))


def tried(stage: Stage, *mutant: str) -> Result:
    result = try_mutant(the_mutant(*mutant), stage)
    assert result_of(record_of(result)) == result
    return result


def test_a_wrong_number_is_judged_and_found(stage: Stage) -> None:
    result = tried(
        stage, "asm/relu_sse2.asm", "opcode",
        "maxps largest, value", "minps largest, value",
    )  # fmt: skip
    assert (result.outcome, result.phase) == (Outcome.WRONG, "train")
    assert result.wrong == (0, "relu1")
    assert result.caught
    assert result.is_first_op_right


def test_a_crash_before_any_wrong_number_is_a_kill(stage: Stage) -> None:
    result = tried(stage, "asm/backprop.asm", "opcode", "lea rdi, [p]", "mov rdi, [p]")
    assert result.outcome is Outcome.KILLED
    assert result.killed == "by SIGSEGV"
    assert result.caught
    assert "SIGSEGV" in (result.told[0].error or "")


def test_the_same_bits_are_invisible_and_nndbg_is_silent(stage: Stage) -> None:
    result = tried(
        stage, "asm/sgd_sse2.asm", "swap",
        "add param, 4 * F32 / add grad, 4 * F32", "add grad, 4 * F32 / add param, 4 * F32",
    )  # fmt: skip
    assert result.outcome is Outcome.INVISIBLE
    assert not result.caught


def test_another_message_is_output_alone(stage: Stage) -> None:
    result = tried(
        stage, "asm/print.asm", "immediate",
        "mov esi, INPUTS", "mov esi, (INPUTS) + 1",
    )  # fmt: skip
    assert result.outcome is Outcome.OUTPUT
    assert not result.caught
