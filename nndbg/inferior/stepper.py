"""Runs the program instruction by instruction, ten times faster than GDB can.

A single step through MI costs a quarter of a millisecond, one of ptrace(2) some thirty
microseconds. GDB brings the program to where the steps begin, and hands it over.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nndbg.errors import ProgramError
from nndbg.inferior.process import Inferior
from nndbg.inferior.ptrace import (
    EXITKILL,
    FIELD,
    FIELDS,
    SINGLESTEP,
    WALL,
    Registers,
    end,
    get_registers,
    request,
    seize,
)
from nndbg.inferior.xstate import Vectors

_RIP = FIELD["rip"]
# Looking at the clock costs as much as a tenth of a step.
_BETWEEN_LOOKS = 64


@dataclass(frozen=True)
class Look:
    """What to keep of an instruction besides the general registers, by number.

    `vector` is the zmm register to be read behind it, `mask` the k register that it goes by; None
    for what is not wanted.
    """

    vector: int | None = None
    mask: int | None = None


@dataclass(frozen=True)
class Seen:
    """What a vector instruction left in its register, 64 bytes, and the mask that it went by."""

    vector: bytes | None
    mask: int | None


@dataclass(frozen=True, eq=False)
class Steps:
    """The registers before each instruction that ran, [n, fields], as loaded.

    `is_whole` says whether the program got to where it was to be followed to; `signal` is what
    ended it before, 0 where nothing did. `seen` is what was looked at besides, by index.
    """

    registers: NDArray[np.uint64]
    is_whole: bool
    signal: int
    seen: Mapping[int, Seen] = field(default_factory=dict)

    @property
    def addresses(self) -> NDArray[np.uint64]:
        """Where each instruction lies."""
        return self.registers[:, _RIP]

    def at(self, index: int) -> dict[str, int]:
        """Return the general registers, by name, before the instruction of that index."""
        return dict(zip(FIELDS, self.registers[index].tolist(), strict=True))


NOTHING = Steps(np.empty((0, len(FIELDS)), np.uint64), is_whole=False, signal=0)


def follow(
    inferior: Inferior,
    until: Collection[int],
    most: int,
    seconds: float,
    at: int | None = None,
    is_enough: Callable[[dict[str, int]], bool] = lambda registers: False,
    is_over: Callable[[dict[str, int]], bool] = lambda registers: True,
    look: Callable[[int], Look | None] = lambda address: None,
) -> Steps:
    """Take the program over from GDB and run it to one of the addresses `until`, as loaded.

    Of each of those that it comes to, `is_over` says by the registers there whether it is the one.
    Ends before that after `most` instructions or `seconds`, or behind the instruction `at` when
    `is_enough` says so of the registers before it. `look` says what to keep of the instruction at
    an address, as loaded, besides. The program is killed afterwards. Raises ProgramError where the
    kernel refuses to trace it.
    """
    pid = inferior.hand_over()
    try:
        seize(pid, EXITKILL)
        return _steps(pid, frozenset(until), most, seconds, at, is_enough, is_over, look)
    except (ChildProcessError, ProcessLookupError) as error:
        raise ProgramError("the program is gone: it cannot be followed.") from error
    finally:
        end(pid)


def _steps(
    pid: int,
    until: frozenset[int],
    most: int,
    seconds: float,
    at: int | None,
    is_enough: Callable[[dict[str, int]], bool],
    is_over: Callable[[dict[str, int]], bool],
    look: Callable[[int], Look | None],
) -> Steps:
    vectors = Vectors()
    seen: dict[int, Seen] = {}
    looks: dict[int, Look | None] = {}
    fields = Registers()
    found: list[bytes] = []
    ended = 0
    deadline = time.monotonic() + seconds
    get_registers(pid, fields)
    is_there = False
    while len(found) < most and not is_there:
        if len(found) % _BETWEEN_LOOKS == 0 and time.monotonic() > deadline:
            break
        before = bytes(fields)
        here = fields[_RIP]
        if here not in looks:
            looks[here] = look(here)
        wanted = looks[here]
        last = here == at and is_enough(dict(zip(FIELDS, fields, strict=True)))
        request(SINGLESTEP, pid)
        _, status = os.waitpid(pid, WALL)
        if not os.WIFSTOPPED(status):
            ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            found.append(before)
            break
        reason = os.WSTOPSIG(status)
        if reason == signal.SIGSTOP:
            continue  # it was sent to hold the program while GDB let go
        found.append(before)
        if reason != signal.SIGTRAP:
            ended = reason
            break
        if wanted is not None:
            vectors.fetch(pid)
            mask = vectors.mask(wanted.mask) if wanted.mask is not None else None
            vector = vectors.vector(wanted.vector) if wanted.vector is not None else None
            seen[len(found) - 1] = Seen(vector, mask)
        get_registers(pid, fields)
        is_there = fields[_RIP] in until and is_over(dict(zip(FIELDS, fields, strict=True)))
        if last:
            break
    rows = np.frombuffer(b"".join(found), np.uint64).reshape(-1, len(FIELDS))
    return Steps(rows, is_whole=is_there, signal=ended, seen=seen)
