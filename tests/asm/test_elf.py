"""The executable describes itself: probes, sized symbols, the layer map, lines of source."""

import itertools
import re
import struct
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

BYTES = {"u8": 1, "f32": 4, "u32": 4, "i64": 8, "u64": 8}
# Variables of the program by which a step has an op or not, and what they are without options.
SWITCHES = {"update_rule": 0, "dropout_on": 0, "decay_on": 0}


@pytest.fixture(scope="module")
def elf(program: Path):
    with program.open("rb") as stream:
        yield ELFFile(stream)


@pytest.fixture(scope="module")
def symbols(elf):
    table = elf.get_section_by_name(".symtab")
    assert isinstance(table, SymbolTableSection)
    return {symbol.name: symbol.entry for symbol in table.iter_symbols() if symbol.name}


@pytest.fixture(scope="module")
def layer_map(root: Path):
    return tomllib.loads((root / "asm" / "mnist.toml").read_text())


@pytest.fixture(scope="module")
def probes(elf) -> dict[str, int]:
    """Name and address of every probe of the provider nn, read from the notes alone."""
    found = {}
    section = elf.get_section_by_name(".note.stapsdt").data()
    while section:
        owner, length, kind = struct.unpack_from("<3I", section)
        assert (owner, kind, section[12:20]) == (8, 3, b"stapsdt\0")
        desc = section[20 : 20 + length]
        section = section[20 + (length + 3) // 4 * 4 :]
        pc, base, semaphore = struct.unpack_from("<3Q", desc)
        provider, name, arguments, rest = desc[24:].split(b"\0")
        assert provider == b"nn"
        assert (semaphore, arguments, rest) == (0, b"", b"")
        assert base == elf.get_section_by_name(".stapsdt.base")["sh_addr"]
        assert name.decode() not in found
        found[name.decode()] = pc
    return found


def test_the_embedded_map_is_the_file(elf, root: Path):
    section = elf.get_section_by_name(".nndbg")
    assert section.data() == (root / "asm" / "mnist.toml").read_bytes()
    assert section["sh_flags"] & 2 == 0, "it must not be loaded"


def test_there_is_a_probe_for_every_op_and_for_nothing_else(probes, layer_map):
    phases = [layer_map["program"], *layer_map["phases"].values()]
    boundaries = {op[end] for op in layer_map["ops"] for end in ("enter", "done")}
    boundaries |= {phase["step"] for phase in phases}
    boundaries |= {phase["seek"]["boundary"] for phase in phases if "seek" in phase}
    assert {f"probe:nn:{name}" for name in probes} == boundaries


def test_a_training_op_is_called_as_its_probe(layer_map):
    for op in layer_map["ops"]:
        if "phase" not in op:
            assert op["done"] == f"probe:nn:{op['name']}"


def test_every_probe_is_a_nop(elf, probes):
    text = elf.get_section_by_name(".text")
    for name, address in probes.items():
        assert text.data()[address - text["sh_addr"]] == 0x90, name


def test_every_buffer_has_the_size_that_the_map_says(symbols, layer_map):
    sizes = {
        name: size if isinstance(size, int) else size["max"]
        for name, size in layer_map["sizes"].items()
    }
    for name, buffer in layer_map["buffers"].items():
        if "pointer" in buffer:
            assert symbols[buffer["pointer"]]["st_size"] == 8
            continue
        symbol = symbols[buffer.get("symbol", name)]
        count = int(np.prod([sizes[extent] for extent in buffer["shape"]], dtype=int))
        assert symbol["st_size"] == count * BYTES[buffer["dtype"]], name
        if buffer["shape"]:
            assert symbol["st_value"] % 64 == 0, name


def test_no_two_buffers_touch(symbols, layer_map):
    spans = sorted(
        (symbols[name]["st_value"], symbols[name]["st_size"])
        for name, buffer in layer_map["buffers"].items()
        if not {"pointer", "symbol"} & buffer.keys()
    )
    for (address, size), (following, _) in itertools.pairwise(spans):
        assert address + size + 64 <= following


def test_every_global_symbol_of_the_sources_is_typed_and_sized(symbols, root: Path):
    names = set()
    for source in (root / "asm").glob("*.asm"):
        names |= set(re.findall(r"^    global  ([\w.]+):", source.read_text(), flags=re.MULTILINE))
    assert len(names) > 50
    for name in names:
        assert symbols[name]["st_info"]["type"] in ("STT_FUNC", "STT_OBJECT"), name
        assert symbols[name]["st_size"] > 0, name


def test_variables_that_a_debugger_needs_are_there(symbols):
    sizes = {
        "step": 8,
        "seek_step": 8,
        "batch_rows": 8,
        "batch_order": 8,
        "train_count": 8,
        "train_images": 8,
        "train_labels": 8,
        "update_rule": 8,
        "decay_on": 8,
        "dropout_on": 8,
        "init_scheme": 8,
        "shuffle_on": 8,
        "test_steps": 8,
        "learning_rate": 4,
        "loss": 4,
        "y": 256,
    }
    assert {name: symbols[name]["st_size"] for name in sizes} == sizes


def test_it_is_static_not_relocated_and_small(elf, program: Path):
    assert elf["e_type"] == "ET_EXEC"
    kinds = {segment["p_type"] for segment in elf.iter_segments()}
    assert not kinds & {"PT_INTERP", "PT_DYNAMIC"}
    assert program.stat().st_size < 1_000_000


def test_the_stack_is_not_executable(elf):
    (stack,) = [s for s in elf.iter_segments() if s["p_type"] == "PT_GNU_STACK"]
    assert stack["p_flags"] & 1 == 0


def test_every_instruction_of_ours_has_a_line_of_source(elf, probes):
    files, lines = set(), {}
    for unit in elf.get_dwarf_info().iter_CUs():
        program = elf.get_dwarf_info().line_program_for_CU(unit)
        names = [entry.name.decode() for entry in program["file_entry"]]
        for entry in program.get_entries():
            if entry.state and not entry.state.end_sequence:
                name = names[entry.state.file - 1]
                files.add(name)
                lines[entry.state.address] = (name, entry.state.line)
    assert "asm/_start.asm" in files
    assert all(name.startswith("asm/") for name in files)
    for name, address in probes.items():
        file, line = lines[address]
        source = (Path(__file__).parents[2] / file).read_text().splitlines()[line - 1]
        assert source.split() == ["PROBE", name]


def debug(gdb: str, program: Path, commands: list[str], *args: str | Path) -> str:
    options = [word for command in commands for word in ("-ex", command)]
    result = subprocess.run(
        [gdb, "--nx", "--batch", *options, "--args", program, *args],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return result.stdout


def test_gdb_lists_the_probes(gdb: str, program: Path, probes):
    listed = dict(
        re.findall(r"^stap +nn +(\w+) +(0x\w+)", debug(gdb, program, ["info probes stap"]), re.M)
    )
    assert {name: int(address, 0) for name, address in listed.items()} == probes


def has_op(op: dict, switches: dict[str, int]) -> bool:
    """Whether a training step has the op, when the program's variables say so."""
    if "phase" in op or "when" not in op:
        return "phase" not in op
    wanted = op["when"]["is"]
    return switches[op["when"]["symbol"]] in (wanted if isinstance(wanted, list) else [wanted])


@pytest.mark.parametrize(
    ("options", "switches"),
    [
        ([], {}),
        (["--no-fuse"], {"update_rule": 1}),
        (["--momentum", "0.9"], {"update_rule": 2}),
        (["--weight-decay", "1e-4"], {"update_rule": 1, "decay_on": 1}),
        (["--dropout", "0.2"], {"dropout_on": 1}),
    ],
    ids=str,
)
def test_a_step_passes_its_probes_in_the_order_of_the_map(
    gdb: str, program, tiny, layer_map, options: list[str], switches: dict[str, int]
):
    names = [op["name"] for op in layer_map["ops"] if has_op(op, SWITCHES | switches)]
    assert len(names) < len(layer_map["ops"])
    breaks = [f"break -probe-stap nn:{name}" for name in ["step", *names]]
    stops = len(names) + 1
    output = debug(
        gdb,
        program,
        [*breaks, "run", *["continue"] * stops, "print *(long *) &step"],
        "--data",
        tiny,
        *options,
    )
    passed = [int(number) for number in re.findall(r"^Breakpoint (\d+), ", output, re.M)]
    assert passed == [*range(1, stops + 1), 1]
    assert "$1 = 1\n" in output


def test_a_step_that_is_sought_is_one_stop_away(gdb: str, program: Path, tiny: Path):
    commands = [
        "break main",
        "run",
        "print *(long *) &seek_step",
        "set var *(long *) &seek_step = 5",
        "break -probe-stap nn:seek",
        "continue",
        "print *(long *) &step",
        "print *(long *) &batch_rows",
        "break -probe-stap nn:step",
        "continue",
        "continue",
        "print *(long *) &step",
    ]
    output = debug(gdb, program, commands, "--data", tiny)
    assert re.findall(r"^\$\d = (-?\d+)", output, re.M) == ["-1", "5", "22", "6"]
    assert re.findall(r"^Breakpoint (\d), ", output, re.M) == ["1", "2", "3", "3"]


def test_subnormal_numbers_count_as_zero(gdb: str, program: Path, tiny: Path):
    commands = ["break -probe-stap nn:step", "run", "print/x $mxcsr & 0x8040"]
    assert "$1 = 0x8040\n" in debug(gdb, program, commands, "--data", tiny)
