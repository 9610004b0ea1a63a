"""Judges how an op leaves the registers, by those at its beginning and at its end.

Source of the rules: System V ABI, AMD64 supplement, section 3.2.1 and figure 3.4. They bind
functions, not the code between two boundaries: what the caller's own instructions do there is its
own affair, see flow.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from nndbg.elf import Executable
from nndbg.finding import Audit, Finding, Level
from nndbg.flow import OwnCode, is_needed, is_return_address, own_code

REGISTER_AUDITS = frozenset(
    {Audit.REGISTERS, Audit.STACK, Audit.DIRECTION, Audit.MXCSR, Audit.UPPER}
)
# Exception masks, denormals-are-zero, rounding and flush-to-zero; the rest are status flags.
# Source: Intel SDM, volume 1, section 10.2.3.
_MXCSR_CONTROL = 0xFFC0
_MXCSR_FIELDS = {
    "rounding": 0x6000,
    "flush-to-zero": 0x8000,
    "denormals-are-zero": 0x0040,
    "exception masks": 0x1F80,
}
_WORD = 8


@dataclass(frozen=True)
class Registers:
    """The registers that an audit looks at; None where the machine, or GDB, has no such register.

    `upper` are the vector registers whose upper half is not zero, by number.
    """

    saved: Mapping[str, int]
    stack: int
    direction: bool
    mxcsr: int | None
    x87: int | None
    upper: tuple[int, ...]


@dataclass(frozen=True)
class Standing:
    """Where a thread stands still: addresses as linked, and the word at the top of its stack."""

    address: int
    thread: str
    registers: Registers
    top: int


@dataclass(frozen=True)
class _Way:
    """What lies between two places of one frame, None where they are not seen to be in one.

    `moved` is by how many bytes the stack pointer is higher at the end, `stack` what it is there.
    """

    own: OwnCode
    moved: int
    end: int
    stack: int


class RegisterAudit:
    """Audits ops of one program; remembers the code between their boundaries."""

    def __init__(self, executable: Executable, audits: Collection[Audit]) -> None:
        self._executable = executable
        self._audits = frozenset(audits) & REGISTER_AUDITS
        self._known: dict[tuple[int, int], OwnCode | None] = {}

    def __bool__(self) -> bool:
        return bool(self._audits)

    def findings(
        self, step: int, op: str, enter: Standing, done: Standing, word: Callable[[int], int]
    ) -> tuple[Finding, ...]:
        """Return what is amiss at the end of an op; `word` reads an address, as linked, of memory.

        Nothing is known where another thread came to the end than to the beginning.
        """
        if enter.thread != done.thread or enter.registers == done.registers:
            return ()
        way = self._way(enter, done)
        found = (
            *self._registers(op, enter.registers, done.registers, way, word),
            *self._stack(op, way),
            *self._direction(op, enter.registers, done.registers, way),
            *self._control(op, enter.registers, done.registers, way),
            *self._upper(op, enter.registers, done.registers, way),
        )
        return tuple(
            Finding(step, op, audit, level, says)
            for audit, level, says in found
            if audit in self._audits
        )

    def _way(self, enter: Standing, done: Standing) -> _Way | None:
        """Return the way from one place to the other, or from and to the callers of functions.

        Where a function begins, its caller stands behind the call, one word up the stack.
        """
        for begin, begin_stack in self._frames(enter):
            for end, end_stack in self._frames(done):
                own = self._own(begin, end)
                if own is not None:
                    return _Way(own, end_stack - begin_stack, end, end_stack)
        return None

    def _frames(self, standing: Standing) -> Iterator[tuple[int, int]]:
        yield standing.address, standing.registers.stack
        function = self._executable.function_at(standing.address)
        if (
            function is not None
            and function.address == standing.address
            and is_return_address(self._executable, standing.top, standing.address)
        ):
            yield standing.top, standing.registers.stack + _WORD

    def _own(self, begin: int, end: int) -> OwnCode | None:
        if (begin, end) not in self._known:
            self._known[begin, end] = own_code(self._executable, begin, end)
        return self._known[begin, end]

    def _registers(
        self,
        op: str,
        enter: Registers,
        done: Registers,
        way: _Way | None,
        word: Callable[[int], int],
    ) -> Iterator[tuple[Audit, Level, str]]:
        """Callee-saved registers that a function called by the op does not restore.

        It is a mistake where the program is seen to go on with one. A program may keep nothing in
        them, and then need not restore them.
        """
        if way is None or way.moved != way.own.moves:
            return
        for name, before in enter.saved.items():
            after = done.saved[name]
            if after == before or name in way.own.writes:
                continue
            needed = is_needed(self._executable, way.end, name, way.stack, word)
            yield (
                Audit.REGISTERS,
                Level.ERROR if needed else Level.NOTE,
                f"{name} is {before:#x} when {op} begins and {after:#x} when it is complete: "
                f"a function that it calls does not restore it, and "
                f"{'the caller goes on with it' if needed else 'nothing is seen to need it'}",
            )

    def _stack(self, op: str, way: _Way | None) -> Iterator[tuple[Audit, Level, str]]:
        if way is None or way.own.moves is None or not way.moved:
            return
        says = f"the stack pointer is {_apart(way.moved)} when {op} is complete than when it begins"
        if way.moved == way.own.moves:
            says += ": the code between does so itself, and may take it back later"
            yield Audit.STACK, Level.NOTE, says
        else:
            says += ": a function that it calls takes off too much or leaves something"
            yield Audit.STACK, Level.ERROR, says

    def _direction(
        self, op: str, enter: Registers, done: Registers, way: _Way | None
    ) -> Iterator[tuple[Audit, Level, str]]:
        if enter.direction or not done.direction:
            return
        is_own = way is None or way.own.sets_direction
        yield (
            Audit.DIRECTION,
            Level.NOTE if is_own else Level.ERROR,
            f"the direction flag is set when {op} is complete: string instructions now go "
            "backwards, and no function expects that; a cld is missing",
        )

    def _control(
        self, op: str, enter: Registers, done: Registers, way: _Way | None
    ) -> Iterator[tuple[Audit, Level, str]]:
        if enter.mxcsr is not None and done.mxcsr is not None:
            changed = (enter.mxcsr ^ done.mxcsr) & _MXCSR_CONTROL
            fields = ", ".join(name for name, mask in _MXCSR_FIELDS.items() if changed & mask)
            if changed:
                yield (
                    Audit.MXCSR,
                    Level.NOTE if way is None or way.own.sets_mxcsr else Level.ERROR,
                    f"{op} leaves MXCSR as {done.mxcsr & _MXCSR_CONTROL:#06x} and found it as "
                    f"{enter.mxcsr & _MXCSR_CONTROL:#06x} ({fields}): what follows is computed "
                    "in another way",
                )
        if enter.x87 is not None and done.x87 is not None and enter.x87 != done.x87:
            yield (
                Audit.MXCSR,
                Level.NOTE if way is None or way.own.sets_x87 else Level.ERROR,
                f"{op} leaves the x87 control word as {done.x87:#06x} and found it as "
                f"{enter.x87:#06x}: what follows is computed in another way",
            )

    def _upper(
        self, op: str, enter: Registers, done: Registers, way: _Way | None
    ) -> Iterator[tuple[Audit, Level, str]]:
        if enter.upper or not done.upper or way is None or way.own.uses_vectors:
            return
        count = len(done.upper)
        which = f"ymm{done.upper[0]}" if count == 1 else f"{count} of the ymm registers"
        yield (
            Audit.UPPER,
            Level.NOTE,
            f"{op} leaves the upper half of {which} in use: SSE instructions that follow may be "
            "slow; a vzeroupper is missing",
        )


def _apart(moved: int) -> str:
    return f"{abs(moved)} bytes {'higher' if moved > 0 else 'lower'}"
