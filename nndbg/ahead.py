"""Computes with what a source yields while the source goes on, a few items ahead of the results."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

from threadpoolctl import threadpool_limits

_MOST_THREADS = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[tuple[Item, Result], None, None]:
    """Yield each item with what `function` makes of it, in the order of the items.

    The items are drawn in the caller's thread, at most two for each of `threads` ahead of what was
    yielded; an error of `function` is raised where its result would come. A caller that has enough
    closes the generator: what is not begun then is never computed.
    """
    pool = ThreadPoolExecutor(threads(), thread_name_prefix="judge")
    pending: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            pending.append((item, pool.submit(function, item)))
            while pending and (len(pending) > 2 * threads() or pending[0][1].done()):
                first, future = pending.popleft()
                yield first, future.result()
        while pending:
            first, future = pending.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def threads() -> int:
    """Return how many threads compute: one processor is for the source, which is as busy.

    More than a few would wait for Python's lock: two were slower than one on two processors.
    """
    return max(1, min(_MOST_THREADS, len(os.sched_getaffinity(0)) - 1))


def one_thread_each() -> AbstractContextManager[object]:
    """Return a context in which a matrix product keeps to the thread that asked for it.

    OpenBLAS's own threads wait for each other by spinning: beside a busy process, and GDB is one, a
    product of a millisecond takes twenty.
    """
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits
