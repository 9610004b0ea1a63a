"""Computes with what a source yields while the source goes on, a few items ahead of the results.

The computing is done by children that are forked with the items in their memory: nothing is copied,
and Python's lock is not shared.
"""

from __future__ import annotations

import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")

# A fork costs some milliseconds: as many items are computed by one child.
BATCH = 12
_PROCESSES = get_context("fork")


def processors() -> int:
    """Return how many processors this process may use, and so how many children it has at once."""
    return len(os.sched_getaffinity(0))


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[tuple[Item, Result], None, None]:
    """Yield each item with what `function` makes of it, in the order of the items.

    The items are drawn in the caller's process, at most a batch for each processor and one more
    ahead of what was yielded; `function` runs in children, and its results are pickled. An error of
    it is raised where its result would come. Closing the generator kills the children.
    """
    children: deque[_Child[Item, Result]] = deque()
    try:
        for batch in _batches(items):
            children.append(_Child(function, batch))
            while children and (len(children) > processors() or children[0].is_ready()):
                yield from children[0].results()
                children.popleft()
        while children:
            yield from children[0].results()
            children.popleft()
    finally:
        for child in children:
            child.kill()


def one_thread_each() -> AbstractContextManager[object]:
    """Return a context in which a matrix product keeps to the thread that asked for it.

    OpenBLAS's own threads wait for each other by spinning: beside a busy process, and GDB is one, a
    product of a millisecond takes twenty.
    """
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits


class _Child(Generic[Item, Result]):
    """A process that computes one batch."""

    def __init__(self, function: Callable[[Item], Result], batch: Sequence[Item]) -> None:
        self._function = function
        self._batch = batch
        self._pipe, writer = _PROCESSES.Pipe(duplex=False)
        self._process = _PROCESSES.Process(
            target=_compute, args=(function, batch, writer), name="nndbg judge", daemon=True
        )
        self._process.start()
        writer.close()

    def is_ready(self) -> bool:
        """Whether the results are there to be read, or never come."""
        return self._pipe.poll()

    def results(self) -> Iterator[tuple[Item, Result]]:
        """Yield the results, once they are there; a child that died is done without."""
        results: list[Result] = []
        error: Exception | None = None
        with suppress(EOFError, OSError):
            results, error = self._pipe.recv()
        self.kill()
        yield from zip(self._batch, results, strict=False)
        if error is not None:
            raise error
        for item in self._batch[len(results) :]:
            yield item, self._function(item)

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    source = iter(items)
    while batch := list(islice(source, BATCH)):
        yield batch


def _compute(function: Callable[[Item], Result], batch: Sequence[Item], pipe: Connection) -> None:
    """Compute a batch, in the child, up to the first error."""
    # An interrupt is for the parent, which kills its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # What the parent has is not this process's to clean up.
    gc.disable()
    results: list[Result] = []
    failure: Exception | None = None
    try:
        results.extend(map(function, batch))
    except Exception as error:  # noqa: BLE001 - it is raised again by the parent
        failure = error
    with suppress(OSError):
        pipe.send((results, failure))
