"""First maps: of the bundled trainer without its own, and of a program that somebody else wrote."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nndbg.elf import read_executable
from nndbg.errors import UsageError
from nndbg.guess import draft_map, gaps
from nndbg.layermap import load_map, parse_map, place_map
from tests.guess.programs import FLAGS, ONLINE


def said(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


@pytest.fixture(scope="module")
def drafted(program: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is guessed of the trainer when its own map is gone."""
    bare = tmp_path_factory.mktemp("guess") / "bare"
    subprocess.run(["objcopy", "-R", ".nndbg", program, bare], check=True, timeout=60)
    executable = read_executable(bare)
    text = draft_map(executable)
    place_map(parse_map(text, "draft.toml"), executable)
    return said(text)


@pytest.fixture(scope="module")
def own(root: Path) -> dict[str, Any]:
    """What the trainer's own map says."""
    return said((root / "asm" / "mnist.toml").read_text())


def test_the_trainer_s_layers_are_found_again(drafted, own):
    sizes = {"in": 784, "h1": 128, "h2": 64, "out": 10}
    assert {name: drafted["sizes"][name] for name in sizes} == sizes
    assert drafted["sizes"]["batch"] == own["sizes"]["batch"]


def test_every_buffer_that_is_guessed_is_as_the_trainer_s_own_map_has_it(drafted, own):
    known = {"learning_rate": own["buffers"]["lr"]}
    for name, buffer in drafted["buffers"].items():
        wanted = dict(known.get(name) or own["buffers"][name])
        wanted.pop("symbol", None)
        assert buffer == wanted, name
    layers = [n for n in own["buffers"] if n[-1:].isdigit() and not n.startswith("mask")]
    assert set(layers) <= drafted["buffers"].keys()


def test_every_op_that_is_guessed_is_one_of_the_trainer_s_own(drafted, own):
    train = {op["name"]: op for op in own["ops"] if "phase" not in op}
    names = {"lr": "learning_rate"}
    for op in drafted["ops"]:
        wanted = train[op["name"]]
        assert (op["kind"], op["done"]) == (wanted["kind"], wanted["done"])
        assert op["in"] == {part: names.get(b, b) for part, b in wanted["in"].items()}
        assert op["out"] == wanted["out"]
    forwards_and_back = {
        name
        for name, op in train.items()
        if not op["kind"].startswith(("gather", "dropout", "weight_decay", "dense_grad_weight_sgd"))
    }
    assert {op["name"] for op in drafted["ops"]} == forwards_and_back


@pytest.fixture(scope="module")
def foreign(build) -> Path:
    return build("foreign", ONLINE, *FLAGS)


def test_a_program_without_sizes_and_probes_is_read_from_its_calls(foreign: Path, tmp_path: Path):
    path = tmp_path / "foreign.toml"
    path.write_text(draft_map(read_executable(foreign)))
    draft = said(path.read_text())
    assert draft["program"]["step"] == "enter:train_sample"
    assert draft["phases"] == {"update": {"step": "enter:update"}}
    assert draft["sizes"] == {"in": 5, "h1": 4, "out": 3, "batch": 1}
    assert draft["buffers"]["target"] == {"dtype": "i32", "shape": ["batch"]}
    assert draft["buffers"]["dW2"]["shape"] == ["h1", "out"]
    ops = [(op["name"], op["kind"]) for op in draft["ops"]]
    assert ops == [
        ("dense1", "dense"),
        ("relu1", "relu"),
        ("dense2", "dense"),
        ("softmax", "softmax"),
        ("d2", "softmax_cross_entropy_grad"),
        ("dW2", "dense_grad_weight"),
        ("db2", "dense_grad_bias"),
        ("d1", "dense_grad_input + relu_grad"),
        ("dW1", "dense_grad_weight"),
        ("db1", "dense_grad_bias"),
        ("update_W1", "sgd"),
        ("update_b1", "sgd"),
        ("update_W2", "sgd"),
        ("update_b2", "sgd"),
    ]
    executable = read_executable(foreign)
    assert len({op["done"] for op in draft["ops"]}) == len(ops)
    for phase in ("train", "update"):
        assert load_map(executable, path, phase).layer_map.ops


