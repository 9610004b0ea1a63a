"""A thread beside the session's: runs the program again to find who made a number.

It takes seconds, in a run of its own, so it holds up neither screen nor session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread

from textual.message import Message

from nndbg.compare import Verdict
from nndbg.culprit import Blame
from nndbg.errors import NndbgError
from nndbg.hunt import Accuse
from nndbg.ledger import Observation
from nndbg.report import Culprit
from nndbg.text import printable

# Who wrote an element in a step, until an op was done.
Writes = Callable[[str, int, str], Blame]


@dataclass(frozen=True, eq=False)
class Question:
    """Who wrote `element` in `step` until `op` was done; and who is to blame, where it is wrong.

    `verdict` is then that of the op, and `observation` all that was seen of it.
    """

    element: str
    step: int
    op: str
    verdict: Verdict | None = None
    observation: Observation | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a question: `problem` says in words what kept it from being answered."""

    question: Question
    blame: Blame | None = None
    culprit: Culprit | None = None
    problem: str = ""


class Answered(Message):
    """A question is answered."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class Inquest:
    """Answers what was asked last; its methods are for the screen's thread."""

    def __init__(
        self, post: Callable[[Message], object], writes: Writes | None, accuse: Accuse | None
    ) -> None:
        self._post = post
        self._writes, self._accuse = writes, accuse
        self._asked: SimpleQueue[Question | None] = SimpleQueue()
        # A daemon: nobody waits for an answer when the screen closes, and GDB ends with us.
        self._thread = Thread(target=self._serve, name="inquest", daemon=True)

    @property
    def is_able(self) -> bool:
        """Whether there is anybody to be asked: a program to be run again, or a recording."""
        return self._writes is not None or self._accuse is not None

    def start(self) -> None:
        """Begin to take questions."""
        self._thread.start()

    def ask(self, question: Question) -> None:
        """Ask this, instead of all that was asked before and not begun."""
        self._asked.put(question)

    def close(self) -> None:
        """Take no more questions; does not wait."""
        self._asked.put(None)

    def _serve(self) -> None:
        while (question := self._newest()) is not None:
            self._post(Answered(self._answer(question)))

    def _newest(self) -> Question | None:
        question = self._asked.get()
        while question is not None and not self._asked.empty():
            question = self._asked.get()
        return question

    def _answer(self, question: Question) -> Answer:
        blame = culprit = None
        problem = ""
        try:
            if self._writes is not None:
                blame = self._writes(question.element, question.step, question.op)
        except NndbgError as error:
            problem = printable(str(error))
        try:
            verdict, observation = question.verdict, question.observation
            if self._accuse is not None and verdict is not None and observation is not None:
                culprit = self._accuse(verdict, observation)
        except NndbgError as error:
            problem = printable(str(error))
        except Exception as error:  # noqa: BLE001 - the thread lives on and the screen says it
            problem = f"nndbg itself failed, please report it: {type(error).__name__}: {error}"
        return Answer(question, blame, culprit, problem)
