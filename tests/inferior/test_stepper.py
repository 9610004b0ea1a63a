"""A program run instruction by instruction, taken over from GDB."""

from __future__ import annotations

import signal
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from nndbg.elf import read_executable
from nndbg.inferior.process import Inferior
from nndbg.inferior.stepper import Look, follow

LOOP = """\
; a loop of three turns
    global _start
    section .text
_start:
    nop
begin:
    mov ecx, 3
    xor eax, eax
again:
    add eax, 2
    dec ecx
    jnz again
end:
    mov eax, 60
    xor edi, edi
    syscall
"""
FLAGS = Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0].split()
VECTORS = """\
; registers that GDB 13 cannot see where there is AMX
    default rel
    global _start
    section .text
_start:
    nop
begin:
    mov eax, 0x5a5a
    kmovw k3, eax
    vmovups zmm21{k3}{z}, [numbers]
    vmovups zmm2, [numbers]
    vmovups [numbers]{k3}, zmm2
end:
    mov eax, 60
    xor edi, edi
    syscall
    section .data
numbers: dd 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
"""
CRASH = """\
; a store to nowhere
    global _start
    section .text
_start:
    nop
begin:
    xor eax, eax
    mov [rax], eax
end:
    nop
"""


@pytest.fixture
def at_begin(build):
    """Starts a program under GDB and stops it at `begin`."""
    started: list[Inferior] = []

    def start(source: str) -> Inferior:
        inferior = Inferior(read_executable(Path(build("stepped", source))))
        started.append(inferior)
        inferior.break_at(inferior.executable.symbols["begin"].address)
        inferior.resume(10.0)
        return inferior

    yield start
    for inferior in started:
        inferior.close()


def test_every_instruction_is_seen_with_the_registers_before_it(at_begin):
    inferior = at_begin(LOOP)
    symbols = inferior.executable.symbols
    steps = follow(inferior, {symbols["end"].address}, 1000, 10.0)
    assert steps.is_whole
    assert len(steps.registers) == 2 + 3 * 3
    again = [n for n, a in enumerate(steps.addresses) if a == symbols["again"].address]
    assert [steps.at(n)["rax"] for n in again] == [0, 2, 4]
    assert [steps.at(n)["rcx"] for n in again] == [3, 2, 1]


def test_it_ends_after_so_many_instructions(at_begin):
    inferior = at_begin(LOOP)
    steps = follow(inferior, {inferior.executable.symbols["end"].address}, 4, 10.0)
    assert len(steps.registers) == 4
    assert not steps.is_whole


def test_it_ends_behind_an_instruction_that_is_enough(at_begin):
    inferior = at_begin(LOOP)
    again = inferior.executable.symbols["again"].address
    steps = follow(inferior, set(), 1000, 10.0, again, lambda registers: registers["rax"] == 2)
    assert int(steps.addresses[-1]) == again
    assert len(steps.registers) == 2 + 3 + 1


def test_a_program_that_ends_on_the_way_ends_the_trace(at_begin):
    inferior = at_begin(LOOP)
    steps = follow(inferior, set(), 1000, 10.0)
    assert not steps.is_whole
    assert len(steps.registers) == 2 + 3 * 3 + 3


def test_a_crash_on_the_way_is_told(at_begin):
    steps = follow(at_begin(CRASH), set(), 1000, 10.0)
    assert steps.signal == signal.SIGSEGV


@pytest.mark.skipif("avx512f" not in FLAGS, reason="no AVX-512 on this processor")
def test_whole_vectors_and_masks_are_seen_behind_the_instructions_looked_at(at_begin):
    inferior = at_begin(VECTORS)
    begin = inferior.executable.symbols["begin"].address
    looks = {2: Look(21, 3), 3: Look(2), 4: Look(mask=3)}
    order: list[int] = []

    def look(address: int) -> Look | None:
        order.append(address)
        return looks.get(len(order) - 1)

    end = inferior.executable.symbols["end"].address
    steps = follow(inferior, {end}, 1000, 10.0, look=look)
    assert order[0] == begin
    assert set(steps.seen) == {2, 3, 4}
    whole = np.arange(16, dtype=np.uint32)
    passed = (0x5A5A >> whole) & 1
    assert steps.seen[2].mask == steps.seen[4].mask == 0x5A5A
    assert steps.seen[2].vector == (whole * passed).astype(np.uint32).tobytes()
    assert steps.seen[3].vector == whole.tobytes()
    assert steps.seen[4].vector is None


def test_nothing_is_left_of_the_program(at_begin):
    inferior = at_begin(LOOP)
    pid = inferior.pid
    with closing(inferior):
        follow(inferior, set(), 3, 10.0)
    status = Path(f"/proc/{pid}/status")
    assert not status.exists() or "zombie" in status.read_text()
