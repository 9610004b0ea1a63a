"""Memory of a process, tried on our own."""

import os
import subprocess
import sys

import numpy as np
import pytest

from nndbg.errors import ExitCode, ProgramError
from nndbg.inferior.memory import Memory, ProcessMemory


@pytest.fixture
def memory():
    opened = ProcessMemory(os.getpid())
    yield opened
    opened.close()


@pytest.fixture
def array() -> np.ndarray:
    return np.arange(1_000_000, dtype=np.float32)


def test_what_lies_at_an_address_is_read(memory: Memory, array: np.ndarray):
    data = memory.read(array.ctypes.data, array.nbytes)
    assert np.array_equal(np.frombuffer(data, np.float32), array)
    assert memory.read(array.ctypes.data + 4, 4) == array[1:2].tobytes()
    assert memory.read(array.ctypes.data, 0) == b""


def test_what_is_written_lies_there(memory: Memory, array: np.ndarray):
    memory.write(array.ctypes.data + 8, np.float32([-7]).tobytes())
    assert array[:4].tolist() == [0, 1, -7, 3]


@pytest.mark.parametrize("address", [0, 1, 1 << 46, 1 << 63, 1 << 64, -8])
def test_an_address_without_memory_is_an_error(memory: Memory, address: int):
    with pytest.raises(ProgramError) as error:
        memory.read(address, 8)
    assert "8 bytes at" in str(error.value)
    assert error.value.exit_code == ExitCode.PROGRAM
    with pytest.raises(ProgramError, match="8 bytes cannot be written at"):
        memory.write(address, b"12345678")


def test_an_array_that_runs_out_of_memory_is_an_error(memory: Memory, array: np.ndarray):
    with pytest.raises(ProgramError, match=r"no memory at|more than this machine can hold"):
        memory.read(array.ctypes.data, 1 << 40)


def test_a_process_that_is_not_there_is_an_error():
    with pytest.raises(ProgramError, match="memory of process 4194305 cannot be opened"):
        ProcessMemory(4_194_305)


@pytest.mark.parametrize("size", [8, 1 << 20], ids=["a number", "an array"])
def test_a_process_that_is_gone_is_an_error(size: int):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    memory = ProcessMemory(child.pid)
    child.kill()
    child.communicate(timeout=10)
    with pytest.raises(ProgramError, match="the program is gone"):
        memory.read(1 << 20, size)
    memory.close()
