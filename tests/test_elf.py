"""Facts about an executable, and one line for a file that is none."""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from nndbg.elf import Executable, read_executable
from nndbg.errors import ExitCode, UsageError

LABELS = """\
; one function with a size, one label without, local labels, data.
        global  _start, second
        global  sized:function (sized.end - sized)
        global  array:data (array.end - array)
        section .text
_start:
        call    sized
.again: nop
        jmp     .again
sized:
.loop:  nop
        ret
.end:
second:
        nop
        ret
        section .data
array:  dd      1, 2, 3
.end:
alone:  dd      4
"""

PROBES = """\
; two probes of one name, one of another provider; the note in between is of another kind.
        global  _start
        section .text
_start: nop
one:    nop
two:    nop
three:  nop
        mov     eax, 60
        xor     edi, edi
        syscall

%macro note 4
        dd      8, %%end - %%begin, %1
        db      "stapsdt", 0
%%begin:
        dq      %2, 0, 0
        db      %3, 0, %4, 0, 0
%%end:  align   4, db 0
%endmacro
        section .note.stapsdt note align=4
        note    3, two, "nn", "dense"
        note    9, three, "nn", "other_kind"
        note    3, one, "nn", "dense"
        note    3, three, "app", "dense"
"""


@pytest.fixture(scope="module")
def labels(build) -> Executable:
    return read_executable(build("labels", LABELS))


@pytest.fixture(scope="module")
def probes(build) -> Executable:
    return read_executable(build("probes", PROBES))


# Symbols


def test_symbols_have_address_size_and_kind(labels: Executable):
    array, sized, alone = (labels.symbols[n] for n in ("array", "sized", "alone"))
    assert (array.size, array.is_code, array.is_global) == (12, False, True)
    assert (sized.size, sized.is_code, sized.is_global) == (2, True, True)
    assert (alone.size, alone.is_code, alone.is_global) == (4, False, False)
    assert alone.address == array.address + 12
    assert labels.symbols["_start"].address == labels.entry


def test_local_labels_are_symbols_too(labels: Executable):
    loop = labels.symbols["sized.loop"]
    assert (loop.address, loop.is_code) == (labels.symbols["sized"].address, True)


def test_symbols_are_those_that_nm_prints(program: Path):
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed")
    done = subprocess.run(["nm", program], capture_output=True, text=True, check=True, timeout=60)
    lines = [line.split() for line in done.stdout.splitlines()]
    theirs = {(n, int(a, 16)) for a, kind, n in (x for x in lines if len(x) == 3) if kind in "TDB"}
    ours = {(s.name, s.address) for s in read_executable(program).symbols.values()}
    assert theirs
    assert theirs <= ours


def test_a_global_symbol_hides_local_ones_of_its_name(build, tmp_path: Path):
    first = "static volatile int twin = 1, pair = 1; int first(void) { return twin + pair; }\n"
    second = first.replace("first", "second")
    third = "int twin = 3; int main(void) { return 0; }\n"
    (tmp_path / "second.c").write_text(second)
    (tmp_path / "third.c").write_text(third)
    others = (str(tmp_path / "second.c"), str(tmp_path / "third.c"))
    executable = read_executable(build("twins", first, *others))
    assert executable.symbols["twin"].is_global
    assert "twin" not in executable.ambiguous
    assert "pair" in executable.ambiguous


@pytest.mark.parametrize(("flag", "is_pie"), [("-pie", True), ("-no-pie", False)])
def test_it_is_told_whether_a_program_can_be_loaded_anywhere(build, flag: str, is_pie: bool):
    executable = read_executable(build("empty", "int main(void) { return 0; }\n", flag))
    assert executable.is_pie is is_pie
    assert executable.symbols["main"].is_code


def test_a_stripped_program_has_no_symbols(build, tmp_path: Path):
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", build("labels", LABELS), "-o", stripped], check=True, timeout=60)
    executable = read_executable(stripped)
    assert dict(executable.symbols) == {}
    assert executable.function_at(executable.entry) is None
    assert executable.line_at(executable.entry) is None


# Places


