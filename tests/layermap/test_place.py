"""A map beside its program: all that it names is there and fits, or one line says what does not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nndbg.elf import Executable, read_executable
from nndbg.errors import MapError, UsageError
from nndbg.layermap import Place, PlacedMap, load_map, parse_map, place_map


@pytest.fixture(scope="session")
def executable(program: Path) -> Executable:
    return read_executable(program)


@pytest.fixture(scope="session")
def text(root: Path) -> str:
    return (root / "asm" / "mnist.toml").read_text()


def place(text: str, executable: Executable) -> PlacedMap:
    return place_map(parse_map(text, "mnist.toml"), executable)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_the_map_in_the_program_is_the_one_beside_its_source(executable, text):
    inside = load_map(executable).layer_map
    assert inside.origin == "mnist[.nndbg]"
    assert [op.name for op in inside.ops] == [op.name for op in parse_map(text, "t").ops]


def test_everything_that_the_map_names_has_its_address(executable):
    placed = load_map(executable)
    symbols = executable.symbols
    assert placed.places["W1"] == Place(symbols["W1"].address)
    assert placed.places["images"] == Place(symbols["train_images"].address, (0,))
    assert placed.counter == Place(symbols["step"].address)
    assert placed.seek_target == symbols["seek_step"].address
    assert placed.size_places == {
        "batch": Place(symbols["batch_rows"].address),
        "samples": Place(symbols["train_count"].address),
        "tests": Place(symbols["test_count"].address),
    }
    assert placed.step == executable.probe_addresses("nn", "step")
    assert placed.seek == executable.probe_addresses("nn", "seek")
    assert placed.done["dense1"] == executable.probe_addresses("nn", "dense1")
    assert set(placed.done) == {op.name for op in placed.layer_map.ops}
    assert all(placed.done.values())


def test_an_op_begins_where_the_map_says_and_nowhere_where_it_says_nothing(executable, text):
    placed = load_map(executable)
    assert placed.enter["dense1"] == executable.probe_addresses("nn", "enter_dense1")
    # No stop of its own: one op begins where another is complete.
    assert placed.enter["relu1"] == placed.done["dense1"]
    without = text.replace('enter = "probe:nn:enter_dense1"\n', "")
    assert "dense1" not in place(without, executable).enter


def test_a_beginning_that_is_not_there_is_refused(executable, text):
    wrong = text.replace('enter = "probe:nn:enter_dense1"', 'enter = "probe:nn:enter_dens1"')
    line = line_of(wrong, 'enter = "probe:nn:enter_dens1"')
    with pytest.raises(MapError) as error:
        place(wrong, executable)
    assert str(error.value) == (
        f"mnist.toml:{line}: probe:nn:enter_dens1: mnist has no probe nn:enter_dens1. "
        "Did you mean probe:nn:enter_dense1?"
    )


def test_an_op_that_begins_where_it_is_complete_is_refused(executable, text):
    wrong = text.replace('enter = "probe:nn:enter_dense1"', 'enter = "probe:nn:dense1"')
    line = line_of(wrong, 'done = "probe:nn:dense1"') - 1
    with pytest.raises(MapError, match=rf"^mnist\.toml:{line}: op dense1 begins at .* one place"):
        place(wrong, executable)


def test_every_op_of_the_trainer_says_where_it_begins(executable):
    for phase in load_map(executable).layer_map.phases:
        placed = load_map(executable, phase=phase)
        assert placed.enter.keys() == placed.done.keys()


def test_a_map_without_counter_and_seek_has_neither_place(executable, text):
    bare = "\n".join(
        line for line in text.splitlines() if not line.startswith(("counter", "seek "))
    )
    placed = place(bare, executable)
    assert (placed.counter, placed.seek_target, placed.seek) == (None, None, ())


@pytest.mark.parametrize(
    ("form", "symbol"), [("enter:train_step", "train_step"), ("enter:train.epoch", "train.epoch")]
)
def test_a_boundary_may_be_a_function_or_a_label(executable, text, form: str, symbol: str):
    placed = place(text.replace('"probe:nn:dense1"', f'"{form}"'), executable)
    assert placed.done["dense1"] == (executable.symbols[symbol].address,)


def test_a_boundary_may_be_an_address(executable, text):
    address = executable.symbols["train_step"].address
    placed = place(text.replace('"probe:nn:dense1"', f'"*{address:#x}"'), executable)
    assert placed.done["dense1"] == (address,)


@pytest.mark.parametrize("file", ["relu_sse2.asm", "asm/relu_sse2.asm"])
def test_a_boundary_may_be_a_line_of_source_by_any_tail_of_its_path(executable, text, file: str):
    code = executable.symbols["relu_sse2"].address
    line = executable.line_at(code)
    assert line is not None
    placed = place(text.replace('"probe:nn:relu1"', f'"{file}:{line.line}"'), executable)
    assert placed.done["relu1"] == (code,)


W1 = 'W1      = { dtype = "f32", shape = ["in", "h1"] }'
BATCH = 'batch   = { symbol = "batch_rows", dtype = "i64", max = 256 }'

# What is replaced, by what, and what the error says after the place.
MISPLACED = {
    "a symbol that does not exist": (
        W1,
        'W1      = { dtype = "f32", shape = ["in", "h1"], symbol = "W1_" }',
        "mnist has no symbol W1_. Did you mean W1?",
    ),
    "a symbol unlike all": (
        W1,
        'W1      = { dtype = "f32", shape = ["in", "h1"], symbol = "qqqqqqqqqqqqqqqq" }',
        "mnist has no symbol qqqqqqqqqqqqqqqq. Is the program stripped?",
    ),
    "a buffer too big for its symbol": (
        W1,
        'W1      = { dtype = "f32", shape = ["in", "h1"], symbol = "b1" }',
        "buffer W1 is [784, 128] f32, 401408 bytes, but its symbol holds 512. "
        "Correct the shape here or the reservation of b1 in the program.",
    ),
    "a buffer of four bytes too many": (
        'lr           = { symbol = "learning_rate", dtype = "f32"',
        'lr           = { symbol = "learning_rate", dtype = "f64"',
        "buffer lr is [] f64, 8 bytes, but its symbol holds 4.",
    ),
    "a buffer of a wider dtype": (
        W1,
        'W1      = { dtype = "f64", shape = ["in", "h1"] }',
        "buffer W1 is [784, 128] f64, 802816 bytes, but its symbol holds 401408.",
    ),
    "a batch of more than is reserved": (
        BATCH,
        BATCH.replace("max = 256", "max = 257"),
        "buffer x is [257, 784] f32, 805952 bytes, but its symbol holds 802816.",
    ),
    "a buffer that is code": (
        W1,
        'W1      = { dtype = "f32", shape = ["in", "h1"], symbol = "train_step" }',
        "train_step is code at 0x",
    ),
    "a size without max for a buffer at a symbol": (
        BATCH,
        'batch   = { symbol = "batch_rows", dtype = "i64" }',
        "has the size batch, which is read from the program and has no max. State its max.",
    ),
    "a size at a symbol that is too small": (
        BATCH,
        BATCH.replace("batch_rows", "loss"),
        "loss is read as i64, 8 bytes, but its symbol holds 4. Correct the dtype or the symbol.",
    ),
    "a size at no symbol": (
        BATCH,
        BATCH.replace("batch_rows", "batch_row"),
        "mnist has no symbol batch_row. Did you mean batch_rows?",
    ),
    "a pointer at no symbol": (
        'pointer = "train_images"',
        'pointer = "train_image"',
        "mnist has no symbol train_image. Did you mean train_images?",
    ),
    "a pointer at a symbol that is too small": (
        'pointer = "train_images"',
        'pointer = "loss"',
        "loss is read as u64, 8 bytes, but its symbol holds 4.",
    ),
    "a counter at no symbol": (
        'counter = "step"',
        'counter = "stepp"',
        "mnist has no symbol stepp. Did you mean ",
    ),
    "a seek target at no symbol": (
        'target = "seek_step"',
        'target = "seek_stepp"',
        "mnist has no symbol seek_stepp. Did you mean seek_step?",
    ),
    "a seek boundary that is no probe": (
        'boundary = "probe:nn:seek"',
        'boundary = "probe:nn:sek"',
        "probe:nn:sek: mnist has no probe nn:sek. Did you mean probe:nn:",
    ),
    "a step that is no probe": (
        'step    = "probe:nn:step"',
        'step    = "probe:nn:stp"',
        "probe:nn:stp: mnist has no probe nn:stp. Did you mean probe:nn:step?",
    ),
    "an op at a probe that is not there": (
        '"probe:nn:dense1"',
        '"probe:nn:dense"',
        "probe:nn:dense: mnist has no probe nn:dense. Did you mean probe:nn:dense",
    ),
    "a probe of another provider": (
        '"probe:nn:dense1"',
        '"probe:zz:qqqqqqqqqqqq"',
        "probe:zz:qqqqqqqqqqqq: mnist has no probe zz:qqqqqqqqqqqq.",
    ),
    "a function that is not there": (
        '"probe:nn:dense1"',
        '"enter:train_stepp"',
        "mnist has no symbol train_stepp. Did you mean train_step?",
    ),
    "a function that is data": (
        '"probe:nn:dense1"',
        '"enter:W1"',
        "enter:W1: mnist has no code at W1, which is data.",
    ),
    "a line beyond the file": (
        '"probe:nn:dense1"',
        '"relu.asm:9999"',
        "relu.asm:9999: mnist has no code for relu.asm:9999 in its line information.",
    ),
    "a line that is a comment": (
        '"probe:nn:dense1"',
        '"relu.asm:1"',
        "mnist has no code for relu.asm:1 in its line information.",
    ),
    "a file that is not in the program": (
        '"probe:nn:dense1"',
        '"nothing.asm:1"',
        "mnist has no code for nothing.asm:1 in its line information.",
    ),
    "half a file name": (
        '"probe:nn:dense1"',
        '"elu.asm:30"',
        "mnist has no code for elu.asm:30 in its line information.",
    ),
    "an address without code": (
        '"probe:nn:dense1"',
        '"*0x10"',
        "*0x10: mnist has no code at 0x10",
    ),
}


@pytest.mark.parametrize("case", MISPLACED)
def test_what_does_not_fit_is_refused_with_its_line_and_the_cure(case: str, executable, text):
    old, new, says = MISPLACED[case]
    assert old in text
    wrong = text.replace(old, new, 1)
    with pytest.raises(MapError) as error:
        place(wrong, executable)
    message = str(error.value)
    assert says in message
    at = line_of(wrong, new) if "no max" not in says and "max = 257" not in new else None
    if at is not None:
        assert message.startswith(f"mnist.toml:{at}: "), message
    assert "\n" not in message


def test_a_symbol_that_several_files_have_for_themselves_is_refused(tmp_path: Path):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    for name in ("one", "two"):
        (tmp_path / f"{name}.c").write_text(
            f"static volatile float weights[4]; float {name}(void) {{ return weights[0]; }}\n"
        )
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    program = tmp_path / "twice"
    subprocess.run(["gcc", "-o", program, *sorted(tmp_path.glob("*.c"))], check=True, timeout=60)
    text = """\
