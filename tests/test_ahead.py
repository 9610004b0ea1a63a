"""Computing ahead: results in order, errors where they belong, and an end that leaves nothing."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from itertools import count
from multiprocessing import active_children

import pytest
from threadpoolctl import threadpool_info

from nndbg.ahead import BATCH, in_order, one_thread_each, processors

HERE = os.getpid()


def test_results_come_in_the_order_of_the_items():
    several = 5 * BATCH + 3
    assert list(in_order(lambda n: n * n, range(several))) == [(n, n * n) for n in range(several)]


def test_the_items_are_drawn_by_the_caller_and_computed_by_others():
    drawn = set()

    def items():
        for number in range(3 * BATCH):
            drawn.add(os.getpid())
            yield number

    computed = {pid for _, pid in in_order(lambda item: os.getpid(), items())}
    assert drawn == {HERE}
    assert len(computed) == 3
    assert HERE not in computed


def test_it_is_only_a_few_items_ahead():
    drawn = 0

    def items():
        nonlocal drawn
        for number in count():
            drawn += 1
            yield number

    with closing(in_order(lambda item: item, items())) as results:
        assert next(results) == (0, 0)
        assert drawn <= (processors() + 1) * BATCH


def test_large_results_do_not_block():
    sizes = [len(result) for _, result in in_order(lambda n: bytes(1 << 20), range(2 * BATCH))]
    assert sizes == [1 << 20] * 2 * BATCH


def test_an_error_comes_where_its_result_would():
    def fails(item: int) -> int:
        if item == 3:
            raise ValueError("of item 3")
        return item

    results = in_order(fails, range(100))
    assert [next(results)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="of item 3"):
        next(results)
    assert not active_children()


def test_an_error_of_the_source_ends_it_and_its_children():
    def items():
        yield from range(2 * BATCH)
        raise KeyError("no more")

    with pytest.raises(KeyError), closing(in_order(lambda item: signal.pause(), items())) as all_:
        list(all_)
    assert not active_children()


def test_closing_kills_what_still_computes():
    def waits_later(item: int) -> int:
        if item >= BATCH:
            signal.pause()
        return item

    with closing(in_order(waits_later, range(3 * BATCH))) as results:
        assert next(results) == (0, 0)
    assert not active_children()


def test_a_child_that_dies_is_done_without():
    def dies(item: int) -> int:
        if os.getpid() != HERE:
            os.kill(os.getpid(), signal.SIGKILL)
        return -item

    assert list(in_order(dies, range(BATCH + 1))) == [(n, -n) for n in range(BATCH + 1)]


def test_a_matrix_product_keeps_to_one_thread_and_then_has_its_threads_again():
    def numbers() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = numbers()
    assert before
    with one_thread_each():
        assert set(numbers()) == {1}
    assert numbers() == before
