"""Lets SIGTERM and SIGHUP close the screen instead of cutting it off."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_BY_SIGNAL = 128
# A screen whose terminal is gone can wait for it for ever; it is given so long, in seconds.
_GRACE = 3.0


@contextmanager
def heeded(leave: Callable[[int], object], release: Callable[[], object]) -> Iterator[None]:
    """Call `leave` with the exit code when the process is told to end; then as it was before.

    Where that does not end the process in time, `release` is called and the process cut off. For
    the main thread.
    """
    timers: list[Timer] = []

    def cut_off(code: int) -> None:
        try:
            release()
        finally:
            os._exit(code)

    def heed(number: int, frame: FrameType | None) -> None:
        del frame
        code = _BY_SIGNAL + number
        timers.append(Timer(_GRACE, cut_off, [code]))
        timers[-1].daemon = True
        timers[-1].start()
        leave(code)

    before = {number: signal.signal(number, heed) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for timer in timers:
            timer.cancel()
