"""The parent's side of the process that runs the user's functions: asked, timed and ended here."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nndbg.errors import UsageError
from nndbg.own.worker import Answer, Request

# How long one answer may take, in seconds; the first one includes the file's imports.
TIME_LIMIT = 60.0


class Worker:
    """A process that is started when it is first asked; ended by an error, and with this object.

    It may be asked from any thread, and from a process that was forked: that starts its own.
    """

    def __init__(self, limit: float = TIME_LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy in another process starts a process of its own."""
        return Worker, (self._limit,)

    def ask(self, request: Request) -> Answer:
        """Return the answer to `request`.

        Raises UsageError where the function goes wrong, takes too long or ends its process.
        """
        with self._lock:
            running = self._running
            if running is None or running.owner != os.getpid():
                running = self._running = _Running()
            where = f"{request.path}: {request.function}"
            try:
                running.connection.send(request)
                if not running.connection.poll(self._limit):
                    raise UsageError(
                        f"{where} has not returned within {self._limit:g} s. "
                        "Does it loop for ever? Else give it longer: `timeout` of [reference]."
                    )
                answer: Answer = running.connection.recv()
            except (EOFError, OSError) as error:
                raise self._ended(
                    UsageError(
                        f"{where} ended its process ({running.status()}). "
                        "A reference returns arrays; it must not exit or crash."
                    )
                ) from error
            except UsageError as error:
                raise self._ended(error) from None
            except BaseException:
                # Interrupted in the middle of an answer: the next would be taken for this one.
                self.close()
                raise
        if answer.error:
            raise UsageError(f"{answer.error}. Correct the reference.")
        return answer

    def close(self) -> None:
        """End the process, if there is one."""
        running, self._running = self._running, None
        if running is not None:
            running.end()

    def _ended(self, error: UsageError) -> UsageError:
        self.close()
        return error


class _Running:
    """A process that has been started, and the connection to it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.connection, theirs = Pipe()
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OPENBLAS_NUM_THREADS": "1",
        }
        number = theirs.fileno()
        self._process = subprocess.Popen(
            # -P: nothing in the directory that we happen to be in is imported.
            [sys.executable, "-B", "-P", "-m", "nndbg.own.worker", str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(number,),
            env=environment,
        )
        theirs.close()
        self.end = weakref.finalize(self, _end, self.owner, self._process, self.connection)

    def status(self) -> str:
        """Return how the process ended, in words."""
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(1)
            return f"signal {-code}" if code < 0 else f"exit code {code}"
        return "its connection is closed"


def _end(owner: int, process: subprocess.Popen[bytes], connection: Connection) -> None:
    if owner != os.getpid():
        # A fork has a copy of the object, and no say over the process.
        return
    connection.close()
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
