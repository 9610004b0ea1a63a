"""The command line: what it takes, and one line with exit code 2 for what it does not."""

import re
import subprocess
from pathlib import Path

import pytest

from .conftest import Run

DEFAULTS = {
    "data": "dataset",
    "epochs": "10",
    "batch": "64",
    "seed": "42",
    "lr": "0.01",
    "momentum": "0",
    "weight-decay": "0",
    "dropout": "0",
    "init": "glorot",
    "train-limit": "all",
    "test-limit": "all",
    "isa": "auto",
    "metrics-every": "100",
}
WITHOUT_DEFAULT = ["load", "save", "metrics", "no-shuffle", "no-fuse", "help"]


def test_help_names_every_option_with_its_default(run: Run):
    result = run("--help")
    assert result.returncode == 0
    assert result.stderr == ""
    for name, default in DEFAULTS.items():
        assert re.search(rf"^  --{name} .*\({default}\)$", result.stdout, flags=re.MULTILINE)
    for name in WITHOUT_DEFAULT:
        assert re.search(rf"^  --{name} ", result.stdout, flags=re.MULTILINE)


def test_help_shows_the_defaults_whatever_was_typed_before(run: Run):
    assert run("--epochs", "3", "--lr=1", "--help").stdout == run("--help").stdout


@pytest.mark.parametrize("form", ["{} {}", "{}={}"])
def test_both_ways_to_write_a_value_are_understood(run: Run, tiny: Path, form: str):
    pairs = {"--data": tiny, "--epochs": 2, "--seed": 9, "--lr": "2.5e-2", "--train-limit": 64}
    args = " ".join(form.format(name, value) for name, value in pairs.items()).split(" ")
    result = run(*args, "--no-shuffle")
    assert result.returncode == 0, result.stderr
    assert "training  2 epochs, batch 64, learning rate 0.025\n" in result.stdout
    assert "random    seed 9, in the order of the file\n" in result.stdout
    assert "64 training and 70 test samples" in result.stdout