@pytest.mark.parametrize(
    ("symbol", "offset", "function"),
    [
        ("_start", 0, "_start"),
        ("_start.again", 1, "_start"),
        ("sized", 0, "sized"),
        ("sized.loop", 1, "sized"),
        ("second", 0, "second"),
        ("second", 1, "second"),
    ],
)
def test_an_address_is_in_the_function_that_began_last(
    labels: Executable, symbol: str, offset: int, function: str
):
    found = labels.function_at(labels.symbols[symbol].address + offset)
    assert found is not None
    assert found.name == function


def test_a_part_of_a_function_that_a_compiler_splits_off_is_a_function(build):
    source = """
    __attribute__((noinline)) int part(int n) __asm__("whole.part.0");
    int part(int n) { return n * 3; }
    int main(int argc, char **argv) { (void)argv; return part(argc) - 3; }
    """
    executable = read_executable(build("parts", source, "-O1"))
    found = executable.function_at(executable.symbols["whole.part.0"].address + 1)
    assert found is not None
    assert found.name == "whole.part.0"


def test_an_address_before_all_functions_is_in_none(labels: Executable):
    assert labels.function_at(labels.entry - 1) is None


def test_an_address_far_beyond_the_program_is_in_no_function_of_it(labels: Executable):
    assert labels.function_at(0x7FFF_0000_0000) is None


@pytest.mark.parametrize(
    ("symbol", "line"), [("_start", 7), ("_start.again", 8), ("sized", 11), ("second", 15)]
)
def test_an_instruction_has_a_line(labels: Executable, symbol: str, line: int):
    found = labels.line_at(labels.symbols[symbol].address)
    assert found is not None
    assert (Path(found.file).name, found.line) == ("labels.asm", line)
    assert str(found).endswith(f"labels.asm:{line}")


def test_an_instruction_has_the_line_of_its_first_byte(labels: Executable):
    found = labels.line_at(labels.entry + 1)
    assert found is not None
    assert found.line == 7


@pytest.mark.parametrize("offset", [-1, 0x10_0000])
def test_what_is_no_code_has_no_line(labels: Executable, offset: int):
    assert labels.line_at(labels.entry + offset) is None


def test_a_line_has_its_addresses(labels: Executable):
    assert labels.line_addresses("labels.asm", 11) == (labels.symbols["sized.loop"].address,)
    assert labels.line_addresses("labels.asm", 1) == ()
    assert labels.line_addresses("els.asm", 11) == ()
    assert labels.line_addresses("other/labels.asm", 11) == ()


def test_a_line_of_c_in_several_pieces_has_several_addresses(build):
    source = (
        "int g;\nint main(void) {\n  for (int i = 0; i < 3; i++)\n    g += i;\n  return 0;\n}\n"
    )
    executable = read_executable(build("loop", source, "-g", "-O0"))
    assert len(executable.line_addresses("loop.c", 3)) >= 2
    assert len(executable.line_addresses("loop.c", 4)) == 1


# Probes


def test_a_probe_has_all_its_sites_in_order(probes: Executable):
    sites = tuple(probes.symbols[name].address for name in ("one", "two"))
    assert probes.probe_addresses("nn", "dense") == sites


def test_a_probe_belongs_to_its_provider(probes: Executable):
    assert probes.probe_addresses("app", "dense") == (probes.symbols["three"].address,)
    assert probes.probe_addresses("zz", "dense") == ()


def test_a_probe_moves_along_when_the_linker_moved_its_base(build):
    # What prelink does: the note remembers 16 bytes less than where the section went.
    source = PROBES.replace("dq      %2, 0, 0", "dq      %2 - 16, base - 16, 0").replace(
        "        section .note.stapsdt",
        "        section .stapsdt.base progbits alloc noexec nowrite\nbase:   db 0\n"
        "        section .note.stapsdt",
    )
    executable = read_executable(build("moved", source))
    sites = tuple(executable.symbols[name].address for name in ("one", "two"))
    assert executable.probe_addresses("nn", "dense") == sites


def test_notes_of_another_kind_are_no_probes(probes: Executable):
    assert probes.probe_addresses("nn", "other_kind") == ()
    assert len(probes.probes) == 3


def test_a_program_without_probes_has_none(labels: Executable):
    assert labels.probes == ()