def test_every_guess_gives_its_reason(foreign: Path):
    lines = draft_map(read_executable(foreign)).splitlines()
    guessed = [line for line in lines if line.startswith(("kind =", "done =", "W1 =", "in = 5"))]
    assert len(guessed) == 14 * 2 + 2
    assert all("  # guess: " in line for line in guessed)


STRUCT = r"""
struct layer { int in, out; float *W, *b, *z, *a; };
struct layer hidden, output;
float batch_x[8][6]; int batch_y[8]; double rate = 0.1;
__attribute__((noipa)) void forward(struct layer *l, const float *x) {
    l->z[0] = l->W[0] * x[0] + l->b[0];
}
__attribute__((noipa)) void relu(struct layer *l) { l->a[0] = l->z[0]; }
__attribute__((noipa)) void train(void) {
    forward(&hidden, &batch_x[0][0]);
    relu(&hidden);
    forward(&output, hidden.a);
    __asm__ volatile("");
}
int main(void) { train(); return 0; }
"""


def test_records_of_pointers_take_their_sizes_from_the_numbers_beside_them(build, tmp_path: Path):
    program = build("struct", STRUCT, "-g", "-O1", "-Wno-unused")
    path = tmp_path / "struct.toml"
    path.write_text(draft_map(read_executable(program)))
    draft = said(path.read_text())
    assert draft["sizes"]["in"] == {"symbol": "hidden.in", "dtype": "i32", "max": 6}
    assert draft["sizes"]["out"] == {"symbol": "output.out", "dtype": "i32"}
    assert draft["buffers"]["output_W"] == {
        "pointer": "output.W", "dtype": "f32", "shape": ["h1", "out"]
    }  # fmt: skip
    assert [op["name"] for op in draft["ops"]] == ["dense1", "relu1", "dense2"]
    assert [op["in"]["x"] for op in draft["ops"] if "x" in op["in"]] == ["batch_x", "hidden_a"]
    load_map(read_executable(program), path)


def test_a_program_whose_names_say_nothing_is_refused(build):
    program = build("mute", "int q[4]; int main(void) { return q[1]; }", "-O1")
    with pytest.raises(UsageError, match="no symbol and no variable of it is called like weights"):
        draft_map(read_executable(program))


def test_the_command_writes_a_map_that_fits_and_keeps_a_file_that_is_there(
    foreign: Path, tmp_path: Path
):
    def nndbg(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).with_name("nndbg"), "map", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    path = tmp_path / "map.toml"
    assert nndbg("init", foreign, "-o", path).returncode == 0
    again = nndbg("init", foreign, "-o", path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "there is a file already" in again.stderr
    checked = nndbg("check", foreign, "--map", path)
    assert checked.returncode == 0, checked.stderr
    first, *gaps = checked.stdout.splitlines()
    assert first.endswith("2 phases, 15 buffers, 14 ops")
    assert gaps[-1].endswith(
        "lines are marked as guesses: `nndbg map fit` tries them against a run"
    )


def test_what_a_map_leaves_out_is_told_the_most_important_first(root: Path):
    text = (root / "asm" / "mnist.toml").read_text()
    whole = parse_map(text, "mnist.toml")
    assert [*gaps(whole.phases, whole.buffers, text)] == []
    train = whole.phases["train"]
    forwards = replace(train, ops=train.ops[: [op.name for op in train.ops].index("loss") + 1])
    told = [*gaps({"train": forwards}, whole.buffers, text)]
    assert told[0].startswith("no op writes W1, b1, W2, b2, W3, b3: is the update missing")
    assert told[1].startswith("no op takes or makes ")
    assert "and 19 more" in told[1]
