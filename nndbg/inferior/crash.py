"""Why the program crashed: the instruction, its operand, and what is wrong with the two."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from nndbg.crash import Crash
from nndbg.decode import Access, Disassembly, Instruction, decode, features, part
from nndbg.elf import Machine
from nndbg.errors import GdbError, ProgramError
from nndbg.inferior.process import Inferior, Stop
from nndbg.inferior.whereabouts import Whereabouts, count, is_canonical
from nndbg.places import Places

SIGNALS = frozenset({"SIGSEGV", "SIGILL", "SIGFPE", "SIGBUS", "SIGABRT"})

# Source: Linux, include/uapi/asm-generic/siginfo.h. _KERNEL: the processor gave no address, as for
# a general protection fault.
_KERNEL = 0x80
_UNALIGNED = 1
_FLOATING = {
    3: "division by zero",
    4: "overflow",
    5: "underflow",
    6: "inexact result",
    7: "invalid operation",
}
_LONGEST = 15
_VECTOR = 16
_MOST_FRAMES = 20


def explain(inferior: Inferior, stop: Stop, places: Places | None) -> Crash:
    """Return what can be said of a program that has just got one of SIGNALS.

    `places` has the buffers as they were when they were last seen.
    """
    mappings = inferior.mappings()
    if inferior.executable.machine is not Machine.X86_64 or mappings is None:
        return _plain(inferior, stop)
    return _Scene(inferior, stop, places, mappings).crash()


def _plain(inferior: Inferior, stop: Stop) -> Crash:
    """Return where the program crashed, where its registers and mappings tell us nothing."""
    executable = inferior.executable
    function, line = executable.function_at(stop.address), executable.line_at(stop.address)
    return Crash(
        signal=stop.signal or "",
        address=stop.address,
        function=function.name if function else None,
        file=line.file if line else None,
        line=line.line if line else None,
        instruction=inferior.disassembled(stop.address),
        operand=None,
        says="why cannot be told of a program that runs in an emulator or at a server without "
        "files.",
    )


@dataclass(frozen=True)
class _Site:
    """An instruction that crashed, or called into nowhere; its addresses are as loaded."""

    address: int
    instruction: Instruction | None


class _Scene:
    """The program as it stands at the signal."""

    def __init__(
        self, inferior: Inferior, stop: Stop, places: Places | None, mappings: str
    ) -> None:
        self._inferior = inferior
        self._signal = stop.signal or ""
        self._offset = inferior.load_offset
        self._code = Disassembly(inferior.executable)
        self._registers = inferior.general_registers()
        self._fault = inferior.fault()
        self._where = Whereabouts(
            mappings, inferior.executable, self._offset, places, self._registers["rsp"]
        )

    def crash(self) -> Crash:
        """Return what happened."""
        here = self._registers["rip"]
        site = _Site(here, self._instruction(here))
        if not self._is_code(here):
            return self._went_astray(here)
        match self._signal:
            case "SIGSEGV" | "SIGBUS":
                operand, says = self._memory(site.instruction)
            case "SIGFPE":
                operand, says = None, self._arithmetic(site.instruction)
            case "SIGILL":
                operand, says = None, self._illegal(site)
            case _:
                operand, says = None, "the program aborts"
        return self._crash(site, operand, f"{says}{self._caller(site)}.")

    def _crash(self, site: _Site, operand: int | None, says: str) -> Crash:
        linked = site.address - self._offset
        executable = self._inferior.executable
        function, line = executable.function_at(linked), executable.line_at(linked)
        known = function is not None
        written = self._code.at(linked) or site.instruction
        return Crash(
            signal=self._signal,
            address=linked,
            function=function.name if function else None,
            file=line.file if line and known else None,
            line=line.line if line and known else None,
            instruction=written.text if written else "",
            operand=operand,
            says=says,
        )

    def _is_code(self, address: int) -> bool:
        return "x" in (self._where.rights(address) or "")

    def _instruction(self, address: int) -> Instruction | None:
        """Return the instruction at an address, with what it names as loaded.

        GDB's breakpoints are in the memory, and not in the file.
        """
        code = self._inferior.executable.code_at(address - self._offset, _LONGEST)
        return decode(code or self._bytes(address), address)

    def _bytes(self, address: int) -> bytes:
        for size in range(_LONGEST, 0, -1):
            with suppress(ProgramError):
                return bytes(self._inferior.memory.read(address, size))
        return b""

    def _went_astray(self, target: int) -> Crash:
        """Return who went to where no code is: a call left its return address on the stack."""
        where = self._where.say(target)
        away = f"went to {target:#x}, where no code is ({where})"
        back = int.from_bytes(self._bytes(self._registers["rsp"])[:8], "little")
        call = self._code.before(back - self._offset)
        if call is not None and call.is_call and self._goes_to(call, target):
            site = _Site(call.address + self._offset, call)
            return self._crash(site, target, f"the call {away}.")
        return self._crash(_Site(target, None), target, f"a jump or a return {away}.")

    def _goes_to(self, call: Instruction, target: int) -> bool:
        """Whether a call, as linked, went there: its registers and memory are as they were."""
        if call.target is not None:
            return call.target + self._offset == target
        call = self._instruction(call.address + self._offset) or call
        if (load := call.load) is None:
            return part(call.names[0], self._registers)[1] == target
        start = self._start(load)
        data = b"" if start is None else self._bytes(start)[:8]
        return int.from_bytes(data, "little") == target

    def _caller(self, site: _Site) -> str:
        """Return from where the function was called, where it has no source but its callers do."""
        executable = self._inferior.executable
        if executable.line_at(site.address - self._offset) is not None:
            return ""
        with suppress(GdbError):
            for back in self._inferior.return_addresses(_MOST_FRAMES):
                call = self._code.before(back)
                line = executable.line_at(back - 1)
                function = executable.function_at(back - 1)
                if call is not None and call.is_call and line is not None and function is not None:
                    return f", called from {function.name} ({line})"
        return ""

    def _memory(self, instruction: Instruction | None) -> tuple[int | None, str]:
        """Return the operand's address and what is wrong with it."""
        accesses = instruction.memory if instruction is not None else ()
        starts = [(access, self._start(access)) for access in accesses]
        known = [(access, start) for access, start in starts if start is not None]
        if self._signal == "SIGBUS" and self._fault.code == _UNALIGNED:
            start = known[0][1] if known else None
            return start, "misaligned, and the program had alignment checked (AC in rflags)"
        if self._fault.code != _KERNEL:
            return self._touched(known)
        for _, start in known:
            if not is_canonical(start):
                return start, f"{start:#x} is {self._where.say(start)}"
        for access, start in known:
            if access.size >= _VECTOR and start % access.size:
                return start, self._misaligned(access, start)
        return None, "the processor refuses it to a program"

    def _touched(self, accesses: list[tuple[Access, int]]) -> tuple[int, str]:
        """Return what the operand that holds the faulting byte touches."""
        byte = self._fault.address
        start, size, verb = byte, 1, "uses"
        for access, begin in accesses:
            if begin <= byte < begin + max(access.size, 1):
                start, size = begin, access.size
                verb = "writes" if access.writes else "reads"
        says = f"{verb} {count(size)} at {start:#x}, {self._where.say(start)}"
        if start != byte:
            says += f"; byte {byte - start} of them is {self._where.say(byte)}"
        return start, f"{says}: {self._denied(byte, verb)}"

    def _denied(self, byte: int, verb: str) -> str:
        if self._signal == "SIGBUS":
            return "the mapped file ends before"
        rights = self._where.rights(byte)
        if rights is None:
            return "not mapped"
        return "read-only" if verb == "writes" and "r" in rights else "not accessible"

    def _misaligned(self, access: Access, start: int) -> str:
        verb, kind = ("writes", "store") if access.writes else ("reads", "load")
        return (
            f"{verb} {count(access.size)} at {start:#x}, {self._where.say(start)}: an aligned "
            f"{kind}, and the address is {count(start % access.size)} past a multiple of "
            f"{access.size}"
        )

    def _start(self, access: Access) -> int | None:
        """Return the effective address of an operand, None where it has several, as a gather."""
        if access.index.startswith(("xmm", "ymm", "zmm")):
            return None
        base = self._inferior.segment_base(access.segment) if access.segment else 0
        return (base + access.address(self._registers)) % (1 << 64)

    def _arithmetic(self, instruction: Instruction | None) -> str:
        if instruction is None or instruction.mnemonic not in ("div", "idiv"):
            kind = _FLOATING.get(self._fault.code, "an arithmetic exception")
            return f"a floating-point {kind}, which MXCSR or the x87 control word does not mask"
        size, divisor = self._divisor(instruction)
        dividend = _dividend(self._registers, size)
        if instruction.mnemonic == "idiv":
            divisor, dividend = _signed(divisor, size), _signed(dividend, 2 * size)
        says = f"divides {dividend} by {divisor}"
        return says if divisor == 0 else f"{says}, and {8 * size} bits do not hold the quotient"

    def _divisor(self, instruction: Instruction) -> tuple[int, int]:
        """Return the divisor's width in bytes and its value."""
        if (load := instruction.load) is not None:
            start = self._start(load) or 0
            data = self._inferior.memory.read(start, load.size)
            return load.size, int.from_bytes(data, "little")
        return part(instruction.names[0], self._registers)

    def _illegal(self, site: _Site) -> str:
        if site.instruction is None:
            found = self._bytes(site.address).hex(" ")
            return f"{found} is no instruction"
        if site.instruction.mnemonic.startswith("ud"):
            return f"{site.instruction.mnemonic} is there to end the program"
        needed = ", ".join(features(self._bytes(site.address)))
        return f"this machine does not run it; it needs {needed}"


def _dividend(registers: Mapping[str, int], size: int) -> int:
    """Return what a division of that width divides: ax, dx:ax, edx:eax or rdx:rax."""
    low = registers["rax"] % (1 << 8 * size)
    if size == 1:
        return registers["rax"] % (1 << 16)
    return low | registers["rdx"] % (1 << 8 * size) << 8 * size


def _signed(value: int, size: int) -> int:
    return value - (1 << 8 * size) if value >> (8 * size - 1) else value