def test_the_trainer_s_probes_are_nops_of_its_code(program: Path):
    executable = read_executable(program)
    assert executable.probe_addresses("nn", "dense1")
    text = program.read_bytes()
    from elftools.elf.elffile import ELFFile

    with program.open("rb") as stream:
        offsets = [
            next(iter(ELFFile(stream).address_offsets(p.address)))
            for p in executable.probes
            if p.provider == "nn"
        ]
    assert {text[offset] for offset in offsets} == {0x90}


# Sections


def test_a_section_is_read_whole(program: Path, root: Path):
    inside = read_executable(program).section(".nndbg")
    assert inside is not None
    assert inside.decode().startswith("# The layer map of ./mnist")
    assert read_executable(program).section(".nothing") is None


# Files that are no programs


def header(kind: int = 2, machine: int = 62) -> bytes:
    """An ELF header of 64 bits and nothing after it."""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    return ident + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0)


UNREADABLE = {
    "nothing": (b"", "not an ELF executable"),
    "text": (b"#!/bin/sh\necho\n", "not an ELF executable"),
    "the magic number alone": (b"\x7fELF", "ELF"),
    "half a header": (header()[:30], "ELF"),
    "an object file": (header(kind=1), "an ELF file of type ET_REL, not an executable. Link it"),
    "a core": (header(kind=4), "an ELF file of type ET_CORE, not an executable"),
    "another machine": (
        header(machine=8),
        "built for EM_MIPS, and nndbg debugs x86-64 and AArch64",
    ),
    "another machine of 32 bits": (header(machine=3), "built for EM_386"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_is_no_program_is_refused_with_a_cure(case: str, tmp_path: Path):
    contents, says = UNREADABLE[case]
    path = tmp_path / "file"
    path.write_bytes(contents)
    with pytest.raises(UsageError) as error:
        read_executable(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert says in message
    assert "\n" not in message
    assert error.value.exit_code == ExitCode.USAGE


def test_a_program_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match=r"gone: no such program\. Build it with ./build\.sh"):
        read_executable(tmp_path / "gone")


def test_a_directory_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_executable(tmp_path)


def test_a_program_that_may_not_be_read_is_refused(tmp_path: Path):
    path = tmp_path / "secret"
    path.write_bytes(header())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root reads everything")
    with pytest.raises(UsageError, match="cannot be read: Permission denied"):
        read_executable(path)


def test_a_path_through_a_file_is_refused(program: Path):
    with pytest.raises(UsageError):
        read_executable(program / "deeper")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_program_cut_short_is_refused_or_read_but_no_surprise(program: Path, tmp_path, kept):
    whole = program.read_bytes()
    path = tmp_path / "short"
    path.write_bytes(whole[: int(len(whole) * kept)])
    try:
        read_executable(path)
    except UsageError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("section", [".debug_line", ".debug_abbrev", ".debug_info", ".symtab"])
def test_a_program_without_one_of_its_sections_is_refused_or_read(build, tmp_path, section: str):
    partial = tmp_path / "partial"
    subprocess.run(
        ["objcopy", "-R", section, build("labels", LABELS), partial], check=True, timeout=60
    )
    executable = read_executable(partial)
    try:
        assert executable.line_at(executable.entry) is None or "symtab" in section
    except UsageError as error:
        assert str(partial) in str(error)


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_program_is_refused_or_read_but_no_surprise(build, tmp_path, seed: int):
    # Stripped, so that the file is the same wherever it was built.
    rng = random.Random(seed)
    data = bytearray(build("stripped", PROBES, "-s").read_bytes())
    for _ in range(rng.choice([1, 4, 30])):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path = tmp_path / "damaged"
    path.write_bytes(data)
    try:
        executable = read_executable(path)
        executable.line_at(executable.entry)
        executable.section(".nndbg")
    except UsageError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("section", [".debug_line", ".debug_abbrev", ".debug_info"])
@pytest.mark.parametrize("seed", range(4))
def test_garbage_in_the_line_information_is_refused_or_read(build, tmp_path, section, seed: int):
    garbage, damaged = tmp_path / "garbage", tmp_path / "damaged"
    garbage.write_bytes(random.Random(seed).randbytes(200))
    subprocess.run(
        ["objcopy", "--update-section", f"{section}={garbage}", build("labels", LABELS), damaged],
        check=True,
        timeout=60,
    )
    executable = read_executable(damaged)
    try:
        executable.line_at(executable.entry)
    except UsageError as error:
        assert str(damaged) in str(error)
