"""The program's memory, read and written through the kernel while the program is stopped."""

from __future__ import annotations

import os

from nndbg.errors import ProgramError


class Memory:
    """`/proc/PID/mem` of one process: a thousand times faster than memory in MI records."""

    def __init__(self, pid: int) -> None:
        try:
            self._descriptor = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise ProgramError(
                f"the memory of process {pid} cannot be opened: {error.strerror}. "
                "`nndbg doctor` tells what this machine allows."
            ) from error

    def read(self, address: int, size: int) -> bytes:
        """Return `size` bytes at `address`. Raises ProgramError where they are not mapped."""
        parts: list[bytes] = []
        done = 0
        while done < size:
            try:
                part = os.pread(self._descriptor, size - done, address + done)
            except (OSError, OverflowError) as error:
                raise ProgramError(
                    f"{size} bytes at {address:#x} cannot be read: the program has no memory at "
                    f"{address + done:#x}. Is the address, or the pointer that gave it, right?"
                ) from error
            if not part:
                raise ProgramError("the program is gone: its memory is empty.")
            parts.append(part)
            done += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, address: int, data: bytes) -> None:
        """Write `data` at `address`. Raises ProgramError where that is not mapped."""
        try:
            written = os.pwrite(self._descriptor, data, address)
        except (OSError, OverflowError) as error:
            raise ProgramError(f"{len(data)} bytes cannot be written at {address:#x}.") from error
        if written != len(data):
            raise ProgramError(f"only {written} of {len(data)} bytes went to {address:#x}.")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
