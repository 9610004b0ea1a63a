"""Looks at the machine: can it debug, build and show what nndbg needs? Each answer with advice."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nndbg.errors import NndbgError
from nndbg.inferior.abilities import can_trace, can_watch, gdb_version

_INSTRUCTION_SETS = ("sse2", "avx2", "fma", "avx512f")
_SMALLEST_TERMINAL = (80, 24)


class Health(StrEnum):
    """How an examination went; only `bad` keeps nndbg from working."""

    GOOD = "good"
    LIMITED = "limited"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One thing that was examined; `advice` says what to do, empty where nothing is amiss."""

    subject: str
    health: Health
    found: str
    advice: str = ""


def examine() -> Iterator[Finding]:
    """Yield the findings, GDB first."""
    yield _gdb()
    yield _tracing()
    yield _debug_registers()
    yield _cpu()
    yield _tools()
    yield _elsewhere()
    yield _terminal()


def _gdb() -> Finding:
    try:
        return Finding("GDB", Health.GOOD, gdb_version())
    except NndbgError as error:
        return Finding("GDB", Health.BAD, str(error), "apt-get install gdb")


def _tracing() -> Finding:
    try:
        can_trace()
    except NndbgError as error:
        return Finding(
            "ptrace",
            Health.BAD,
            str(error),
            "in a container: run it with --cap-add=SYS_PTRACE; "
            "elsewhere: set /proc/sys/kernel/yama/ptrace_scope to 0 or 1",
        )
    return Finding("ptrace", Health.GOOD, "a program runs under GDB and its memory is read")


def _debug_registers() -> Finding:
    try:
        works = can_watch()
    except NndbgError:
        works = False
    if works:
        return Finding("debug registers", Health.GOOD, "a hardware watchpoint stops the program")
    return Finding(
        "debug registers",
        Health.LIMITED,
        "no hardware watchpoint stops a program here",
        "verdicts need none; for watchpoints use a machine, or a hypervisor, that has them",
    )


def _cpu() -> Finding:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError as error:
        return Finding("CPU", Health.LIMITED, f"/proc/cpuinfo cannot be read: {error.strerror}")
    flags = next((set(line.split()) for line in lines if line.startswith("flags")), set())
    present = [name for name in _INSTRUCTION_SETS if name in flags]
    missing = [name for name in _INSTRUCTION_SETS if name not in flags]
    found = f"has {' '.join(present) or 'none of the instruction sets looked for'}"
    if not missing:
        return Finding("CPU", Health.GOOD, found)
    return Finding(
        "CPU",
        Health.LIMITED,
        f"{found}; lacks {' '.join(missing)}",
        "a program that uses what is missing stops with SIGILL; run it on another machine",
    )


def _tools() -> Finding:
    tools = {"nasm": "nasm", "gcc": "gcc libc6-dev"}
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if not missing:
        return Finding("building", Health.GOOD, f"{' and '.join(tools)} are there")
    packages = " ".join(tools[tool] for tool in missing)
    return Finding(
        "building",
        Health.LIMITED,
        f"no {' and no '.join(missing)}",
        f"only ./build.sh needs it: apt-get install {packages}",
    )


def _elsewhere() -> Finding:
    """Look for what programs of another machine need, here or there."""
    needed = {"qemu-aarch64": "qemu-user", "gdb-multiarch": "gdb-multiarch"}
    missing = [tool for tool in needed if shutil.which(tool) is None]
    if not missing:
        return Finding("AArch64", Health.GOOD, "its programs run here, in QEMU")
    return Finding(
        "AArch64",
        Health.LIMITED,
        f"no {' and no '.join(missing)}",
        "only programs built for AArch64 need it: "
        f"apt-get install {' '.join(needed[tool] for tool in missing)}",
    )


def _terminal() -> Finding:
    if not sys.stdout.isatty():
        return Finding(
            "terminal",
            Health.LIMITED,
            "stdout is no terminal",
            "`nndbg check` needs none; `nndbg run` wants one, over ssh: ssh -t",
        )
    columns, rows = os.get_terminal_size(sys.stdout.fileno())
    kind = os.environ.get("TERM", "")
    found = f"{columns}x{rows}, TERM={kind or 'not set'}"
    if columns < _SMALLEST_TERMINAL[0] or rows < _SMALLEST_TERMINAL[1]:
        return Finding("terminal", Health.LIMITED, found, "make it 80x24 at least for `nndbg run`")
    if kind in ("", "dumb"):
        return Finding("terminal", Health.LIMITED, found, "set TERM, e.g. TERM=xterm-256color")
    if (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        return Finding(
            "terminal", Health.LIMITED, f"{found}, {sys.stdout.encoding}", "use LANG=C.UTF-8"
        )
    return Finding("terminal", Health.GOOD, found)