[program]
name = "twice"
step = "enter:main"
[buffers]
w = { dtype = "f32", shape = [4], symbol = "weights" }
h = { dtype = "f32", shape = [4], symbol = "weights" }
[[ops]]
name = "relu"
kind = "relu"
in = { z = "w" }
out = "h"
done = "enter:one"
"""
    with pytest.raises(MapError) as error:
        place(text, read_executable(program))
    assert str(error.value) == (
        "mnist.toml:5: twice has several local symbols weights. "
        "Make the one that is meant global, or name an address."
    )


# Where a map comes from


def test_a_map_may_be_a_file(executable, text, tmp_path: Path):
    path = tmp_path / "map.toml"
    path.write_text(text)
    assert load_map(executable, path).layer_map.origin == str(path)


def test_a_program_without_a_map_needs_one(program: Path, tmp_path: Path):
    bare = tmp_path / "bare"
    subprocess.run(["objcopy", "-R", ".nndbg", program, bare], check=True, timeout=60)
    with pytest.raises(UsageError) as error:
        load_map(read_executable(bare))
    assert "bare: no layer map inside (section .nndbg)" in str(error.value)
    assert "--map FILE" in str(error.value)


def test_a_map_that_is_padded_with_zeros_is_read(program: Path, text, tmp_path: Path):
    padded, copy = tmp_path / "padded.toml", tmp_path / "copy"
    padded.write_bytes(text.encode() + b"\0" * 7)
    subprocess.run(
        ["objcopy", "--update-section", f".nndbg={padded}", program, copy], check=True, timeout=60
    )
    assert load_map(read_executable(copy)).layer_map.name == "mnist"


def test_a_map_that_cannot_be_read_is_refused(executable, tmp_path: Path):
    with pytest.raises(UsageError, match=r"gone.toml: the layer map cannot be read: No such file"):
        load_map(executable, tmp_path / "gone.toml")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        load_map(executable, tmp_path)


def test_a_map_that_is_no_text_is_refused(executable, tmp_path: Path):
    path = tmp_path / "map.toml"
    path.write_bytes(b"name = \xff\xfe")
    with pytest.raises(MapError, match=r"map.toml:1: not UTF-8 text"):
        load_map(executable, path)


def test_a_map_of_megabytes_is_refused(executable, tmp_path: Path):
    path = tmp_path / "map.toml"
    path.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(UsageError, match="over 1 MiB"):
        load_map(executable, path)


# Programs in C, whose debug information knows more than their symbols

C_PROGRAM = """
struct layer { int n; double *W; float bias[3]; };
struct net { struct layer first; struct net *next; };
struct net net;
long seek_step;
int main(void) { return 0; }
"""
C_MAP = """
[program]
name = "c"
step = "enter:main"

