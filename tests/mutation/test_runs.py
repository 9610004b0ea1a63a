"""Each file's mutants run with the options that reach its code."""

from .runs import STEPS, run_of
from .sampling import sources


def test_a_kernel_runs_under_its_own_instruction_set() -> None:
    assert run_of("asm/relu_avx2.asm").arguments[-2:] == ("--isa", "avx2")
    assert "--isa" not in run_of("asm/forward.asm").arguments


def test_every_file_has_a_run_with_phases_in_their_order() -> None:
    for file in sources():
        phases = run_of(file).phases
        assert phases
        assert list(phases) == [phase for phase in STEPS if phase in phases]


def test_a_file_behind_an_option_runs_with_that_option() -> None:
    assert "--momentum" in run_of("asm/sgd_momentum_sse2.asm").arguments
    assert "--no-fuse" in run_of("asm/dense_grad_weight_avx512.asm").arguments
    assert "--no-fuse" not in run_of("asm/dense_grad_weight_sgd_avx512.asm").arguments
