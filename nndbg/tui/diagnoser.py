"""A thread beside the session's: looks for the mistake that explains a wrong output.

It may take seconds and reads only what is immutable, so it holds up neither screen nor program.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

from textual.message import Message

from nndbg.diagnose import Diagnosis, Evidence, diagnose
from nndbg.errors import NndbgError


class Diagnosed(Message):
    """What explains the wrong output of `evidence`, the best first; empty where nothing does."""

    def __init__(self, evidence: Evidence, diagnoses: tuple[Diagnosis, ...]) -> None:
        super().__init__()
        self.evidence = evidence
        self.diagnoses = diagnoses


class Diagnoser:
    """Diagnoses what was asked for last; its methods are for the screen's thread."""

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self._asked: SimpleQueue[Evidence | None] = SimpleQueue()
        # A daemon: nobody waits for a diagnosis when the screen closes.
        self._thread = Thread(target=self._serve, name="diagnoser", daemon=True)

    def start(self) -> None:
        """Begin to take questions."""
        self._thread.start()

    def ask(self, evidence: Evidence) -> None:
        """Ask for the diagnosis of an output, instead of all that was asked before."""
        self._asked.put(evidence)

    def close(self) -> None:
        """Take no more questions; does not wait."""
        self._asked.put(None)

    def _serve(self) -> None:
        while (evidence := self._newest()) is not None:
            # A recording may be closed meanwhile: then nobody waits for the answer either.
            with suppress(NndbgError):
                self._post(Diagnosed(evidence, diagnose(evidence)))

    def _newest(self) -> Evidence | None:
        evidence = self._asked.get()
        while evidence is not None and not self._asked.empty():
            evidence = self._asked.get()
        return evidence
