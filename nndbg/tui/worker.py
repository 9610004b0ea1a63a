"""The one thread that owns the session: takes commands from a queue, posts what came of them."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from time import monotonic

from textual.message import Message

from nndbg.last_write import back_to_write
from nndbg.session import Session
from nndbg.tui.breakpoints import Breakpoint
from nndbg.tui.commands import Command
from nndbg.tui.driver import Driver, GoBack
from nndbg.tui.snapshot import Progress, Snapshot

# Between two words on the progress of a command, in seconds.
_PACE = 0.1
# How long the program may take to stop when the screen closes, and between two tries, in seconds.
_PATIENCE, _RETRY = 5.0, 0.1


class Arrived(Message):
    """A command is carried out; `generation` is the number that `submit` returned for it."""

    def __init__(self, generation: int, snapshot: Snapshot) -> None:
        super().__init__()
        self.generation = generation
        self.snapshot = snapshot


class Underway(Message):
    """A command is being carried out."""

    def __init__(self, generation: int, progress: Progress) -> None:
        super().__init__()
        self.generation = generation
        self.progress = progress

    def can_replace(self, message: Message) -> bool:
        """Only the newest word on the progress is worth showing."""
        return isinstance(message, Underway)


class Worker:
    """Owns the session from `start` to `close`; all its methods are for the screen's thread."""

    def __init__(
        self,
        session: Session,
        post: Callable[[Message], object],
        to_write: GoBack = back_to_write,
    ) -> None:
        self._session = session
        self._post = post
        self._driver = Driver(session, self._tell, to_write)
        self._jobs: SimpleQueue[tuple[int, Command] | None] = SimpleQueue()
        self._generation = 0
        self._serving = 0
        self._told = 0.0
        # A daemon, so that not even a session that cannot be closed holds the process.
        self._thread = Thread(target=self._serve, name="session", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to take commands."""
        self._thread.start()

    def submit(self, command: Command) -> int:
        """Queue a command, instead of all that were queued before; returns its number."""
        self._generation += 1
        self._jobs.put((self._generation, command))
        return self._generation

    def stop_at(self, breakpoints: tuple[Breakpoint, ...]) -> None:
        """Stop there from the next boundary on, instead of where it was asked for before."""
        self._driver.breakpoints = breakpoints

    def interrupt(self) -> None:
        """Stop the command that is being carried out, and the program with it."""
        self._driver.stop.set()
        self._session.interrupt()

    def close(self) -> None:
        """Stop the program, let go of it and end the thread. May be called again."""
        if self._thread.ident is None:
            self._session.close()
            return
        self._generation += 1
        self._jobs.put(None)
        deadline = monotonic() + _PATIENCE
        while self._thread.is_alive() and monotonic() < deadline:
            self.interrupt()
            self._thread.join(_RETRY)
        if self._thread.is_alive():
            self._session.close()
            self._thread.join(_PATIENCE)

    def _serve(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                self._serving, command = job
                if self._serving == self._generation:
                    snapshot = self._driver.carry_out(command)
                    self._post(Arrived(self._serving, snapshot))
        finally:
            self._session.close()

    def _tell(self, progress: Progress) -> None:
        now = monotonic()
        if now - self._told >= _PACE:
            self._told = now
            self._post(Underway(self._serving, progress))
