"""Freed memory serves again: pages are not asked of the system for each array."""

import platform
import subprocess
import sys

import pytest

ROUNDS, PAGES = 50, 400
PROGRAM = f"""
import resource
import numpy as np
from nndbg.memory import keep_freed_memory
{{before}}
def use():
    for _ in range({ROUNDS}):
        np.ones({PAGES} * 512), np.ones({PAGES} * 512)
use()
begin = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begin)
"""

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the C library is another"
)


def faults(before: str) -> int:
    """The page faults of arrays made and dropped in turns, after they were made and dropped."""
    program = PROGRAM.format(before=before)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return int(done.stdout)


def test_memory_that_was_freed_serves_the_next_array():
    assert faults("assert keep_freed_memory()") < PAGES


def test_it_would_not_without_being_told():
    assert faults("") > ROUNDS * PAGES / 2
