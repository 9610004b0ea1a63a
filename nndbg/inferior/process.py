"""Run control of the program under GDB: start, breakpoints, resume, wait, interrupt, kill."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from nndbg.elf import Executable
from nndbg.errors import GdbError, InterruptedByUser, ProgramError
from nndbg.inferior.memory import Memory
from nndbg.inferior.mi import Conversation
from nndbg.inferior.record import Record
from nndbg.inferior.target import target_of
from nndbg.inferior.terminal import Terminal

# What a signal needs to reach the program and come back as a stop, in seconds.
_INTERRUPT_LIMIT = 5.0

_INTEGERS = {1: "char", 2: "short", 4: "int", 8: "long"}
# The order in which GDB numbers them.
GENERAL = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"),
    *(f"r{number}" for number in range(8, 16)),
    "rip",
)
_REPEATED = re.compile(r"(-?\w+) <repeats (\d+) times>|(-?\w+)")

_SETTINGS = (
    "mi-async on",
    "startup-with-shell off",
    "confirm off",
    "pagination off",
    "debuginfod enabled off",
    "auto-load off",
    "breakpoint always-inserted on",
    # Nobody reads the source line that GDB would look up and print at each stop.
    "print frame-info short-location",
)


@dataclass(frozen=True)
class Stop:
    """Why the program stands still, or that it ended; addresses as linked."""

    reason: str
    address: int = 0
    breakpoint: int | None = None
    signal: str | None = None
    exit_code: int | None = None
    thread: str = ""
    # The watchpoint that triggered; and the numbers before and after, where they differ.
    watchpoint: int | None = None
    changed: tuple[str, str] | None = None

    @property
    def is_exit(self) -> bool:
        """Whether the program is gone."""
        return self.reason.startswith("exited")


@dataclass(frozen=True)
class Fault:
    """What the kernel says of a signal: why it came, and which byte was touched, as loaded.

    See `si_code` and `si_addr` in sigaction(2).
    """

    code: int
    address: int


def _unrolled(text: str) -> list[str]:
    """Return the elements of an array as GDB prints it: `{1, 0 <repeats 7 times>}`."""
    return [
        word
        for repeated, count, single in _REPEATED.findall(text)
        for word in ([repeated] * int(count) if repeated else [single])
    ]


class Inferior:
    """One program under one GDB. Owns both: `close` leaves nothing running.

    Everything but `interrupt` belongs to one thread.
    """

    def __init__(
        self,
        executable: Executable,
        arguments: Sequence[str] = (),
        gdb: str = "gdb",
        remote: str | None = None,
    ) -> None:
        """Start the program and stop it before its first instruction.

        `remote` is the HOST:PORT of a GDB server, None for this machine. Raises GdbError when GDB
        or the server cannot be had, ProgramError when the program cannot be started, UsageError
        when the server has another one.
        """
        self.executable = executable
        self.terminal = Terminal()
        self._interrupting = False
        # Whether GDB has the program, and has not let go of it for another tracer.
        self._is_held = False
        self._is_gone = True
        self._conversation: Conversation | None = None
        self._target = target_of(executable, arguments, gdb, remote)
        options = [word for setting in _SETTINGS for word in ("-iex", f"set {setting}")]
        try:
            self._conversation = Conversation(
                self._target.gdb, [*options, *self._target.command_line]
            )
            self._conversation.listen(self.terminal.descriptor, self.terminal.hear)
            self._begin(self._conversation)
        except BaseException:
            self.close()
            raise

    def restart(self) -> bool:
        """Start the program anew, with nothing of the run before; whether GDB could do it.

        Ten times faster than another GDB, which would read the program's symbols again. Raises
        ProgramError as `__init__` does. Where it could not, only `close` is left to do.
        """
        try:
            gdb = self._gdb
            if not self._target.kill(gdb, self._is_held):
                return False
            self._interrupting = False
            gdb.command('-interpreter-exec console "delete"')
            gdb.silence(self.terminal.descriptor)
            self.terminal.close()
            self.terminal = Terminal()
            gdb.listen(self.terminal.descriptor, self.terminal.hear)
            gdb.forget()
            self._begin(gdb)
        except GdbError:
            return False
        return True

    def _begin(self, gdb: Conversation) -> None:
        self._target.start(gdb, self.terminal)
        self._is_held = True
        self._is_gone = False
        is_moved = self.executable.is_pie
        self.load_offset = self._target.entry() - self.executable.entry if is_moved else 0

    @property
    def pid(self) -> int:
        """The program's process number. Raises ProgramError where it runs somewhere else."""
        return self._target.pid

    @property
    def is_gone(self) -> bool:
        """Whether there is no program any more."""
        return self._is_gone

    @property
    def memory(self) -> Memory:
        """The program's memory; addresses as loaded."""
        return self._target.memory

    def mappings(self) -> str | None:
        """Return what is mapped, as `/proc/PID/maps` says it; None where nobody does."""
        return self._target.mappings()

    @property
    def _gdb(self) -> Conversation:
        if self._conversation is None:
            raise GdbError("the session is closed.")
        return self._conversation

    def break_at(self, address: int, once: bool = False) -> int:
        """Set a breakpoint at an address as linked; returns its number. `once`: for one stop."""
        place = f"*{address + self.load_offset:#x}"
        answer = self._gdb.command(f"-break-insert {'-t ' if once else ''}{place}")
        return int(answer["bkpt"]["number"])

    def watch(self, expression: str) -> None:
        """Arm a hardware watchpoint for writes to what `expression` names in GDB's language."""
        self._gdb.command(f'-break-watch "{expression}"')

    def watch_access(self, address: int, size: int) -> int:
        """Arm a hardware watchpoint for reads and writes of 1, 2, 4 or 8 bytes, as loaded.

        For writes alone GDB would keep silent where the same value is written again. Returns its
        number. Raises GdbError where the machine has no register left for it.
        """
        answer = self._gdb.command(f'-break-watch -a "*({_INTEGERS[size]} *) {address:#x}"')
        if "hw-awpt" not in answer:
            raise GdbError("GDB has no hardware watchpoint here. `nndbg doctor` tells more.")
        return int(answer["hw-awpt"]["number"])

    def watch_by_stepping(self, address: int, size: int) -> None:
        """Have GDB run the program step by step and stop behind what changes so many bytes."""
        self._gdb.command("-gdb-set can-use-hw-watchpoints 0")
        self._gdb.command(f'-break-watch "*({_INTEGERS[size]} *) {address:#x}"')

    def delete(self, number: int) -> None:
        """Take a breakpoint or watchpoint back."""
        self._gdb.command(f"-break-delete {number}")

    def general_registers(self) -> dict[str, int]:
        """Return the general registers by name, `rip` among them."""
        numbers = " ".join(map(str, range(len(GENERAL))))
        answer = self._gdb.command(f"-data-list-register-values x {numbers}")
        return {
            GENERAL[int(entry["number"])]: int(entry["value"], 16)
            for entry in answer["register-values"]
        }

    def fault(self) -> Fault:
        """Return what the kernel says of the signal that the program has just got."""
        code = self._gdb.command("-data-evaluate-expression $_siginfo.si_code")
        address = self._gdb.command(
            '-data-evaluate-expression "(long)$_siginfo._sifields._sigfault.si_addr"'
        )
        return Fault(int(code["value"]), int(address["value"]) % (1 << 64))

    def segment_base(self, segment: str) -> int:
        """Return the base of fs or gs."""
        answer = self._gdb.command(f"-data-evaluate-expression (long)${segment}_base")
        return int(answer["value"]) % (1 << 64)

    def return_addresses(self, most: int) -> list[int]:
        """Return where the calls go back to, as linked, the innermost first, at most so many.

        Where a function has no unwind information GDB guesses.
        """
        frames = self._gdb.command(f"-stack-list-frames 1 {most}")["stack"]
        return [int(frame["addr"], 16) - self.load_offset for frame in frames]

    def vector(self, name: str) -> bytes:
        """Return the contents of a vector or mask register, lowest byte first.

        `name` is one of xmm, ymm, zmm or k with a number. Raises GdbError where there is no such
        register on this machine.
        """
        if name.startswith("k"):
            answer = self._gdb.command(f"-data-evaluate-expression (long)${name}")
            return (int(answer["value"]) % (1 << 64)).to_bytes(8, "little")
        count = {"x": 2, "y": 4, "z": 8}[name[0]]
        answer = self._gdb.command(f"-data-evaluate-expression ${name}.v{count}_int64")
        words = [int(word, 0) % (1 << 64) for word in _unrolled(answer["value"])]
        return b"".join(word.to_bytes(8, "little") for word in words)

    def hand_over(self) -> int:
        """Let GDB go of the program, which stays stopped for another tracer; returns its number.

        Only `close`, `memory` and `pid` serve afterwards.
        """
        pid = self.pid
        os.kill(pid, signal.SIGSTOP)
        self._gdb.command("-target-detach")
        self._is_held = False
        return pid

    def enable(self, breakpoints: Iterable[int], on: bool = True) -> None:
        """Enable, or disable, breakpoints by number."""
        numbers = " ".join(map(str, breakpoints))
        if numbers:
            self._gdb.command(f"-break-{'enable' if on else 'disable'} {numbers}")

    def resume(self, timeout: float) -> Stop:
        """Let the program run to its next stop.

        Raises ProgramError when it does not stop within `timeout` seconds (it is interrupted, and
        the error says where it was), InterruptedByUser when `interrupt` stopped it.
        """
        self._gdb.command("-exec-continue")
        return self._wait(timeout)

    def step_instruction(self, over: bool = False, timeout: float = _INTERRUPT_LIMIT) -> Stop:
        """Let the program run one instruction; with `over` a call is one, however long it takes.

        Raises as `resume` does.
        """
        self._gdb.command(f"-exec-{'next' if over else 'step'}-instruction")
        return self._wait(timeout)

    def select_innermost(self) -> None:
        """Have GDB look at the innermost frame again."""
        self._gdb.command("-stack-select-frame 0")

    def ask(self, command: str) -> str:
        """Return what GDB's console says to `command`. Raises GdbError where it refuses it."""
        return self._gdb.ask(command)

    def interrupt(self) -> None:
        """Stop the running program; may be called from any thread."""
        self._interrupting = True
        self._target.interrupt()

    def _wait(self, timeout: float) -> Stop:
        record = self._gdb.event(["stopped"], timeout)
        if record is None:
            self._target.interrupt()
            record = self._gdb.event(["stopped"], _INTERRUPT_LIMIT)
            if record is None:
                raise GdbError("the program runs and cannot be interrupted; it is killed.")
            stop = self._stop(record)
            raise ProgramError(
                f"the program did not reach the next boundary within {timeout:g} s. "
                f"It was {'gone' if stop.is_exit else 'in ' + self.describe(stop.address)}. "
                "Does a loop end? A longer limit: --timeout."
            )
        stop = self._stop(record)
        if stop.signal == "SIGINT" and self._interrupting:
            self._interrupting = False
            raise InterruptedByUser(f"interrupted in {self.describe(stop.address)}")
        return stop

    def _stop(self, record: Record) -> Stop:
        payload = record["payload"]
        frame = payload.get("frame", {})
        number = payload.get("bkptno")
        watched, value = payload.get("hw-awpt"), payload.get("value", {})
        stop = Stop(
            reason=payload.get("reason", ""),
            address=int(frame["addr"], 16) - self.load_offset if "addr" in frame else 0,
            breakpoint=int(number) if number is not None else None,
            signal=payload.get("signal-name"),
            exit_code=int(payload["exit-code"], 8) if "exit-code" in payload else None,
            thread=payload.get("thread-id", ""),
            watchpoint=int(watched["number"]) if watched else None,
            changed=(value["old"], value["new"]) if "old" in value else None,
        )
        if stop.is_exit:
            self._target.ended()
            self._is_gone = True
            self.terminal.drain()
        return stop

    def register_numbers(self) -> dict[str, int]:
        """Return GDB's number of every register that this machine has, by name."""
        names = self._gdb.command("-data-list-register-names")["register-names"]
        return {name: number for number, name in enumerate(names) if name}

    def registers(self, numbers: Mapping[str, int]) -> dict[str, int]:
        """Return registers that hold one integer, by the names in `numbers`, at this stop.

        A register that cannot be read is left out.
        """
        wanted = " ".join(map(str, numbers.values()))
        answer = self._gdb.command(f"-data-list-register-values x {wanted}")
        values = {int(one["number"]): one["value"] for one in answer["register-values"]}
        return {
            name: int(values[number], 16)
            for name, number in numbers.items()
            if values.get(number, "").startswith("0x")
        }

    def disassembled(self, address: int) -> str:
        """Return the instruction at an address as linked in GDB's words, empty where none is."""
        lines = self.listing(address, address + 1)
        return lines[0][1] if lines else ""

    def listing(self, start: int, end: int) -> list[tuple[int, str]]:
        """Return the instructions that begin in a stretch, as linked, in GDB's words."""
        begin, stop = start + self.load_offset, end + self.load_offset
        with suppress(GdbError):
            answer = self._gdb.command(f"-data-disassemble -s {begin:#x} -e {stop:#x} -- 0")
            return [
                (int(line["address"], 16) - self.load_offset, " ".join(str(line["inst"]).split()))
                for line in answer["asm_insns"]
            ]
        return []

    def describe(self, address: int) -> str:
        """Return a place in words: `dense (asm/dense.asm:42) at 0x401234`."""
        function = self.executable.function_at(address)
        line = self.executable.line_at(address)
        name = function.name if function else "unknown code"
        return f"{name}{f' ({line})' if line else ''} at {address:#x}"

    def close(self) -> None:
        """Kill the program and end GDB."""
        self._target.close()
        if self._conversation is not None:
            self._conversation.close()
            self._conversation = None
        self.terminal.close()
