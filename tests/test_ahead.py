"""Computing ahead: results in order, errors where they belong, and an end that leaves nothing."""

from __future__ import annotations

import threading
from contextlib import closing
from itertools import count

import pytest
from threadpoolctl import threadpool_info

from nndbg.ahead import in_order, one_thread_each, threads

LIMIT = 10.0


def test_results_come_in_the_order_of_the_items():
    first_may_end = threading.Event()

    def late_first(item: int) -> int:
        if item == 0:
            assert first_may_end.wait(LIMIT)
        elif item == 1:
            first_may_end.set()
        return item * item

    if threads() == 1:
        first_may_end.set()
    assert list(in_order(late_first, range(30))) == [(n, n * n) for n in range(30)]


def test_the_items_are_drawn_in_the_caller_s_thread():
    here = threading.current_thread()
    drawn, judged = set(), set()

    def items():
        for number in range(4):
            drawn.add(threading.current_thread())
            yield number

    list(in_order(lambda item: judged.add(threading.current_thread()), items()))
    assert drawn == {here}
    assert here not in judged


def test_it_is_only_a_few_items_ahead():
    hold = threading.Event()
    drawn = 0

    def items():
        nonlocal drawn
        for number in count():
            drawn += 1
            if drawn == 2 * threads() + 1:
                hold.set()
            yield number

    with closing(in_order(lambda item: hold.wait(LIMIT), items())) as results:
        assert next(results) == (0, True)
        assert drawn <= 2 * threads() + 1


def test_an_error_comes_where_its_result_would():
    def fails(item: int) -> int:
        if item == 3:
            raise ValueError("of item 3")
        return item

    results = in_order(fails, range(100))
    assert [next(results)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="of item 3"):
        next(results)


def test_an_error_of_the_source_comes_behind_the_results_before_it():
    def items():
        yield 1
        raise KeyError("no more")

    with pytest.raises(KeyError), closing(in_order(lambda item: item, items())) as results:
        list(results)


def test_what_is_not_begun_when_it_is_closed_is_never_computed():
    hold, begun = threading.Event(), []

    def waits(item: int) -> None:
        begun.append(item)
        assert hold.wait(LIMIT)

    def items():
        yield from range(2 * threads())
        raise InterruptedError

    with pytest.raises(InterruptedError), closing(in_order(waits, items())) as results:
        next(results)
    hold.set()
    for thread in threading.enumerate():
        if thread.name.startswith("judge"):
            thread.join(LIMIT)
    assert not any(thread.name.startswith("judge") for thread in threading.enumerate())
    assert len(begun) <= threads()


def test_a_matrix_product_keeps_to_one_thread_and_then_has_its_threads_again():
    def numbers() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = numbers()
    assert before
    with one_thread_each():
        assert set(numbers()) == {1}
    assert numbers() == before
