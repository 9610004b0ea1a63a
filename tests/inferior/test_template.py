"""Copies of a stopped program, each run on its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from nndbg.elf import read_executable
from nndbg.inferior.process import Inferior
from nndbg.inferior.ptrace import FIELD, end
from nndbg.inferior.template import TRAP, Copy, End, Ended, Template, Watchdog, take_over

from .conftest import LIMIT, read_pid

LOOP = """\
; adds two, three times
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
    mov eax, 39
    syscall
asked:
    mov eax, 1
    mov edi, 1
    lea rsi, [rel _start]
    mov edx, 1
    syscall
wrote:
    mov eax, 87
    syscall
unlinked:
    jmp unlinked
"""
# Makes a copy and says which, until it is killed.
HOLDER = """
import sys
from pathlib import Path
from nndbg.elf import read_executable
from nndbg.inferior.process import Inferior
from nndbg.inferior.template import Template, take_over

program, fifo = sys.argv[1:]
inferior = Inferior(read_executable(Path(program)))
begin = inferior.executable.symbols["begin"].address
inferior.break_at(begin)
inferior.resume(10.0)
copied, base = take_over(inferior, begin)
copy = Template(copied.pid, copied.registers, base).copy()
Path(fifo).write_text(f"{copy.pid}\\n")
sys.stdin.read()
"""


@dataclass
class Bench:
    """A template that stands at `begin`, and where the symbols of its program are."""

    template: Template
    at: dict[str, int]

    def run(self, copy: Copy) -> Ended:
        copy.resume()
        while (ended := copy.wait()) is None:
            copy.resume()
        return ended


@pytest.fixture
def bench(build) -> Iterator[Bench]:
    executable = read_executable(build("looped", LOOP))
    at = {name: symbol.address for name, symbol in executable.symbols.items()}
    with ExitStack() as stack:
        inferior = Inferior(executable)
        stack.callback(inferior.close)
        inferior.break_at(at["begin"])
        inferior.resume(10.0)
        program, base = take_over(inferior, at["begin"])
        stack.callback(end, program.pid)
        yield Bench(Template(program.pid, program.registers, base), at)


def test_what_a_copy_has_instead_no_other_has(bench: Bench) -> None:
    stop = {bench.at["end"]: TRAP}
    three = bench.template.copy({**stop, bench.at["again"] + 2: b"\x03"})
    two = bench.template.copy(stop)
    for copy, sum_ in ((three, 9), (two, 6)):
        assert bench.run(copy) == Ended(End.REACHED, bench.at["end"])
        assert copy.registers[FIELD["rax"]] == sum_
        end(copy.pid)


def test_calls_without_effect_are_made_writes_are_passed_over_others_refused(
    bench: Bench,
) -> None:
    copy = bench.template.copy({bench.at["asked"]: TRAP})
    assert bench.run(copy).address == bench.at["asked"]
    assert copy.registers[FIELD["rax"]] == copy.pid
    end(copy.pid)
    copy = bench.template.copy({bench.at["wrote"]: TRAP})
    assert bench.run(copy).address == bench.at["wrote"]
    assert copy.registers[FIELD["rax"]] == 1
    end(copy.pid)
    copy = bench.template.copy()
    ended = bench.run(copy)
    assert (ended.end, ended.call) == (End.REFUSED, 87)
    end(copy.pid)


def test_a_crash_is_told(bench: Bench) -> None:
    copy = bench.template.copy({bench.at["begin"]: b"\x0f\x0b"})
    ended = bench.run(copy)
    assert (ended.end, ended.signal) == (End.CRASHED, signal.SIGILL)
    end(copy.pid)


def test_a_copy_that_hangs_is_killed(bench: Bench) -> None:
    dog = Watchdog()
    copy = bench.template.copy({bench.at["again"]: b"\xeb\xfe"})
    dog.watch(copy.pid, 0.05)
    assert bench.run(copy).end is End.GONE
    dog.forget(copy.pid)
    dog.close()


def test_nothing_is_left_of_copies(bench: Bench) -> None:
    pids = []
    for _ in range(5):
        copy = bench.template.copy()
        pids.append(copy.pid)
        end(copy.pid)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_when_python_is_killed_no_copy_is_left(build, fifo: Path, watch) -> None:
    program = build("looped", LOOP)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, program, fifo],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as holder:
        copy = watch(read_pid(fifo))
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait(LIMIT)
    assert copy.ends_within(LIMIT)
