"""Instructions are told with the program's names for the addresses in them."""

from pathlib import Path
from subprocess import run

import pytest

from nndbg.culprit.model import with_names
from nndbg.elf import Executable, read_executable

PROGRAM = """
    global  _start
    global  weights:data (weights.end - weights)
    section .bss
weights:
    resb    64
.end:
    section .text
_start:
    call    work
    mov     eax, 60
    xor     edi, edi
    syscall
work:
    ret
"""


@pytest.fixture(scope="module")
def executable(tmp_path_factory) -> Executable:
    directory: Path = tmp_path_factory.mktemp("names")
    (directory / "p.asm").write_text(PROGRAM)
    run(["nasm", "-f", "elf64", "p.asm"], cwd=directory, check=True)
    run(["gcc", "-nostdlib", "-static", "-no-pie", "-o", "p", "p.o"], cwd=directory, check=True)
    return read_executable(directory / "p")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lea rdx, [rel {weights:#x}]", "lea rdx, [rel weights]"),
        ("movss xmm0, [rel {weights:#x}]", "movss xmm0, [rel weights]"),
        ("with call {work:#x} before it", "with call work before it"),
        ("jne 0x10", "jne 0x10"),
        ("add rax, {weights:#x}", "add rax, {weights:#x}"),
    ],
)
def test_addresses_are_told_by_their_names(executable: Executable, text: str, told: str):
    places = {name: executable.symbols[name].address for name in ("weights", "work")}
    assert with_names(text.format(**places), executable) == told.format(**places)


def test_what_lies_within_a_symbol_is_told_by_how_far(executable: Executable):
    inside = executable.symbols["weights"].address + 16
    assert with_names(f"lea rdi, [rel {inside:#x}]", executable) == "lea rdi, [rel weights+0x10]"
