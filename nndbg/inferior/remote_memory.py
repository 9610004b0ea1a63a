"""The memory of a program behind a GDB server: GDB copies it to and from a file of ours."""

from __future__ import annotations

import os

from nndbg.errors import GdbError, ProgramError
from nndbg.inferior.mi import Conversation

# What a slow line may take for a byte, in seconds, besides what every command gets.
_LIMIT, _PER_BYTE = 10.0, 1e-5


class RemoteMemory:
    """The memory of the program that `gdb` debugs; addresses as loaded.

    `dump` and `restore` move a MiB in the time that the server takes: the same in MI records would
    cost another tenth of a second for its parsing.
    """

    def __init__(self, gdb: Conversation) -> None:
        self._gdb = gdb
        self._descriptor = os.memfd_create("nndbg", os.MFD_CLOEXEC)
        self._file = f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def read(self, address: int, size: int) -> memoryview:
        """Return `size` bytes at `address`, read-only.

        Raises ProgramError where they are not mapped.
        """
        if not size:
            return memoryview(b"")
        try:
            self._copy(f"dump binary memory {self._file} {address:#x} {address + size:#x}", size)
        except GdbError as error:
            raise self._unmapped(error, f"{size} bytes at {address:#x} cannot be read") from error
        data = os.pread(self._descriptor, size, 0)
        if len(data) != size:
            raise GdbError(f"GDB read {len(data)} of {size} bytes at {address:#x}. Run it again.")
        return memoryview(data)

    def write(self, address: int, data: bytes) -> None:
        """Write `data` at `address`. Raises ProgramError where that is not mapped."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0)
        try:
            said = self._copy(f"restore {self._file} binary {address:#x}", len(data))
            if "write failed" in said:
                raise GdbError(f"GDB could not write: {said.splitlines()[-1]}")
        except GdbError as error:
            raise self._unmapped(
                error, f"{len(data)} bytes cannot be written at {address:#x}"
            ) from error

    def _copy(self, command: str, size: int) -> str:
        return self._gdb.console(command, _LIMIT + size * _PER_BYTE)

    def _unmapped(self, error: GdbError, what: str) -> ProgramError | GdbError:
        if not any(words in str(error) for words in ("Cannot access memory", "write failed")):
            return error
        return ProgramError(
            f"{what}: the program has no memory there. Is the address, or the pointer that gave "
            "it, right?"
        )

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)
