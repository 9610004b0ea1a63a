"""The verdicts of a run, however many: past the first few thousand they lie in a temporary file."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Collection, Iterable, Iterator
from typing import IO

from nndbg.compare import Mode, Status, Verdict
from nndbg.errors import UsageError

# About 2 MB of verdicts.
_MOST_KEPT = 2048


class Verdicts(Collection[Verdict]):
    """Verdicts in the order of their steps, counted as they are added; read as often as wanted.

    `wrong` of them find the program at fault, the first of which is `first_wrong`; `unsettled` are
    the ops of which one does not agree.
    """

    def __init__(self, verdicts: Iterable[Verdict] = ()) -> None:
        self.wrong = 0
        self.first_wrong: Verdict | None = None
        self.unsettled: set[str] = set()
        self._place_of_first = -1
        self._count = 0
        self._kept: list[Verdict] = []
        self._file: IO[bytes] | None = None
        # Of the step that verdicts come from now: the outputs that agree, and those left open.
        self._step = -1
        self._proved: set[tuple[str, str]] = set()
        self._open: list[tuple[str, str]] = []
        self._unproved = 0
        self.extend(verdicts)

    def extend(self, verdicts: Iterable[Verdict]) -> None:
        """Add the next verdicts.

        Raises UsageError when the temporary directory has no room for them.
        """
        for verdict in verdicts:
            self._take(verdict)
            self._kept.append(verdict)
        if len(self._kept) > _MOST_KEPT:
            self._spill()

    @property
    def unproved(self) -> int:
        """How many leave open whether their output is right.

        A chain bound that has grown too loose to say anything takes nothing away from the local
        one of the same output.
        """
        return self._unproved + sum(output not in self._proved for output in self._open)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Verdict]:
        for place, verdict in enumerate(self._stored()):
            # The same object every time, so that a renderer knows it again, NaN or not.
            yield self.first_wrong or verdict if place == self._place_of_first else verdict

    def __contains__(self, verdict: object) -> bool:
        return any(verdict == known for known in self)

    def _take(self, verdict: Verdict) -> None:
        subject = verdict.subject
        if subject.step != self._step:
            self._unproved = self.unproved
            self._step = subject.step
            self._proved.clear()
            self._open.clear()
        if verdict.status.is_wrong:
            self.wrong += 1
            if self.first_wrong is None:
                self.first_wrong, self._place_of_first = verdict, self._count
        elif verdict.status is Status.UNCHECKED:
            # Noise may explain a trajectory: that is for the whole run to say.
            if subject.mode is not Mode.TRAJECTORY:
                self._open.append((subject.op, subject.buffer))
        elif subject.mode is Mode.LOCAL:
            self._proved.add((subject.op, subject.buffer))
        if verdict.status is not Status.AGREE:
            self.unsettled.add(subject.op)
        self._count += 1

    def _stored(self) -> Iterator[Verdict]:
        place, end = 0, self._file.tell() if self._file is not None else 0
        while self._file is not None and place < end:
            self._file.seek(place)
            verdicts = pickle.load(self._file)
            place = self._file.tell()
            # Another reader, or the next verdicts, may come before the rest of these.
            self._file.seek(end)
            yield from verdicts
            del verdicts
        yield from self._kept

    def _spill(self) -> None:
        try:
            if self._file is None:
                # Without a name: it goes with whoever holds it, however that ends.
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the verdicts
            pickle.dump(self._kept, self._file, pickle.HIGHEST_PROTOCOL)
            self._file.flush()
        except OSError as error:
            raise UsageError(
                f"{tempfile.gettempdir()}: the verdicts cannot be kept there: {error.strerror}. "
                "Name a directory with more room in TMPDIR, or check fewer steps."
            ) from error
        self._kept.clear()
