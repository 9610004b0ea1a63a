"""Blocks are used again once nobody looks at them, and never before."""

import os

import numpy as np

from nndbg.inferior.arena import Arena

SIZE = 1 << 16


def test_a_block_that_an_array_shows_is_not_given_again():
    arena = Arena()
    first = np.frombuffer(arena.take(SIZE), np.uint8)
    first[:] = 1
    part = first[10:20].view(np.uint16)
    del first
    second = np.frombuffer(arena.take(SIZE), np.uint8)
    second[:] = 2
    assert part.tolist() == [0x0101] * 5
    view = second.data.toreadonly()[:4]
    del second
    np.frombuffer(arena.take(SIZE), np.uint8)[:] = 3
    assert view.tolist() == [2] * 4


def test_a_block_that_nobody_looks_at_is_given_again():
    arena = Arena()
    first = np.frombuffer(arena.take(SIZE), np.uint8)
    address = first.ctypes.data
    del first
    again = np.frombuffer(arena.take(SIZE), np.uint8)
    assert again.ctypes.data == address
    assert np.frombuffer(arena.take(SIZE), np.uint8).ctypes.data != address


def test_blocks_of_another_size_are_another_s():
    arena = Arena()
    assert [len(arena.take(size)) for size in (SIZE, 2 * SIZE, SIZE)] == [SIZE, 2 * SIZE, SIZE]


def test_a_child_sees_what_was_captured_before_it_was_made():
    arena = Arena()
    block = np.frombuffer(arena.take(SIZE), np.uint8)
    block[:] = 7
    child = os.fork()
    if not child:
        os._exit(int(block.max()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