[sizes]
n = { symbol = "net.first.n", dtype = "i32", max = 4 }

[buffers]
W = { pointer = "net.next->first.W", dtype = "f64", shape = ["n"] }
b = { symbol = "net.first.bias", dtype = "f32", shape = [3] }

[[ops]]
name = "relu"
kind = "relu"
in   = "b"
out  = "b"
done = "enter:main"
"""


SEEK_BEHIND_A_POINTER = """step = "enter:main"
counter = "seek_step"
seek = { boundary = "enter:main", target = "net.next->first.W" }"""


@pytest.fixture(scope="module")
def c_program(tmp_path_factory: pytest.TempPathFactory) -> Executable:
    directory = tmp_path_factory.mktemp("c")
    (directory / "net.c").write_text(C_PROGRAM)
    command = ["gcc", "-g", "-no-pie", "-o", str(directory / "net"), str(directory / "net.c")]
    subprocess.run(command, check=True, timeout=60)
    return read_executable(directory / "net")


def test_members_and_what_pointers_lead_to_have_their_places(c_program):
    placed = place_map(parse_map(C_MAP, "t"), c_program)
    net = c_program.symbols["net"].address
    assert placed.size_places["n"] == Place(net)
    assert placed.places["b"] == Place(net + 16)
    assert placed.places["W"] == Place(net + 32, (8, 0))
    assert str(placed.places["W"]) == f"{net + 32:#x} -> +8 -> +0"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "net.first.bias",
            "net.first.biases",
            "has no member biases: it has n, W, bias",
        ),
        ('"net.next->first.W", dtype = "f64"', '"net.next->first.W", dtype = "f32"', "f64 by the"),
        ("shape = [3]", "shape = [4]", "16 bytes, but its symbol holds 12"),
        ('step = "enter:main"', SEEK_BEHIND_A_POINTER, "lies behind a pointer"),
    ],
)
def test_what_does_not_fit_the_debug_information_is_refused(c_program, old, new, says):
    with pytest.raises(MapError, match=says):
        place_map(parse_map(C_MAP.replace(old, new), "t"), c_program)