def test_the_last_of_two_wins(run: Run, tiny: Path):
    result = run(
        "--data", tiny, "--epochs", "7", "--epochs=1", "--train-limit=5", "--train-limit", "all"
    )
    assert "training  1 epochs" in result.stdout
    assert "150 training" in result.stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--bogus"], "unknown option '--bogus'"),
        (["--epoch", "3"], "unknown option '--epoch'"),
        (["--epochsx=3"], "unknown option"),
        (["--"], "unknown option"),
        (["--=3"], "unknown option"),
        (["-h"], "unexpected argument '-h'"),
        (["dataset"], "unexpected argument 'dataset'"),
        ([""], "unexpected argument ''"),
        (["-"], "unexpected argument '-'"),
        (["--epochs"], "--epochs needs a value"),
        (["--data"], "--data needs a value"),
        (["--lr", "--epochs", "3"], "--lr needs a value"),
        (["--data="], "--data: wanted DIR"),
        (["--data", ""], "--data: wanted DIR"),
        (["--no-shuffle=yes"], "takes no value"),
        (["--help="], "takes no value"),
        (["--epochs", "0"], "from 1 to"),
        (["--epochs", "100001"], "from 1 to"),
        (["--epochs", "-1"], "whole number"),
        (["--epochs", "+1"], "whole number"),
        (["--epochs", " 1"], "whole number"),
        (["--epochs", "1 "], "whole number"),
        (["--epochs", "1.5"], "whole number"),
        (["--epochs", "ten"], "whole number"),
        (["--epochs", ""], "whole number"),
        (["--epochs="], "whole number"),
        (["--epochs", "18446744073709551617"], "whole number"),
        (["--epochs", "9" * 5000], "whole number"),
        (["--seed", "18446744073709551616"], "to 18446744073709551615"),
        (["--seed", "0x10"], "whole number"),
        (["--train-limit", "0"], "from 1 to"),
        (["--test-limit", "4294967296"], "from 1 to"),
        (["--train-limit", "All"], "whole number"),
        (["--lr", "0"], "from 1e-06 to 10"),
        (["--lr", "-0.01"], "wanted a number"),
        (["--lr", "10.5"], "wanted a number"),
        (["--lr", "nan"], "wanted a number"),
        (["--lr", "inf"], "wanted a number"),
        (["--lr", "1e999"], "wanted a number"),
        (["--lr", "1e-999"], "wanted a number"),
        (["--lr", "0x1p-4"], "wanted a number"),
        (["--lr", "0.01x"], "wanted a number"),
        (["--lr", "1..2"], "wanted a number"),
        (["--lr", "."], "wanted a number"),
        (["--lr", ""], "wanted a number"),
        (["--lr", "1,5"], "wanted a number"),
        (["--momentum", "1"], "from 0 to less than 1"),
        (["--momentum", "0.99999999999"], "from 0 to less than 1"),
        (["--momentum", "-0.1"], "from 0 to less than 1"),
        (["--momentum", "nan"], "from 0 to less than 1"),
        (["--dropout", "1.0"], "from 0 to less than 1"),
        (["--dropout", "1e9999"], "from 0 to less than 1"),
        (["--dropout", "20%"], "from 0 to less than 1"),
        (["--dropout", ""], "from 0 to less than 1"),
        (["--weight-decay", "-1e-4"], "from 0 to 10"),
        (["--weight-decay", "11"], "from 0 to 10"),
        (["--weight-decay", "inf"], "from 0 to 10"),
        (["--batch", "0"], "from 1 to 256"),
        (["--batch", "257"], "from 1 to 256"),
        (["--batch", "64.0"], "whole number"),
        (["--batch", "all"], "whole number"),
        (["--init", "Glorot"], "--init 'Glorot': wanted glorot|he"),
        (["--init", ""], "wanted glorot|he"),
        (["--init=glorot|he"], "wanted glorot|he"),
        (["--save"], "--save needs a value"),
        (["--load="], "--load: wanted FILE"),
        (["--metrics", ""], "--metrics: wanted FILE"),
        (["--metrics-every", "0"], "from 1 to"),
        (["--isa", "mmx"], "--isa 'mmx': wanted auto, sse2, avx2 or avx512"),
        (["--isa", "AVX2"], "wanted auto, sse2, avx2 or avx512"),
        (["--isa="], "--isa: wanted ISA"),
        (["--no-fuse=1"], "takes no value"),
        (["--bo\ngus"], "unknown option '--bo?gus'"),
        (["--epochs", "%n%s%n"], "whole number"),
    ],
    ids=repr,
)
def test_what_is_no_option_is_one_clear_line(run: Run, args: list[str], says: str):
    result = run(*args)
    assert result.returncode == 2, result
    assert result.stdout == ""
    assert result.stderr.startswith("mnist: ")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_kernels_in_use_are_named(run: Run, tiny: Path):
    result = run("--data", tiny, "--epochs", "1", "--isa", "sse2")
    assert result.returncode == 0, result.stderr
    assert "kernels   SSE2\n" in result.stdout


def test_an_instruction_set_that_the_processor_lacks_is_one_clear_line(gdb: str, program: Path):
    returns = ["set $rax = $best", "set $rip = *(long *) $rsp", "set $rsp = $rsp + 8"]
    for best, asked, says in ((0, "avx2", "AVX2 and FMA"), (1, "avx512", "AVX-512")):
        commands = ["break *&cpu_isa", "run", f"set $best = {best}", *returns, "continue"]
        options = [word for command in commands for word in ("-ex", command)]
        result = subprocess.run(
            [gdb, "--nx", "--batch", *options, "--args", program, "--isa", asked],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        line = f"mnist: --isa {asked}: this machine has no {says}, the best here is --isa "
        assert line + ("sse2", "avx2")[best] in result.stderr
        assert "exited with code 02" in result.stdout
