"""The table counts what the results say, and lists what is not as it should be."""

from dataclasses import replace

from .table import markdown
from .trial import Outcome, Result, Said

HERE = ("asm/dense_sse2.asm", 7)
SAID = Said("train", True, (0, "dense1"), "z1", "diverged", "z1", (), None, (HERE,))
RIGHT = Result(
    key="0",
    file="asm/dense_sse2.asm",
    line=7,
    operator="opcode",
    before="mulps a, b",
    after="addps a, b",
    outcome=Outcome.WRONG,
    detail="z1: 9 of 9 elements",
    phase="train",
    wrong=(0, "dense1"),
    killed=None,
    told=(SAID,),
    seconds=1.0,
)
SILENT = replace(SAID, caught=False, first=None)


def section(text: str, title: str) -> str:
    return text.split(f"### {title}\n\n")[1].split("\n\n", maxsplit=1)[0]


def test_a_caught_mutant_counts_and_is_not_listed() -> None:
    text = markdown([RIGHT], 5)
    assert "`python -m tests.mutation --count 1 --seed 5`: 1 mutants of 1 files." in text
    assert "caught 1 (100.0 %), and it named the right op first for 1 (100.0 %)." in text
    assert "| a wrong number in a checked buffer | 1 | 1 |" in text
    assert "dense_sse2.asm:7" not in text


def test_a_miss_is_listed_with_what_changed() -> None:
    text = markdown([replace(RIGHT, told=(SILENT,)), RIGHT], 5)
    assert "caught 1 (50.0 %)" in text
    assert section(text, "Missed: a wrong number that nndbg does not report") == (
        "- asm/dense_sse2.asm:7 `mulps a, b` => `addps a, b`: "
        "judged train, step 0, dense1 (z1: 9 of 9 elements); nndbg: nothing"
    )


def test_another_first_op_is_listed() -> None:
    other = replace(RIGHT, told=(replace(SAID, first=(0, "relu1")),))
    assert "nndbg: step 0, relu1: z1 diverged z1" in section(
        markdown([other], 5), "Caught, with another first op"
    )


def test_culprits_count_where_an_instruction_was_changed() -> None:
    def accusing(*culprits: tuple[str, int], **changed: str) -> Result:
        return replace(RIGHT, told=(replace(SAID, culprits=culprits),), **changed)

    there = ("asm/exp.asm", 3)
    next_to_it = ("asm/dense_sse2.asm", 8)
    results = [
        accusing(HERE, there),
        accusing(there, HERE),
        accusing(there, next_to_it),
        accusing(next_to_it, operator="delete"),
        accusing(),
        accusing(there, operator="define"),
        accusing(there, file="asm/include/exit.inc"),
    ]
    text = markdown(results, 5)
    assert "In 5 of those that it caught an instruction was changed: the culprit is its" in text
    assert " line for 2 (40.0 %), and it is among the five for 3 (60.0 %)." in text
    listed = section(text, "Caught, and the changed line is no culprit").splitlines()
    assert [line.rsplit(": ", 1)[1] for line in listed] == [
        "asm/exp.asm:3, asm/dense_sse2.asm:8",
        "nobody is accused",
    ]


def test_a_word_where_no_output_is_wrong_is_listed() -> None:
    told = replace(RIGHT, outcome=Outcome.INVISIBLE, wrong=None, detail="")
    listed = section(markdown([told], 5), "Spoken of, though no output is wrong")
    assert listed.endswith("judged invisible; nndbg: train, step 0, dense1: z1 diverged z1")


def test_a_kill_that_nndbg_does_not_see_is_listed() -> None:
    killed = replace(RIGHT, outcome=Outcome.KILLED, wrong=None, killed="by SIGSEGV", told=(SILENT,))
    assert "by SIGSEGV" in section(markdown([killed], 5), "Killed, and nndbg says nothing")
