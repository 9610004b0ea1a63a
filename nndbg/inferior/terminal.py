"""A pseudo-terminal for the program: what it prints never meets GDB's records or our screen."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
import tty
from collections import deque
from contextlib import suppress

_KEPT = 1 << 18
_ROWS, _COLUMNS = 24, 80


class Terminal:
    """The program's own terminal; keeps the last 256 KiB that were printed."""

    def __init__(self) -> None:
        self.descriptor, self._program_side = pty.openpty()
        tty.setraw(self._program_side)
        fcntl.ioctl(
            self._program_side, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0)
        )
        self._chunks: deque[bytes] = deque()
        self._size = 0

    @property
    def path(self) -> str:
        """The device that the program opens."""
        return os.ttyname(self._program_side)

    @property
    def text(self) -> str:
        """What was printed, undecodable bytes replaced; still to be escaped before it is shown."""
        return b"".join(self._chunks).decode(errors="replace")

    def hear(self, data: bytes) -> None:
        """Keep `data`, and let go of the oldest beyond the limit."""
        self._chunks.append(data)
        self._size += len(data)
        while self._size - len(self._chunks[0]) > _KEPT:
            self._size -= len(self._chunks.popleft())

    def drain(self) -> None:
        """Read what has been printed and not yet been heard, without waiting for more."""
        os.set_blocking(self.descriptor, False)
        with suppress(OSError):
            while data := os.read(self.descriptor, _KEPT):
                self.hear(data)
        os.set_blocking(self.descriptor, True)

    def close(self) -> None:
        """Give the terminal back."""
        for descriptor in (self.descriptor, self._program_side):
            with suppress(OSError):
                os.close(descriptor)
