"""The conversation with GDB in its machine interface: commands out, records in.

pygdbmi parses the records. Its controller is not used: it waits 200 ms for every answer and does
not match answers to commands.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, cast

from nndbg.errors import GdbError
from nndbg.inferior.record import Record, parse_record

_CHUNK = 1 << 16
_TALK_KEPT = 50
# What a dying GDB gets to leave by itself, in seconds.
_LEAVE = 1.0


class Conversation:
    """One GDB process, spoken to over pipes of ours; closes what it opened."""

    def __init__(self, gdb: str, arguments: Sequence[str]) -> None:
        """Start `gdb`. Raises GdbError when there is no such command."""
        found = shutil.which(gdb)
        if found is None:
            raise GdbError(f"no {gdb} on this machine. Install it: apt-get install gdb")
        self._process = subprocess.Popen(
            [found, "--nx", "--quiet", "--interpreter=mi2", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            # Ctrl+C in the terminal is for nndbg, which decides what becomes of the program.
            start_new_session=True,
        )
        self._token = 0
        self._partial = bytearray()
        self._records: deque[Record] = deque()
        self._talk: deque[bytes] = deque(maxlen=_TALK_KEPT)
        # What the console says to the command that is asked, None while none is.
        self._answer: list[bytes] | None = None
        self._ears: dict[int, Callable[[bytes], None]] = {}
        # Eight times a stop: `selectors` would cost a tenth of GDB's own work.
        self._poll = select.poll()
        self.listen(self._stdout.fileno(), self._hear)
        self.listen(self._stderr.fileno(), self._overhear)

    @property
    def _stdin(self) -> IO[bytes]:
        return cast(IO[bytes], self._process.stdin)

    @property
    def _stdout(self) -> IO[bytes]:
        return cast(IO[bytes], self._process.stdout)

    @property
    def _stderr(self) -> IO[bytes]:
        return cast(IO[bytes], self._process.stderr)

    @property
    def talk(self) -> str:
        """What GDB said last on its console and on stderr."""
        return "".join(map(_said, self._talk)).strip()

    def listen(self, descriptor: int, hear: Callable[[bytes], None]) -> None:
        """Hand everything that can be read from `descriptor` to `hear` while waiting."""
        self._ears[descriptor] = hear
        self._poll.register(descriptor, select.POLLIN)

    def silence(self, descriptor: int) -> None:
        """Listen to `descriptor` no more."""
        if self._ears.pop(descriptor, None) is not None:
            with suppress(KeyError):
                self._poll.unregister(descriptor)

    def forget(self) -> None:
        """Forget what GDB has announced and nobody asked for, as before another run."""
        self._records.clear()

    def command(self, text: str, timeout: float = 10.0) -> Mapping[str, Any]:
        """Send an MI command and return the payload of its result.

        Raises GdbError when GDB refuses it, dies, or does not answer within `timeout` seconds.
        """
        self._token += 1
        token = self._token
        try:
            self._stdin.write(f"{token}{text}\n".encode())
        except OSError as error:
            raise self._died() from error
        answer = self._await(lambda r: r["type"] == "result" and r.get("token") == token, timeout)
        if answer is None:
            raise GdbError(f"GDB did not answer {text!r} within {timeout:g} s.")
        if answer["message"] == "error":
            raise GdbError(f"GDB refused {text!r}: {(answer['payload'] or {}).get('msg', '')}")
        return answer["payload"] or {}

    def send(self, text: str) -> None:
        """Send an MI command and await no answer; from any thread."""
        with suppress(OSError):
            self._stdin.write(f"{text}\n".encode())

    def console(self, text: str, timeout: float = 10.0) -> str:
        """Send a command of GDB's command line, which has no quotes; return what GDB says to it."""
        self._talk.clear()
        self.command(f'-interpreter-exec console "{text}"', timeout)
        return self.talk

    def ask(self, command: str, timeout: float = 10.0) -> str:
        """Return what GDB says on its console to a command in its own language; as `command`."""
        quoted = command.replace("\\", "\\\\").replace('"', '\\"')
        self._answer = []
        try:
            self.command(f'-interpreter-exec console "{quoted}"', timeout)
            return "".join(map(_said, self._answer))
        finally:
            self._answer = None

    def event(self, names: Sequence[str], timeout: float) -> Record | None:
        """Return the next asynchronous record called one of `names`, None after `timeout` s."""
        return self._await(lambda r: r["type"] == "notify" and r["message"] in names, timeout)

    def close(self) -> None:
        """End GDB, politely for a second, and free the pipes."""
        if self._process.poll() is None:
            with suppress(OSError):
                self._stdin.write(b"-gdb-exit\n")
            try:
                self._process.wait(_LEAVE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for pipe in (self._stdin, self._stdout, self._stderr):
            with suppress(OSError):
                pipe.close()

    def _await(self, wanted: Callable[[Record], bool], timeout: float) -> Record | None:
        deadline = time.monotonic() + timeout
        while True:
            for record in self._records:
                if wanted(record):
                    self._records.remove(record)
                    return record
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return None
            for descriptor, _ in self._poll.poll(remaining * 1000):
                try:
                    data = os.read(descriptor, _CHUNK)
                except OSError:
                    data = b""  # a pseudo-terminal whose program has ended
                if data:
                    self._ears[descriptor](data)
                    continue
                self._poll.unregister(descriptor)
                if descriptor == self._stdout.fileno():
                    raise self._died()

    def _hear(self, data: bytes) -> None:
        """Take GDB's output apart into records; what is only announced is not parsed."""
        self._partial += data
        if b"\n" not in data:
            return
        *lines, rest = bytes(self._partial).split(b"\n")
        self._partial = bytearray(rest)
        for line in lines:
            if line.startswith((b"~", b"&")):
                self._talk.append(line)
                if self._answer is not None and line.startswith(b"~"):
                    self._answer.append(line)
            elif not line.startswith((b"=breakpoint-modified", b"*running", b"(gdb)")):
                record = parse_record(line.decode(errors="replace").rstrip("\r"))
                # An answer without a token is to what was only sent.
                if record["type"] == "notify" or record.get("token") is not None:
                    self._records.append(record)

    def _overhear(self, data: bytes) -> None:
        self._talk.append(data)

    def _died(self) -> GdbError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE)
        os.set_blocking(self._stderr.fileno(), False)
        with suppress(OSError):
            while data := os.read(self._stderr.fileno(), _CHUNK):
                self._overhear(data)
        status = self._process.poll()
        if status is None:
            how = "closed its output"
        elif status < 0:
            how = f"was killed by signal {-status}"
        else:
            how = f"ended with status {status}"
        said = f" It said: {self.talk.splitlines()[-1]}" if self.talk else ""
        return GdbError(f"GDB {how} in the middle of the session; the program is gone.{said}")


def _said(line: bytes) -> str:
    """Return what a line of talk says; as it is where it is not, or badly, quoted."""
    text = line.decode(errors="replace")
    if line.startswith((b"~", b"&")):
        with suppress(GdbError):
            return str(parse_record(text)["payload"])
    return text
